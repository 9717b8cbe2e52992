#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Seconds (processor time, median) and peak compiler memory of single units with the plain flags of a user.
# usage: bench/compile_time.sh [COMPILER=g++] [FLAGS=-O2]      REPEATS (default 3)
set -euo pipefail
compiler=${1:-g++} flags=${2:--O2}
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
includes="-I$root/include -I$(pkg-config --variable=prefix eigen3 2>/dev/null || echo /usr)/include/eigen3"

measure() {  # what, budget in seconds (or -), file, more flags
  local runs=() i
  for i in $(seq "${REPEATS:-3}"); do
    runs+=("$( { /usr/bin/time -f '%U %S %M' "$compiler" -std=c++20 $flags $includes ${4:-} -c "$3" -o "$work/unit.o" 2>"$work/log"; tail -1 "$work/log"; } )")
  done
  printf '%s\n' "${runs[@]}" | awk '{print $1 + $2, $3}' | sort -n |
    awk -v what="$1" -v budget="$2" '{s[NR] = $1; m[NR] = $2} END {k = int((NR + 1) / 2); printf "%-44s %6.2f s (budget %s)  %5.0f MB\n", what, s[k], budget, m[k] / 1024}'
}

echo '#include <binllm/binllm.hpp>' > "$work/umbrella.cpp"
measure "umbrella alone" 2.5 "$work/umbrella.cpp"
measure "north-star program, header-only" 14 "$root/bench/compile_time/north_star.cpp"
measure "north-star program, binllm::compiled" 7 "$root/bench/compile_time/north_star.cpp" "-include binllm/compiled.hpp"
