#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The table of docs/packed-kernels.md: packed products beside the ceilings and peers that are measured with them.
# usage: bench/inference.sh BUILD_FOLDER        e.g. build/release; about 6 minutes
#   ROUNDS   runs of each row, in turn; the table shows medians (default 3)
#   LOG      a file that keeps every run (default: none)
set -euo pipefail
build=${1:?usage: inference.sh BUILD_FOLDER}/bench
rounds=${ROUNDS:-3}
python=${PYTHON:-/usr/bin/python3}
log=${LOG:-$(mktemp)}
[ -n "${LOG:-}" ] || trap 'rm -f "$log"' EXIT
: >"$log"
for name in packed decode; do
  [ -x "$build/bench_$name" ] || { echo "not built: $build/bench_$name" >&2; exit 1; }
done

# A name that the table below knows, and what prints a line of JSON.
run() {
  local name=$1
  shift
  echo "  $name" >&2
  local json
  json=$("$@" --json)
  echo "$name $json" >>"$log"
}
packed() { run "$1" "$build/bench_packed" --rounds 5 "${@:2}"; }

for round in $(seq "$rounds"); do
  echo "round $round of $rounds" >&2
  for cols in 4096 11008; do
    for threads in 1 2; do
      packed "cache.$cols.$threads" --cols "$cols" --threads "$threads"
      packed "dram.$cols.$threads" --cols "$cols" --threads "$threads" --resident dram
      for batch in 8 32 128; do packed "batch$batch.$cols.$threads" --cols "$cols" --threads "$threads" --batch "$batch"; done
    done
    packed "avx2.$cols.2" --cols "$cols" --threads 2 --resident dram --isa avx2
    if [ -x "$build/bench_packed_blas" ]; then
      run "sgemv.$cols" "$build/bench_packed_blas" --cols "$cols" --rounds 3
      run "sgemm.$cols" "$build/bench_packed_blas" --cols "$cols" --batch 128 --rounds 3
    fi
  done
  for shape in 135M 1B; do
    for head in bf16 int8; do run "decode.$shape.$head" "$build/bench_decode" --shape $shape --head $head --rounds 3; done
  done
done

"$python" - "$log" <<'END'
import json, statistics, sys

runs = {}
for line in open(sys.argv[1]):
    name, text = line.split(" ", 1)
    runs.setdefault(name, []).append(json.loads(text))

def median(name, field):
    return statistics.median(run[field] for run in runs[name])

def line(*cells):
    print("| " + " | ".join(cells) + " |")

def share(what, name, field, floor, aim):
    """One cell for 4096 x 4096 and one for 4096 x 11008."""
    values = [median(name.format(cols), field) for cols in (4096, 11008)]
    line(what, *(f"{value:.2f}" for value in values), floor, aim)

def scaling(what, name, floor, aim):
    values = [median(name.format(cols, 1), "microseconds") / median(name.format(cols, 2), "microseconds")
              for cols in (4096, 11008)]
    line(what, *(f"{value:.2f}" for value in values), floor, aim)

line("row", "4096 × 4096", "4096 × 11008", "floor", "aim")
line("---", "---", "---", "---", "---")
share("int8, one token, from cache, 1 thread: share of the read loop", "cache.{}.1", "share_of_read", "0.42", "0.60")
share("int8, one token, from memory, 2 threads: share of the read loop", "dram.{}.2", "share_of_read", "0.80", "0.95")
share("the same, 1 thread", "dram.{}.1", "share_of_read", "0.65", "0.80")
for batch in (8, 32, 128):
    share(f"int8, {batch} tokens, 1 thread, over the vpdpbusd rate", f"batch{batch}.{{}}.1", "over_vpdpbusd", "1.3", "2.0")
if "sgemv.4096" in runs:
    share("float, one token, over sgemv on unpacked weights", "sgemv.{}", "over_blas", "12", "16")
    share("float, 128 tokens, over sgemm", "sgemm.{}", "over_blas", "2.3", "3")
else:
    line("float activations over the system's BLAS", "skipped: no bench_packed_blas", "", "", "")
share("AVX2, one token, from memory, 2 threads: share of the read loop", "avx2.{}.2", "share_of_read", "0.75", "0.85")
scaling("2 threads over 1: one token, from cache", "cache.{}.{}", "1.6", "1.8")
for batch in (32, 128):
    scaling(f"2 threads over 1: {batch} tokens", f"batch{batch}.{{}}.{{}}", "1.8", "1.95")

print()
line("decoding, 2 threads", "tokens/s", "prompt tokens/s", "share of its matrix-vector products", "floor", "aim")
line(*["---"] * 6)
for shape in ("135M", "1B"):
    for head in ("bf16", "int8"):
        name = f"decode.{shape}.{head}"
        line(f"{shape}, head in {head}", f"{median(name, 'decode_tokens_per_second'):.1f}",
             f"{median(name, 'prefill_tokens_per_second'):.0f}", f"{median(name, 'share_of_products'):.2f}", "0.75", "0.90")
END
