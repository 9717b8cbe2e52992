#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The table of docs/performance.md: every row in one go, ours and its peer turn by turn, medians over the rounds.
# usage: bench/performance.sh BUILD_FOLDER        e.g. build/release
#   ROWS     which rows (default "step memory gemm cross_entropy tiny growth")
#   ROUNDS   turns of each program (default 3); STEPS, STEPS_B timed steps of a turn (default 5, and 2 for B)
#   THREADS  of everything that is not said to have one (default 2)
#   PYTHON   default python3; rows that need its torch (a current one: pip install torch) are skipped where it has none,
#            and say so
#   LOG      a file that keeps every run (default: none)
set -euo pipefail
build=${1:?usage: performance.sh BUILD_FOLDER}/bench
here=$(dirname "$0")
rows=${ROWS:-step memory gemm cross_entropy tiny growth} rounds=${ROUNDS:-3} threads=${THREADS:-2}
python=${PYTHON:-python3}
log=${LOG:-$(mktemp)}
[ -n "${LOG:-}" ] || trap 'rm -f "$log"' EXIT
: >"$log"
torch=
if "$python" -c 'import torch' 2>/dev/null; then torch=yes; fi

for row in $rows; do
  case $row in step | memory | gemm | cross_entropy | tiny | growth) ;; *) echo "no such row: $row" >&2; exit 2 ;; esac
done
for name in train_step gemm cross_entropy tiny; do
  [ -x "$build/bench_$name" ] || { echo "not built: $build/bench_$name" >&2; exit 1; }
done

wanted() { [[ " $rows " == *" $1 "* ]]; }
# One run: a name that the table below knows, and what prints a line of JSON. Fails where that fails.
run() {
  local name=$1
  shift
  echo "  $name" >&2
  local json
  json=$("$@" --json) || return
  echo "$name $json" >>"$log"
}
steps_of() { if [ "$1" = B ]; then echo "${STEPS_B:-2}"; else echo "${STEPS:-5}"; fi; }
# What is trained: CONFIGURATION.MODE.PRECISION
words_of() { echo --config "${1%%.*}" --mode "$(cut -d. -f2 <<<"$1")" --precision "${1##*.}"; }
ours() {  # name, what is trained, steps, more arguments
  # shellcheck disable=SC2046
  run "$1" "$build/bench_train_step" $(words_of "$2") --threads "$threads" --steps "$3" "${@:4}"
}
theirs() {  # name, what is trained, steps, what stands before the program
  # shellcheck disable=SC2046
  [ -z "$torch" ] ||
    run "$1" "${@:4}" "$python" "$here/peers/torch_step.py" $(words_of "$2") --threads "$threads" --steps "$3" ||
    echo "  skipped: $1" >&2  # a torch that cannot compile
}
tuned=(env MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000)
models="A.fp.float32 A.fp.bf16 A.qat.float32 B.fp.float32 B.fp.bf16 B.qat.float32 B.qat.bf16"
with_peer="A.fp.float32 A.fp.bf16 B.fp.float32 B.qat.float32 B.qat.bf16"  # each as it is, and with the allocator tuned
large="A.fp.float32 A.fp.bf16 B.fp.float32 B.qat.float32 B.qat.bf16"  # whose memory is compared

step() {
  local model steps
  for model in $models; do
    steps=$(steps_of "${model%%.*}")
    ours "$model" "$model" "$steps"
    [[ " $with_peer " == *" $model "* ]] || continue
    theirs "$model.torch" "$model" "$steps"
    theirs "$model.tuned" "$model" "$steps" "${tuned[@]}"
  done
}
memory() {  # the peak is reached in the first steps, and hardly varies: once
  local model
  for model in $large; do
    ours "$model.recompute" "$model" 1 --recompute
    if ! wanted step; then
      ours "$model.peak" "$model" 1
      theirs "$model.torch.peak" "$model" 1
    fi
  done
}
gemm() {
  for count in 2 1; do
    run "gemm$count" "$build/bench_gemm" --threads $count --rounds 5
    run "gemm$count.bf16" "$build/bench_gemm" --threads $count --rounds 5 --precision bf16
    [ ! -x "$build/bench_gemm_blas" ] || run "blas$count" "$build/bench_gemm_blas" --threads $count --rounds 3
  done
}
cross_entropy() {
  run cross_entropy "$build/bench_cross_entropy" --threads "$threads"
  [ -z "$torch" ] || run cross_entropy.torch "$python" "$here/peers/torch_cross_entropy.py" --threads "$threads" ||
    echo "  skipped: cross_entropy.torch" >&2
}
tiny() { run tiny "$build/bench_tiny"; }
growth() {
  local config
  for config in 1M 4M 40M; do ours "$config.fp.float32" "$config.fp.float32" "$(steps_of "$config")"; done
  if ! wanted step; then
    for config in A B; do ours "$config.fp.float32" "$config.fp.float32" "$(steps_of "$config")"; done
  fi
}

for round in $(seq "$rounds"); do
  for row in $rows; do
    if [ "$row" = memory ] && [ "$round" -gt 1 ]; then continue; fi
    echo "round $round of $rounds, $row" >&2
    $row
  done
done

"$python" - "$log" "$rows" <<'END'
import json, statistics, sys

runs, rows = {}, sys.argv[2].split()
for line in open(sys.argv[1]):
    name, text = line.split(" ", 1)
    runs.setdefault(name, []).append(json.loads(text))

def median(name, field):
    return statistics.median(run[field] for run in runs[name])

def line(what, ours, peer, ratio, floor="", aim=""):
    print("| " + " | ".join((what, ours, peer, ratio, floor, aim)) + " |")

def compare(what, ours, peer, field, unit, floor, aim, scale=1.0, inverse=False, digits=0):
    """Ours beside a peer; the ratio is ours over theirs, or theirs over ours for times."""
    if peer not in runs:
        return line(what, f"{median(ours, field) * scale:.{digits}f} {unit}", "skipped: no torch that runs it", "", floor, aim)
    a, b = median(ours, field) * scale, median(peer, field) * scale
    line(what, f"{a:.{digits}f} {unit}", f"{b:.{digits}f} {unit}", f"{b / a if inverse else a / b:.2f}", floor, aim)

def words_of(model):
    config, mode, precision = model.split(".")
    return f"{config}, {'full precision' if mode == 'fp' else 'binary (QAT)'}, {precision}"

def best_peer(model):
    """PyTorch with the allocator that makes it faster."""
    peers = [name for name in (model + ".torch", model + ".tuned") if name in runs]
    return max(peers, key=lambda name: median(name, "tokens_per_second"), default=model + ".torch")

def step():
    bounds = {"A.fp.float32": ("≥ 1.4", "≥ 1.7"), "A.fp.bf16": ("≥ 1.75", "≥ 2.8"), "B.fp.float32": ("", ""),
              "B.qat.float32": ("≥ 1.6", "≥ 2.0"), "B.qat.bf16": ("≥ 1.4", "≥ 2.2")}
    for model, (floor, aim) in bounds.items():
        compare(words_of(model) + ", over PyTorch", model, best_peer(model), "tokens_per_second", "tokens/s", floor, aim)
    for config, precision, floor, aim in (("A", "float32", "≤ 1.05", "≤ 1.02"), ("B", "float32", "≤ 1.10", "≤ 1.05"),
                                          ("B", "bf16", "≤ 1.10", "≤ 1.05")):
        a, b = (median(f"{config}.{mode}.{precision}", "step_ms") for mode in ("qat", "fp"))
        line(f"{config}, {precision}, binary step over full-precision step", f"{a:.0f} ms", f"{b:.0f} ms", f"{a / b:.2f}",
             floor, aim)
    for model, floor, aim in (("A.fp.float32", "≥ 0.55", "≥ 0.70"), ("B.fp.float32", "≥ 0.50", "≥ 0.65"),
                              ("A.fp.bf16", "", ""), ("B.fp.bf16", "", "")):
        share, peak = (median(model, "peak_" + field) for field in ("share", "gflops"))
        line(f"{words_of(model)}, whole step, share of the peak", f"{share * peak:.0f} GFLOP/s", f"{peak:.0f} GFLOP/s",
             f"{share:.2f}", floor, aim)

def memory():
    bounds = {"A.fp.float32": ("", ""), "A.fp.bf16": ("≤ 0.45", "≤ 0.30"), "B.fp.float32": ("", ""),
              "B.qat.float32": ("", ""), "B.qat.bf16": ("≤ 0.65", "≤ 0.55")}
    for model, (floor, aim) in bounds.items():
        words = words_of(model)
        ours, peer = (name + ".peak" if name + ".peak" in runs else name for name in (model, model + ".torch"))
        recompute = model + ".recompute"
        share = dict(field="peak_rss_bytes", unit="MB", scale=1e-6)
        compare(f"{words}: peak memory over PyTorch's", ours, peer, floor=floor, aim=aim, **share)
        compare(f"{words}, --recompute: the same", recompute, peer, floor="", aim="", **share)
        for name, note in (ours, ""), (recompute, ", --recompute"):
            a, b = median(name, "predicted_bytes"), median(name, "peak_rss_bytes")
            line(f"{words}{note}: predicted over measured peak", f"{a / 1e6:.0f} MB", f"{b / 1e6:.0f} MB", f"{a / b:.3f}")

def gemm():
    for count, words in ("2", "2 threads"), ("1", "1 thread"):
        share = median("gemm" + count, "mean")
        line(f"matrix products, {words}, share of the FMA peak", f"{share:.2f}", "1", f"{share:.2f}", "≥ 0.75", "≥ 0.80")
        share, bounds = median(f"gemm{count}.bf16", "mean"), ("≥ 0.5", "≥ 0.7") if count == "1" else ("≥ 0.45", "≥ 0.65")
        line(f"matrix products in bf16, {words}, share of the peak of their instruction", f"{share:.2f}", "1",
             f"{share:.2f}", *bounds)
        what = f"the same beside the system's BLAS, {words}"
        if "blas" + count not in runs:
            line(what, "", "skipped: no bench_gemm_blas", "")
            continue
        a, b = (median("blas" + count, field) for field in ("own", "blas"))
        line(what, f"{a:.2f}", f"{b:.2f}", f"{a / b:.2f}")

def cross_entropy():
    compare("cross-entropy, 2048 × 32000, over PyTorch", "cross_entropy", "cross_entropy.torch", "ms", "ms", "", "",
            inverse=True, digits=1)

def tiny():
    line("64-64-1 perceptron, all gradients", f"{median('tiny', 'perceptron_us'):.2f} µs", "", "", "≤ 8 µs", "≤ 3 µs")

def growth():
    found = {c: median(c + ".fp.float32", "parameters_times_tokens_per_second") for c in ("1M", "4M", "A", "40M", "B")}
    low, high = min(found, key=found.get), max(found, key=found.get)
    line("parameters × tokens/s, 1M to B: smallest over largest", f"{found[low]:.2e} ({low})",
         f"{found[high]:.2e} ({high})", f"{found[low] / found[high]:.2f}", "≥ 0.75", "≥ 0.85")

print("| row | ours | peer | ratio or share | floor | aim |\n| --- | --- | --- | --- | --- | --- |")
for row in rows:
    globals()[row]()
END
