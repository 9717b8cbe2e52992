#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What it takes to load a model: seconds and peak memory of a program that computes one window of 16 tokens, and of
# transformers doing the same (imports not counted in its seconds), one after the other, the median of three.
# usage: [PYTHON=python3] bench/load.sh build/release/examples/binllm MODEL...
set -euo pipefail
program=${1:?usage: load.sh PROGRAM MODEL...}
shift
here=$(cd "$(dirname "$0")" && pwd)
. "$here/support/needs.sh"
need_program "$program" /usr/bin/time
need_model "$@"
need_module "${PYTHON:-python3}" transformers
text=$(mktemp)
trap 'rm -f "$text"' EXIT
seq 200 > "$text"

ours() {
  /usr/bin/time -f '%e s, %M kB' "$program" evaluate --model "$1" --text "$text" --context 16 --windows 1 2>&1 >/dev/null |
    awk '{printf "%s s, %.0f MB\n", $1, $3 / 1000}'
}
peer() { HF_HUB_OFFLINE=1 "${PYTHON:-python3}" "$here/peers/hf_load.py" "$1" 2>/dev/null; }
for model in "$@"; do
  for who in ours peer; do
    printf '%-5s %s: ' "$who" "$(basename "$model")"
    for _ in 1 2 3; do "$who" "$model"; done | sort -n | sed -n 2p
  done
done
