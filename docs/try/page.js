// SPDX-License-Identifier: MIT
// The page's own script: pictures of F, and a text that a packed model continues. What is computed comes from
// binllm.js, which is examples/web/try.cpp. A page that a server sends may name a model, and what to do with it:
//   index.html?model=FOLDER&prompt=TEXT&tokens=N&temperature=X&seed=N
"use strict";

const element = (id) => document.getElementById(id);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);

// --- F and a row of weights ---------------------------------------------------------------------------------------

/// From the slider: 0, then exponentially to 100, and ∞ at its end.
function sharpness() {
  const part = element("sharpness").value / 1000;
  return part === 1 ? Infinity : 0.05 * (2000 ** part - 1);
}

/// Normal numbers, the same at each visit (mulberry32, Box and Muller).
function normalNumbers(count) {
  let state = 7;
  const uniform = () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 4294967296;
  };
  return Array.from({ length: count }, () =>
    0.75 * Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()));
}
const weights = normalNumbers(40);
const range = 2;

/// A canvas in as many pixels as it has on the screen, its paper and its axis.
function picture(id) {
  const canvas = element(id), ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const y = (value) => height / 2 - (value / (1.15 * range)) * (height / 2);
  pen.fillStyle = colour("--pale");
  pen.font = "12px system-ui, sans-serif";
  for (const value of [-1, 0, 1]) {
    pen.strokeStyle = colour("--line");
    pen.setLineDash(value === 0 ? [] : [4, 4]);
    pen.beginPath();
    pen.moveTo(0, y(value));
    pen.lineTo(width, y(value));
    pen.stroke();
    if (value !== 0) pen.fillText(value > 0 ? "+1" : "−1", 6, y(value) - 5);
  }
  pen.setLineDash([]);
  return { pen, width, y };
}

function drawCurve(F) {
  const { pen, width, y } = picture("curve");
  const x = (value) => width / 2 + (value / (1.1 * range)) * (width / 2);
  pen.strokeStyle = colour("--ink");
  pen.lineWidth = 2;
  pen.beginPath();
  for (let i = 0; i <= 400; ++i) {
    const value = -range + (2 * range * i) / 400;
    pen.lineTo(x(value), y(F(value)));
  }
  pen.stroke();
  for (const weight of weights) {
    pen.fillStyle = colour(weight < 0 ? "--minus" : "--plus");
    pen.beginPath();
    pen.arc(x(weight), y(F(weight)), 3.5, 0, 2 * Math.PI);
    pen.fill();
  }
}

function drawRow(F) {
  const { pen, width, y } = picture("row");
  const step = (width - 40) / weights.length;
  weights.forEach((weight, i) => {
    const left = 30 + i * step;
    pen.fillStyle = colour(weight < 0 ? "--minus" : "--plus");
    pen.globalAlpha = 0.25;
    pen.fillRect(left, Math.min(y(0), y(weight)), 0.8 * step, Math.abs(y(0) - y(weight)));
    pen.globalAlpha = 1;
    const bent = F(weight);
    pen.fillRect(left + 0.2 * step, Math.min(y(0), y(bent)), 0.4 * step, Math.abs(y(0) - y(bent)));
  });
}

function draw(program) {
  const t = sharpness(), F = (x) => program._try_progressive(x, t);
  element("t").value = t === Infinity ? "∞" : t.toPrecision(3);
  drawCurve(F);
  drawRow(F);
  const away = weights.reduce((sum, weight) => sum + Math.abs(F(weight) - Math.sign(weight)), 0) / weights.length;
  element("distance").textContent = `On average a weight is ${away.toFixed(3)} away from its sign.`;
}

/// Moves the slider from one end to the other in five seconds.
function play(program) {
  const start = performance.now();
  const frame = (now) => {
    const part = Math.min(1, (now - start) / 5000);
    element("sharpness").value = 1000 * part;
    draw(program);
    if (part < 1) requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}

// --- A model ------------------------------------------------------------------------------------------------------

const message = (program) => program.ccall("try_message", "string", [], []);

/// Opens files, [{name, bytes}], as a model folder.
function open(program, files) {
  const folder = "/model";
  if (!program.FS.analyzePath(folder).exists) program.FS.mkdir(folder);
  for (const name of program.FS.readdir(folder).filter((name) => !name.startsWith("."))) {
    program.FS.unlink(`${folder}/${name}`);
  }
  let total = 0;
  for (const { name, bytes } of files) {
    program.FS.writeFile(`${folder}/${name}`, bytes);
    total += bytes.length;
  }
  const opened = program.ccall("try_open", "number", ["string"], [folder]);
  element("model").textContent = message(program) + (opened ? `; ${(total / 1e6).toFixed(2)} MB of files` : "");
  element("go").disabled = !opened;
}

/// What an input has chosen; of a folder what stands directly in it.
async function chosen(input) {
  const direct = [...input.files].filter((file) => file.webkitRelativePath.split("/").length <= 2);
  const read = async (file) => ({ name: file.name, bytes: new Uint8Array(await file.arrayBuffer()) });
  return Promise.all(direct.map(read));
}

/// The files of a model folder that the server has.
async function fetched(model) {
  const names = ["config.json", "generation_config.json", "model.safetensors", "tokenizer.model", "tokenizer.json",
    "tokenizer_config.json", "vocab.json", "merges.txt"];
  const files = [];
  for (const name of names) {
    const answer = await fetch(`${model}/${name}`);
    if (answer.ok) files.push({ name, bytes: new Uint8Array(await answer.arrayBuffer()) });
  }
  return files;
}

let running = false;

/// Continues the text until it has its tokens, has ended, or is stopped. The page breathes between tokens.
async function goOn(program) {
  const begun = program.ccall("try_begin", "number", ["string", "number", "number"],
    [element("prompt").value, Number(element("temperature").value), Number(element("seed").value)]);
  const text = element("text"), prompt = document.createElement("b");
  text.textContent = "";
  element("speed").textContent = "";
  if (!begun) {
    text.textContent = message(program);
    return;
  }
  prompt.textContent = message(program);
  text.append(prompt);
  running = true;
  element("go").textContent = "Stop";
  let seconds = 0, made = 0;
  while (running && made < Number(element("tokens").value)) {
    const start = performance.now(), state = program._try_next();
    seconds += (performance.now() - start) / 1000;
    text.append(message(program));
    if (state !== 1) break;
    made += 1;
    const rate = seconds > 0 ? `, ${(made / seconds).toFixed(0)} a second` : "";
    element("speed").textContent = `${made} tokens${rate}`;
    await new Promise((done) => setTimeout(done));
  }
  running = false;
  element("go").textContent = "Go on";
}

// --- Together -----------------------------------------------------------------------------------------------------

async function begin() {
  if (typeof binllm === "undefined") {
    element("missing").hidden = false;
    return;
  }
  const program = await binllm();
  element("sharpness").addEventListener("input", () => draw(program));
  element("play").addEventListener("click", () => play(program));
  window.addEventListener("resize", () => draw(program));
  for (const id of ["folder", "files"]) {
    element(id).addEventListener("change", async () => open(program, await chosen(element(id))));
  }
  element("go").addEventListener("click", () => (running ? (running = false) : goOn(program)));
  const wishes = new URLSearchParams(location.search);
  for (const id of ["prompt", "tokens", "temperature", "seed", "sharpness"]) {
    if (wishes.has(id)) element(id).value = wishes.get(id);
  }
  draw(program);
  if (wishes.has("model")) {
    open(program, await fetched(wishes.get("model")));
    if (!element("go").disabled) await goOn(program);
    document.body.dataset.done = "yes";
  }
}

begin();
