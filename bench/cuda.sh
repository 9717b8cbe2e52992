#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Training steps on a GPU beside PyTorch, in one run and turn by turn: one table.
# usage: bench/cuda.sh BUILD_FOLDER        e.g. build/release
#   CONFIGS  which shapes (default "B C"; also A)
#   PEERS    "compiled eager" (default; eager for all but C), or less; each compilation takes one to two minutes
#   ROUNDS   turns of our program (default 3), each the median of 20 steps
#   PYTHON   default python3; the peer is skipped where it has no torch that sees a GPU, and the table says so
#   LOG      a file that keeps every run (default: none)
set -euo pipefail
bench=${1:?usage: cuda.sh BUILD_FOLDER}/bench/bench_train_step
here=$(dirname "$0")
configs=${CONFIGS:-B C} peers=${PEERS-compiled eager} rounds=${ROUNDS:-3} python=${PYTHON:-python3}
log=${LOG:-$(mktemp)}
[ -n "${LOG:-}" ] || trap 'rm -f "$log"' EXIT
: >"$log"
[ -x "$bench" ] || { echo "not built: $bench" >&2; exit 1; }

# run ROW COMMAND...: a line "ROW json" in the log
run() {
  local row=$1 json
  shift
  echo "  $row" >&2
  json=$("$@") || { echo "failed: $*" >&2; exit 1; }
  printf '%s %s\n' "$row" "$json" >>"$log"
}
# median ROW FIELD
median() {
  awk -v row="$1" -v field="\"$2\": " '$1 == row && (at = index($0, field)) {
    print substr($0, at + length(field)) + 0 }' "$log" | sort -n | awk '{ v[NR] = $1 } END { if (NR) print v[int((NR + 1) / 2)] }'
}
ratio() { awk -v a="${1:-}" -v b="${2:-}" 'BEGIN { if (a == "" || b == "" || b == 0) print "-"; else printf "%.3f\n", a / b }'; }

torch=yes
"$python" -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null || torch=no
for config in $configs; do
  for ((round = 0; round < rounds; round++)); do
    for mode in qat fp; do
      run "$config-$mode" "$bench" --config "$config" --mode "$mode" --device cuda --json
    done
  done
  run "$config-qat-recompute" "$bench" --config "$config" --mode qat --device cuda --recompute --json
  [ $torch = yes ] || continue
  for peer in $peers; do
    [ "$peer$config" != eagerC ] || continue
    flags=()
    [ "$peer" = compiled ] || flags=(--eager)
    run "$config-torch-$peer" "$python" "$here/peers/torch_gpu_step.py" --config "$config" --mode qat "${flags[@]}"
  done
done

[ $torch = yes ] || echo "no torch that sees a GPU in $python: its columns are empty"
echo "| row | ours | peer | ratio | floor | aim |"
echo "| --- | ---: | ---: | ---: | --- | --- |"
# row CONFIG TEXT FIELD OURS PEER FLOOR AIM
row() {
  local ours peer
  ours=$(median "$1-$4" "$3") peer=$(median "$1-$5" "$3")
  printf '| %s, %s | %s | %s | %s | %s | %s |\n' "$1" "$2" "$ours" "${peer:--}" "$(ratio "$ours" "$peer")" "$6" "$7"
}
for config in $configs; do
  compiled_floor="0.80" compiled_aim=1.15 memory_aim=0.7
  [ "$config" != C ] || compiled_aim=1.05 memory_aim=0.85
  row "$config" "QAT tokens/s over torch.compile" tokens_per_second qat torch-compiled "≥ $compiled_floor" "≥ $compiled_aim"
  [ "$config" = C ] || row "$config" "QAT tokens/s over eager" tokens_per_second qat torch-eager "≥ 1.5" "≥ 2.2"
  row "$config" "QAT step over full-precision step, ms" step_ms qat fp "≤ 1.05" "≤ 1.02"
  row "$config" "peak memory over torch.compile, GiB" peak_gib qat torch-compiled "≤ 1.0" "≤ $memory_aim"
  row "$config" "with --recompute: the same" peak_gib qat-recompute torch-compiled "" ""
  row "$config" "with --recompute: tokens/s over torch.compile" tokens_per_second qat-recompute torch-compiled "" ""
  row "$config" "seconds from start to the first step" first_step_seconds qat torch-compiled "≤ 10 s" "≤ 3 s"
done
