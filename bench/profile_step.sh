#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Where the time of a training step goes: perf samples of bench_train_step, functions put together in groups, in percent.
# usage: bench/profile_step.sh BUILD_FOLDER [fp|qat]      e.g. build/release
#   CONFIGS  models side by side (default "A B"); STEPS (default 8), STEPS_B (default 3); THREADS (default 2)
# Samples count the time of all threads. Making the model and measuring the peak of the machine are left out; the first
# step, whose memory is fresh, is in. Needs perf (Debian: apt install linux-perf) and the right to use it.
set -euo pipefail
program=${1:?usage: profile_step.sh BUILD_FOLDER [fp|qat]}/bench/bench_train_step
mode=${2:-fp}
configs=${CONFIGS:-A B}
[ -x "$program" ] || { echo "not built: $program" >&2; exit 1; }
command -v perf >/dev/null || { echo "no perf here (Debian: apt install linux-perf)" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
perf record -q -o "$work/try" true 2>"$work/why" ||
  { echo "perf may not record here (see /proc/sys/kernel/perf_event_paranoid):" >&2; cat "$work/why" >&2; exit 1; }

for config in $configs; do
  steps=${STEPS:-8}
  if [ "$config" = B ]; then steps=${STEPS_B:-3}; fi
  perf record -q -F 997 -o "$work/samples" \
    "$program" --config "$config" --mode "$mode" --threads "${THREADS:-2}" --steps "$steps" --json >&2
  perf report -q -i "$work/samples" --stdio --no-children --sort symbol -t '|' 2>/dev/null | sed "s/^/$config|/" >>"$work/report"
done

# The first pattern that a function's name contains decides. A function that the compiler put into its caller counts
# there: so does the copying of the factors, in SerialGemm::run.
awk -F '|' -v configs="$configs" -v mode="$mode" '
BEGIN {
  n = split("register tile|copies into panels|attention rows|cross-entropy rows|binarising|AdamW and norms|" \
            "elementwise|zero, copy|waiting|kernel: pages, switches|rest", group, "|")
  outside = "fma_peak|fma_rate|initialise|Random|__(ieee754_)?(log|cos|sin|sincos)_|(log|cos|sin|sincos)(@|$)"
  pattern[1] = "RegisterTile"
  pattern[2] = "SerialGemm|Panels|ptranspose"
  pattern[3] = "Attention|Eigen::internal::(dense_assignment_loop|redux)"
  pattern[4] = "CrossEntropy|Softmax|Max, float|Times<float>, binllm::Elements"
  pattern[5] = "EstimatorRow|Binarize"
  pattern[6] = "AdamW|RmsNorm|GlobalNorm"
  pattern[7] = "map_block|reduce_row|gather_rows|scatter_add_rows|column_reduce|over_blocks"
  pattern[8] = "mem(set|move|cpy)"
  pattern[9] = "ThreadPool::(serve|run|watch)( |$)|clock_gettime|steady_clock|futex|pthread_"
  pattern[10] = "^\\[k\\]"
}
{
  name = $3
  sub(/ +$/, "", name)
  if (name == "" || name ~ outside) next
  for (g = 1; g < n && name !~ pattern[g]; ++g) {}
  share[$1, g] += $2
  total[$1] += $2
}
END {
  columns = split(configs, config, " ")
  printf "| %s, percent of the time |", mode
  for (c = 1; c <= columns; ++c) printf " %s |", config[c]
  printf "\n| --- |"
  for (c = 1; c <= columns; ++c) printf " --- |"
  printf "\n"
  for (g = 1; g <= n; ++g) {
    printf "| %s |", group[g]
    for (c = 1; c <= columns; ++c) printf " %.1f |", 100 * share[config[c], g] / total[config[c]]
    printf "\n"
  }
}' "$work/report"
