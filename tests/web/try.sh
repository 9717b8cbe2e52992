#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The page of docs/try says what the program says: a small model is trained and packed, and the greedy text of the
# native program compared with that of the page's program in node, and of the page itself in a browser without a window.
# usage: tests/web/try.sh PROGRAM PAGE [MODEL]      e.g. build/release/examples/binllm build/wasm/try
#   MODEL     a packed model folder in place of the small one, which takes a few minutes to train
#   CHROMIUM  the browser, default chromium; skipped where there is none
# Leaves a picture of the page: PAGE/try.png.
set -euo pipefail
usage="usage: try.sh PROGRAM PAGE [MODEL]"
program=$(realpath "${1:?$usage}") page=$(realpath -m "${2:?$usage}") model=${3:-}
here=$(realpath "$(dirname "$0")") browser=${CHROMIUM:-chromium} prompt="Once upon a time" tokens=100
skip() { echo "skipped: $*"; exit 0; }
command -v node >/dev/null || skip "no node"
[ -f "$page/binllm.js" ] || skip "no $page/binllm.js: cmake --preset wasm && cmake --build --preset wasm, by emscripten"
work=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server"; fi; rm -rf "$work"' EXIT
if [ -z "$model" ]; then
  "$program" demo --tokens 150000 --out "$work/demo" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
  model=$work/demo/packed
fi
mkdir "$work/site"
cp "$page"/{binllm.js,index.html,page.js,style.css} "$work/site"
cp -r "$model" "$work/site/model"

compare() {  # what, file
  cmp -s "$work/native" "$2" && { echo "$1: the same $tokens tokens"; return; }
  echo "$1: another text than the program's" >&2
  diff "$work/native" "$2" >&2 || true
  exit 1
}
"$program" generate --model "$model" --prompt "$prompt" --max-tokens $tokens --no-stream >"$work/native"
node "$here/decode.js" "$page/binllm.js" "$model" "$prompt" $tokens >"$work/node"
compare "the page's program in node" "$work/node"

command -v "$browser" >/dev/null || skip "the page itself: no $browser"
node "$here/serve.js" "$work/site" >"$work/port" &
server=$!
for _ in $(seq 50); do [ -s "$work/port" ] || sleep 0.1; done
wishes="model=model&tokens=$tokens&sharpness=520&prompt=${prompt// /%20}"
address="http://127.0.0.1:$(cat "$work/port")/index.html?$wishes"
# Virtual time does not wait for WebAssembly to be compiled, so a visit may end before the text does.
visit() {
  timeout 120 "$browser" --headless=new --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$work/browser" \
    --window-size=1000,1420 --virtual-time-budget=60000 --screenshot="$page/try.png" --dump-dom "$address" \
    >"$work/page.html" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
  grep -q '<body data-done="yes">' "$work/page.html"
}
for attempt in 1 2 3 4 5; do
  visit && break
  [ "$attempt" != 5 ] || { echo "the page in $browser did not come to an end" >&2; exit 1; }
done
node -e '
  const text = require("fs").readFileSync(0, "utf8").match(/<pre id="text">([^]*?)<\/pre>/)[1].replace(/<[^>]*>/g, "");
  const letters = { "&lt;": "<", "&gt;": ">", "&nbsp;": "\u00a0", "&amp;": "&" };
  console.log(text.replace(/&\w+;/g, (name) => letters[name]));' <"$work/page.html" >"$work/browser.text"
compare "the page in $browser" "$work/browser.text"
echo "a picture of the page: $page/try.png"
