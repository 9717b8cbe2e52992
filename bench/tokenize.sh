#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# bench_tokenize beside Hugging Face's `tokenizers`, turn by turn on one thread: medians over the rounds, one table.
# usage: bench/tokenize.sh BUILD_FOLDER TEXT TOKENIZER...      e.g. build/release valid.txt gpt2/ neox/tokenizer.json
#   ROUNDS   turns of each program (default 3)
#   PREFIX   what stands before each program, e.g. "taskset -c 2" (default: nothing)
#   PYTHON   default python3; the peer is skipped where it has no tokenizers, and the table says so
set -euo pipefail
usage="usage: tokenize.sh BUILD_FOLDER TEXT TOKENIZER..."
build=${1:?$usage}/bench text=${2:?$usage} here=$(dirname "$0")
shift 2
[ $# -gt 0 ] || { echo "$usage" >&2; exit 2; }
rounds=${ROUNDS:-3} python=${PYTHON:-python3}
read -ra prefix <<<"${PREFIX:-}"
. "$here/support/needs.sh"
need_program "$build/bench_tokenize" "$python"
need_text "$text"
log=$(mktemp)
trap 'rm -f "$log"' EXIT

for _ in $(seq "$rounds"); do
  for tokenizer in "$@"; do
    options=(--tokenizer "$tokenizer" --text "$text" --json)
    echo "$tokenizer ours $("${prefix[@]}" "$build/bench_tokenize" "${options[@]}")" >>"$log"
    code=0
    json=$("${prefix[@]}" "$python" "$here/peers/hf_tokenize.py" "${options[@]}" --repeats 1) || code=$?
    [ $code = 0 ] || [ $code = 3 ] || exit $code
    [ $code = 3 ] || echo "$tokenizer peer $json" >>"$log"
  done
done

"$python" - "$log" <<'END'
import json, statistics, sys

runs = {}
for line in open(sys.argv[1]):
    name, who, values = line.split(" ", 2)
    runs.setdefault(name, {}).setdefault(who, []).append(json.loads(values))

def median(name, who, field):
    if who not in runs[name]:
        return "skipped: no tokenizers"
    return f"{statistics.median(run[field] for run in runs[name][who]):.2f}"

print("| tokenizer | tokens | binllm, MB/s | tokenizers, whole text | by lines | load, s | tokenizers |")
print("|" + " --- |" * 7)
for name in runs:
    ids = {run["tokens"] for who in runs[name] for run in runs[name][who]}
    print("|", " | ".join([name, "=".join(str(count) for count in sorted(ids)),
                           median(name, "ours", "megabytes_per_second"), median(name, "peer", "megabytes_per_second"),
                           median(name, "peer", "by_lines_megabytes_per_second"), median(name, "ours", "load_seconds"),
                           median(name, "peer", "load_seconds")]), "|")
END
