#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# bench_train_step beside PyTorch in one run, turn by turn, so that both meet the same disturbances.
# usage: bench/compare_torch.sh PROGRAM [--config 1M|4M|A|40M|B] [--mode fp|qat] [--precision float32|bf16] [--threads N]
#                               [--steps K] [--recompute]
#   PROGRAM      the built bench_train_step, e.g. build/release/bench/bench_train_step
#   --recompute  is ours alone: PyTorch keeps its activations
#   ROUNDS       turns of each program (default 3); PYTHON (default python3) must have a current torch (pip install torch)
#   TUNED=1      PyTorch takes a second turn, with glibc's allocator told to keep its memory: faster at times, and larger
# Prints every run, then the ratios of the medians over the rounds.
set -euo pipefail
program=${1:?usage: compare_torch.sh PROGRAM [--config NAME] [--mode fp|qat] [--precision P] [--threads N] [--steps K] [--recompute]}
shift
python=${PYTHON:-python3}
peer=$(dirname "$0")/peers/torch_step.py
. "$(dirname "$0")/support/needs.sh"
need_program "$program"
need_module "$python" torch
theirs=()
for word in "$@"; do [ "$word" = --recompute ] || theirs+=("$word"); done

runs=$(mktemp)
trap 'rm -f "$runs"' EXIT
for _ in $(seq "${ROUNDS:-3}"); do
  echo "binllm $("$program" "$@" --json)" | tee -a "$runs"
  echo "PyTorch $("$python" "$peer" "${theirs[@]}" --json)" | tee -a "$runs"
  [ -z "${TUNED:-}" ] ||
    echo "tuned-PyTorch $(MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000 "$python" "$peer" "${theirs[@]}" --json)" |
      tee -a "$runs"
done
"$python" - "$runs" <<'END'
import json, statistics, sys
runs = [line.split(" ", 1) for line in open(sys.argv[1])]
def median(who, field):
    return statistics.median(json.loads(text)[field] for name, text in runs if name == who)
for peer in sorted({name for name, _ in runs} - {"binllm"}):
    for field, text in (("tokens_per_second", "tokens/s"), ("processor_ms", "ms of processors a step"),
                        ("peak_rss_bytes", "peak memory")):
        ours, theirs = median("binllm", field), median(peer, field)
        print(f"{text}: binllm {ours:.0f}, {peer} {theirs:.0f}, ratio {ours / theirs:.2f}")
END
