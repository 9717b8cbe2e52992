#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The loss after 200 steps of pre-training in bf16 and in float32 on the CPU: same weights at the start, same text.
# Ends with status 1 where they are more than 2 % apart.
# usage: bench/bf16_loss.sh PROGRAM [more options of pretrain]      e.g. build/release/examples/binllm/binllm
#   PYTHON   default python3
set -euo pipefail
program=${1:?usage: bf16_loss.sh PROGRAM [more options of pretrain]}
shift
. "$(dirname "$0")/support/needs.sh"
need_program "$program"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for precision in float32 bf16; do
  "$program" pretrain --built-in --dim 128 --hidden 352 --layers 4 --heads 4 --batch 8 --context 64 --tokens $((200 * 8 * 64)) \
    --precision "$precision" --out "$folder/$precision" --json "$@" >"$folder/$precision.json"
done
"${PYTHON:-python3}" - "$folder" <<'END'
import json, sys
def last(precision, field):
    found = None
    for line in open(f"{sys.argv[1]}/{precision}.json"):
        found = json.loads(line).get(field, found)
    return found
a, b = last("float32", "last_loss"), last("bf16", "last_loss")
print(f"loss after 200 steps: float32 {a:.4f}, bf16 {b:.4f}, ratio {b / a:.4f}")
sys.exit(0 if abs(b / a - 1) <= 0.02 else 1)
END
