#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What it costs to start the program for work on the CPU: milliseconds (median; least, where the machine does other work
# too) and largest resident memory of a command that computes next to nothing. With a second program, built without CUDA,
# says what CUDA costs one that does not use it.
# usage: bench/startup.sh PROGRAM [PROGRAM...]       e.g. build/release/examples/binllm build/without-cuda/examples/binllm
#   RUNS  starts of each (default 51), turn by turn
set -euo pipefail
[ $# -gt 0 ] || { sed -n 's/^# usage: /usage: /p' "$0" >&2; exit 2; }
command -v /usr/bin/time >/dev/null || { echo "no /usr/bin/time here (Debian: apt install time)" >&2; exit 1; }
command=(bits --shape LLaMA2-7B)
for program in "$@"; do
  "$program" "${command[@]}" >/dev/null || { echo "does not run: $program ${command[*]}" >&2; exit 1; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for _ in $(seq "${RUNS:-51}"); do
  i=0
  for program in "$@"; do
    start=${EPOCHREALTIME/./}
    "$program" "${command[@]}" >/dev/null
    echo $((${EPOCHREALTIME/./} - start)) >>"$work/$((++i)).microseconds"
  done
done
median_and_least() { sort -n "$1" | awk '{ v[NR] = $1 } END { printf "%.1f %.1f\n", v[int((NR + 1) / 2)] / 1000, v[1] / 1000 }'; }
i=0
printf '%-44s %8s %8s %12s   %s\n' "binllm ${command[*]}" "ms" "least" "resident MB" "CUDA libraries at the start"
for program in "$@"; do
  /usr/bin/time -f %M "$program" "${command[@]}" 2>"$work/memory" >/dev/null
  loaded=$(ldd "$program" | grep -oE 'lib(cu|nv)[A-Za-z]+[.]so[.0-9]*' | sort -u | paste -sd' ' || true)
  read -r median least < <(median_and_least "$work/$((++i)).microseconds")
  printf '%-44s %8s %8s %12.1f   %s\n' "$program" "$median" "$least" "$(awk '{ print $1 / 1024 }' "$work/memory")" \
    "${loaded:-none}"
done
