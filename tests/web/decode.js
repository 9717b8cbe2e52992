// SPDX-License-Identifier: MIT
// Continues a text with a packed model folder by the page's program, in node: the most likely tokens.
// usage: node decode.js BINLLM.JS MODEL PROMPT TOKENS
"use strict";
const fs = require("fs"), path = require("path");

async function main([script, model, prompt, tokens]) {
  const program = await require(path.resolve(script))();
  const message = () => program.ccall("try_message", "string", [], []);
  const check = (well) => {
    if (!well) throw new Error(message());
  };
  program.FS.mkdir("/model");
  for (const name of fs.readdirSync(model)) {
    program.FS.writeFile(`/model/${name}`, fs.readFileSync(path.join(model, name)));
  }
  check(program.ccall("try_open", "number", ["string"], ["/model"]));
  console.error(message());
  check(program.ccall("try_begin", "number", ["string", "number", "number"], [prompt, 0, 1]));
  let text = message(), state = 1, made = 0;
  const start = performance.now();
  for (; state === 1 && made < Number(tokens); ++made) {
    state = program._try_next();
    check(state >= 0);
    text += message();
  }
  console.error(`${((1000 * made) / (performance.now() - start)).toFixed(0)} tokens a second`);
  console.log(text);
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
