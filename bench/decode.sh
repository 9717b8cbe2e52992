#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Packed decoding beside llama.cpp: bench_decode and its peer turn by turn, medians over the rounds, one table; and what
# a key-value cache takes for a text of 8192 tokens.
# usage: bench/decode.sh BUILD_FOLDER        e.g. build/release
#   SHAPES   which models (default "135M 1B"; also 7B)
#   THREADS  default "1 2"
#   HEADS    default "bf16 int8"; the peer's embedding and head are f16 and q8_0 then
#   TYPES    the peer's linear layers (default "Q1_0 TQ2_0"; also TQ1_0, Q2_K, Q4_0)
#   ROUNDS   turns of each program (default 3), each the median of REPEATS (default 3) of PROMPT and TOKENS (128 and 32)
#   PREFIX   what stands before each program, e.g. "taskset -c 2,3" (default: nothing)
#   PYTHON   default python3; the peer is skipped where it has no llama-cpp-python and gguf, and the table says so
#   LOG      a file that keeps every run (default: none)
set -euo pipefail
build=${1:?usage: decode.sh BUILD_FOLDER}/bench
here=$(dirname "$0")
shapes=${SHAPES:-135M 1B} threads=${THREADS:-1 2} heads=${HEADS:-bf16 int8} types=${TYPES:-Q1_0 TQ2_0}
rounds=${ROUNDS:-3} python=${PYTHON:-python3}
size=(--prompt "${PROMPT:-128}" --tokens "${TOKENS:-32}" --rounds "${REPEATS:-3}")
read -ra prefix <<<"${PREFIX:-}"
log=${LOG:-$(mktemp)}
[ -n "${LOG:-}" ] || trap 'rm -f "$log"' EXIT
: >"$log"
declare -A skipped=()

[ -x "$build/bench_decode" ] || { echo "not built: $build/bench_decode" >&2; exit 1; }
for head in $heads; do
  case $head in bf16 | int8) ;; *) echo "no such head: $head" >&2; exit 2 ;; esac
done

# One run: the row's name, "ours" or the peer's type, and what prints a line of JSON. The peer's 3: no packages.
run() {
  local row=$1 who=$2 json code=0
  shift 2
  echo "  $row $who" >&2
  json=$("${prefix[@]}" "$@" "${size[@]}" --json) || code=$?
  if [ $code = 3 ] && [ "$who" != ours ]; then
    skipped[$who]=yes
  elif [ $code != 0 ] || [ -z "$json" ]; then
    echo "failed with $code: $*" >&2
    exit 1
  else
    echo "$row $who $json" >>"$log"
  fi
}
turn() {  # shape, threads, head
  local options=(--shape "$1" --threads "$2") peer_head=f16
  [ "$3" = bf16 ] || peer_head=q8_0
  run "$1.$2.$3" ours "$build/bench_decode" "${options[@]}" --head "$3"
  for type in $types; do
    [ -n "${skipped[$type]:-}" ] ||
      run "$1.$2.$3" "$type" "$python" "$here/peers/llama_cpp.py" "${options[@]}" --type "$type" --head $peer_head
  done
}

for round in $(seq "$rounds"); do
  for shape in $shapes; do
    echo "round $round of $rounds, $shape" >&2
    for count in $threads; do
      for head in $heads; do turn "$shape" "$count" "$head"; done
    done
  done
done

# The cache alone: a few tokens are read, room is made for all.
cached_tokens=8192
for shape in $shapes; do
  for cache in float bf16 int8; do
    echo "cache of $shape in $cache" >&2
    echo "$shape.cache $cache $("${prefix[@]}" "$build/bench_decode" --shape "$shape" --cache "$cache" \
      --capacity $cached_tokens --prompt 8 --tokens 2 --rounds 1 --json)" >>"$log"
  done
done

"$python" - "$log" "$types" <<'END'
import json, statistics, sys

runs, types = {}, sys.argv[2].split()
for text in open(sys.argv[1]):
    row, who, values = text.split(" ", 2)
    runs.setdefault(row, {}).setdefault(who, []).append(json.loads(values))

def line(*cells):
    print("| " + " | ".join(cells) + " |")

def bounds(shape, threads, head, kind):
    """Floor and aim of decoding over Q1_0."""
    if kind != "Q1_0":
        return "", ""
    if (threads, head) == ("2", "int8") and shape != "7B":
        return ("≥ 4.0", "≥ 4.5") if shape == "135M" else ("≥ 3.0", "≥ 3.5")
    return "≥ 3" if shape == "7B" else "≥ 1.5" if head == "bf16" else "≥ 1.9", ""

def median(row, who, field):
    return statistics.median(run[field] for run in runs[row][who])

def compare(what, row, kind, field, digits, bound="", aim=""):
    ours = median(row, "ours", field)
    if kind not in runs[row]:
        return line(f"{what} over {kind}", f"{ours:.{digits}f} tokens/s", "skipped: no llama-cpp-python", "", bound, aim)
    peer = median(row, kind, field)
    line(f"{what} over {kind}", f"{ours:.{digits}f} tokens/s", f"{peer:.{digits}f} tokens/s", f"{ours / peer:.2f}",
         bound, aim)

line("row", "ours", "llama.cpp", "ratio or share", "floor", "aim")
line(*["---"] * 6)
for row in runs:
    if row.endswith(".cache"):
        continue
    shape, threads, head = row.split(".")
    what = f"{shape}, {threads} thread{'s' if threads != '1' else ''}, {head} head"
    for kind in types:
        compare(what + ": decode", row, kind, "decode_tokens_per_second", 1, *bounds(shape, threads, head, kind))
    for kind in types:
        compare(what + ": prefill", row, kind, "prefill_tokens_per_second", 0)
    whole, products = (median(row, "ours", field) for field in ("decode_microseconds", "product_microseconds"))
    share = median(row, "ours", "share_of_products")
    line(what + ": decode over its products alone", f"{1e6 / whole:.1f} tokens/s",
         f"{1e6 / products:.1f} tokens/s (ours)", f"{share:.2f}", "≥ 0.75", "≥ 0.90")
for row in runs:
    if row.endswith(".cache"):
        size = {cache: median(row, cache, "cache_bytes") for cache in runs[row]}
        for cache in ("bf16", "int8"):
            tokens = median(row, cache, "capacity")
            line(f"{row.split('.')[0]}, cache of {tokens} tokens in {cache} over float", f"{size[cache] / 1e6:.1f} MB",
                 f"{size['float'] / 1e6:.1f} MB (ours)", f"{size[cache] / size['float']:.3f}", "≤ 0.5",
                 "≤ 0.27" if cache == "int8" else "")
END
