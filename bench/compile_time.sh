#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What single units cost to compile with the plain flags of a user: seconds of processor time, the same as multiples of
# a unit that includes <Eigen/Dense> alone, and peak memory of the compiler. Units take turns, so that what else the
# machine does meets all of them; medians.
# usage: bench/compile_time.sh [COMPILER=g++] [FLAGS=-O2]      REPEATS (default 5)
set -euo pipefail
compiler=${1:-g++} flags=${2:--O2}
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/bench/support/needs.sh"
need_program "$compiler" /usr/bin/time
[ -f "$(pkg-config --variable=prefix eigen3 2>/dev/null || echo /usr)/include/eigen3/Eigen/Dense" ] || missing "no Eigen (Debian: libeigen3-dev)"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
includes="-I$root/include -isystem $(pkg-config --variable=prefix eigen3 2>/dev/null || echo /usr)/include/eigen3"

# name, wanted multiple, what
units="eigen 1 <Eigen/Dense>
umbrella - umbrella, header-only
umbrella_compiled 1.6 umbrella, binllm::compiled
program 12 north-star program, header-only
program_compiled 3 north-star program, binllm::compiled"
echo '#include <Eigen/Dense>' > "$work/eigen.cpp"
echo '#include <binllm/binllm.hpp>' > "$work/umbrella.cpp"
echo '#include <binllm/compiled.hpp>' > "$work/umbrella_compiled.cpp"
cp "$root/bench/compile_time/north_star.cpp" "$work/program.cpp"
sed 's#<binllm/binllm.hpp>#<binllm/compiled.hpp>#' "$work/program.cpp" > "$work/program_compiled.cpp"

for _ in $(seq "${REPEATS:-5}"); do
  while read -r name _; do
    /usr/bin/time -f '%U %M' "$compiler" -std=c++20 $flags $includes -c "$work/$name.cpp" -o "$work/unit.o" \
      2>"$work/log" || { cat "$work/log" >&2; exit 1; }
    tail -1 "$work/log" >> "$work/$name.runs"
  done <<< "$units"
done

median() { cut -d' ' -f"$2" "$work/$1.runs" | sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
unit=$(median eigen 1)
printf '%-40s %9s %9s %9s %8s\n' "$compiler $flags" seconds multiple wanted MB
while read -r name wanted what; do
  printf '%s %s %s\n' "$(median "$name" 1)" "$unit" "$(median "$name" 2)" |
    awk -v what="$what" -v wanted="$wanted" '{printf "%-40s %9.2f %9.2f %9s %8.0f\n", what, $1, $1 / $2, wanted, $3 / 1024}'
done <<< "$units"
