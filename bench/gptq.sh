#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# GPTQ of one linear layer beside PyTorch (the authors' code in our words) and beside the package GPTQModel, turn by turn,
# medians over the rounds, one table.
# usage: bench/gptq.sh BUILD_FOLDER        e.g. build/release
#   SIZE     channels in and out (default 4096)
#   WINDOWS  windows of calibration tokens (default 128), of CONTEXT tokens each (default 2048)
#   THREADS  default 2
#   ROUNDS   turns of each program (default 3)
#   DEVICE   cpu (default) or cuda
#   PREFIX   what stands before each program, e.g. "taskset -c 2,3" (default: nothing)
#   PYTHON   default python3; a peer that it has not is skipped, and the table says so
set -euo pipefail
build=${1:?usage: gptq.sh BUILD_FOLDER}/bench
here=$(dirname "$0")
size=${SIZE:-4096} python=${PYTHON:-python3}
options=(--in "$size" --out "$size" --windows "${WINDOWS:-128}" --context "${CONTEXT:-2048}"
  --threads "${THREADS:-2}" --json)
read -ra prefix <<<"${PREFIX:-}"
log=$(mktemp)
trap 'rm -f "$log" "$log.said"' EXIT

device=${DEVICE:-cpu}
case $device in
  cpu) ours=("$build/bench_gptq") ;;
  cuda) ours=("$build/bench_gptq" --cuda) ;;
  *) echo "no such device: $device" >&2; exit 2 ;;
esac
[ -x "$build/bench_gptq" ] || { echo "not built: $build/bench_gptq" >&2; exit 1; }

for order in "" --order; do
  for round in $(seq "${ROUNDS:-3}"); do
    echo "round $round${order:+, by activation}" >&2
    echo "ours ${order:-plain} $("${prefix[@]}" "${ours[@]}" "${options[@]}" $order)" >>"$log"
    for peer in torch package; do
      code=0
      line=$("${prefix[@]}" "$python" "$here/peers/gptq_torch.py" "${options[@]}" --device "$device" $order \
        $([ $peer = torch ] || echo --package) 2>>"$log.said") || code=$?
      [ $code = 3 ] && { echo "skipped: $python has no $peer" >&2; continue; }
      [ $code = 0 ] || { tail -n 3 "$log.said" >&2; exit 1; }
      echo "$peer ${order:-plain} $line" >>"$log"
    done
  done
done

awk -v what="$size x $size, ${WINDOWS:-128} x ${CONTEXT:-2048} tokens, $device" '
function field(name) {
  match($0, "\"" name "\": [0-9.e+-]+")
  return substr($0, RSTART + length(name) + 4, RLENGTH - length(name) - 4) + 0
}
function median(key,   n, i, j, list, kept) {
  n = split(values[key], list, " ")
  for (i = 2; i <= n; i++) {
    for (j = i; j > 1 && list[j - 1] + 0 > list[j] + 0; j--) { kept = list[j]; list[j] = list[j - 1]; list[j - 1] = kept }
  }
  if (n == 0) return 0
  return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
}
function times(a, b) { return b ? sprintf("%.2f | %.2f", b, b / a) : "- | -" }
function row(part, a, b, c) { printf "| %s | %s | %.2f | %s | %s |\n", names[k], part, a, times(a, b), times(a, c) }
{
  values[$2, $1, "hessian"] = values[$2, $1, "hessian"] " " field("hessian_seconds")
  values[$2, $1, "solver"] = values[$2, $1, "solver"] " " field("solver_seconds")
  error[$2, $1] = field("output_error")
}
END {
  print what
  print "| columns | part | ours, s | PyTorch, s | times as fast | GPTQModel, s | times as fast |"
  print "|---|---|---:|---:|---:|---:|---:|"
  split("plain --order", kinds, " ")
  split("in order,by activation", names, ",")
  for (k = 1; k <= 2; k++) {
    for (p = 1; p <= 2; p++) {
      part = p == 1 ? "hessian" : "solver"
      ours[p] = median(kinds[k] SUBSEP "ours" SUBSEP part)
      torch[p] = median(kinds[k] SUBSEP "torch" SUBSEP part)
      package[p] = median(kinds[k] SUBSEP "package" SUBSEP part)
      row(part, ours[p], torch[p], package[p])
    }
    row("both", ours[1] + ours[2], torch[1] + torch[2], package[1] + package[2])
    printf "output error: ours %.6f, PyTorch %.6f, GPTQModel %.6f\n", error[kinds[k], "ours"], error[kinds[k], "torch"],
      error[kinds[k], "package"] > "/dev/stderr"
  }
}' "$log"
