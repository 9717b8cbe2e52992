#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Curves of runs of real.sh, from the lines that it has written, drawn by `binllm plot`: losses above, the learning rate
# that real.sh gave them below. A row that has no line is left out, with a message.
#
# usage: real_pictures.sh OUT ROW@MILLIONS@RATE...        e.g. docs/pictures/real-table4.svg vanilla@46@4e-3 ede@46@4e-3
#   SEED     of the runs (1)
#   RESULTS  folder with real-135m.jsonl
set -euo pipefail
export LC_ALL=C.UTF-8
binllm=${BINLLM:-build/release/examples/binllm}
lines=${RESULTS:-$(dirname "$0")/results}/real-135m.jsonl
out=${1:?usage: real_pictures.sh OUT ROW@MILLIONS@RATE...}
shift
. "$(dirname "$0")/../support/needs.sh"
need_program "$binllm" gnuplot
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
runs=()
for wanted in "$@"; do
  IFS=@ read -r row millions rate <<< "$wanted"
  line=$(grep -F "\"row\":\"$row\",\"millions\":$millions,\"learning_rate\":$rate,\"seed\":${SEED:-1}," "$lines" | tail -n 1) || true
  [ -n "$line" ] || { echo "real_pictures.sh: $wanted was not run" >&2; continue; }
  run=$folder/$wanted
  mkdir -p "$run"
  echo '{}' > "$run/run.json"
  sed -E 's/.*"losses":\[\[(.*)\]\].*/\1/; s/\]\].*//; s/\],\[/\n/g' <<< "$line" | awk -F, -v peak="$rate" '
    { step[NR] = $1; loss[NR] = $2 }
    END {
      last = step[NR]; warm = int(last * 3 / 100); pi = atan2(0, -1)
      for (i = 1; i <= NR; ++i) {
        s = step[i] - 1
        rate = s < warm ? peak * (s + 1) / warm : peak / 50 + peak * 49 / 50 * 0.5 * (1 + cos(pi * (s - warm) / (last - 1 - warm)))
        printf "{\"phase\":\"progressive\",\"step\":%d,\"steps\":%d,\"loss\":%s,\"learning_rate\":%g}\n", step[i], last, loss[i], rate
      }
    }' > "$run/metrics.jsonl"
  runs+=("$run")
done
[ ${#runs[@]} -gt 0 ] || { echo "real_pictures.sh: none of the rows was run" >&2; exit 1; }
"$binllm" plot "${runs[@]}" --figure losses --out "$out"
