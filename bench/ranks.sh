#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# QAT steps on 1, 2, 4, ... GPUs of this host beside PyTorch, in one run: one table.
# usage: bench/ranks.sh BUILD_FOLDER        e.g. build/release
#   GPUS      how many, in turn (default: powers of two up to what is here)
#   CONFIGS   which shapes (default "B C"; also 7B), each with what is divided on the most GPUs: "B:none
#             C:none,gradients"; without, all of it. Fewer GPUs divide nothing
#   PEERS     PyTorch's kinds for the most GPUs (default "B:ddp C:fsdp"; empty: none); each compiles for a minute or two
#   PYTHON    default python3
#   LIMIT     seconds for each row (default 120), PEER_LIMIT for those of PyTorch (default 400)
#   BUDGET    seconds after which no row begins; those that are left out are named (default: any number)
#   LOG       a file that keeps every line (default: none)
set -uo pipefail
bench=${1:?usage: ranks.sh BUILD_FOLDER}/bench/bench_ranks_step
here=$(dirname "$0")
[ -x "$bench" ] || { echo "not built: $bench" >&2; exit 1; }
here_are=$(nvidia-smi -L 2>/dev/null | grep -c ^GPU)
[ "$here_are" -gt 0 ] || { echo "skipped: no GPU here"; exit 0; }
if [ -z "${GPUS:-}" ]; then for ((n = 1; n <= here_are; n *= 2)); do GPUS="${GPUS:-} $n"; done; fi
configs=${CONFIGS:-B C} peers=${PEERS-B:ddp C:fsdp} python=${PYTHON:-python3}
budget=${BUDGET:-1000000} limit=${LIMIT:-120} peer_limit=${PEER_LIMIT:-400} log=${LOG:-$(mktemp)} port=29600
[ -n "${LOG:-}" ] || trap 'rm -f "$log"' EXIT
: >"$log"
export NCCL_NVLS_ENABLE=${NCCL_NVLS_ENABLE:-0}

# ranks N ARGUMENTS...: the program as N ranks; prints what rank 0 prints
ranks() {
  local n=$1 rank pids=() status=0
  shift
  port=$((port + 1))
  if [ "$n" = 1 ]; then timeout "$limit" "$bench" "$@"; return; fi
  for ((rank = 0; rank < n; rank++)); do
    RANK=$rank LOCAL_RANK=$rank WORLD_SIZE=$n MASTER_ADDR=127.0.0.1 MASTER_PORT=$port timeout "$limit" "$bench" "$@" &
    pids+=($!)
  done
  for rank in "${pids[@]}"; do wait "$rank" || status=1; done
  return $status
}
# row NAME COMMAND...: a line "NAME json" in the log
row() {
  local name=$1 json
  shift
  if [ "$SECONDS" -gt "$budget" ]; then echo "not run, since time is up: $name" >&2; return; fi
  if json=$("$@") && [ -n "$json" ]; then echo "$name $json" | tee -a "$log" >&2; else echo "failed: $name" >&2; fi
}
field() {
  awk -v row="$1" -v field="\"$2\": " '$1 == row && (at = index($0, field)) {
    print substr($0, at + length(field)) + 0 }' "$log"
}
of() { awk -v a="${1:-}" -v b="${2:-}" 'BEGIN { if (a == "" || b == "" || b == 0) print "-"; else printf "%.3f\n", a / b }'; }

most=1
for n in $GPUS; do [ "$n" -le "$here_are" ] && most=$n; done
for n in $GPUS; do
  [ "$n" = 1 ] || [ "$n" -gt "$here_are" ] || ranks "$n" --check || echo "failed: --check on $n" >&2
done
for shape in $configs; do
  config=${shape%%:*} shards=none,optimizer,gradients,parameters
  [ "$config" = "$shape" ] || shards=${shape#*:}
  for n in $GPUS; do
    [ "$n" -le "$here_are" ] || continue
    divided=none
    [ "$n" != "$most" ] || [ "$n" = 1 ] || divided=${shards//,/ }
    for shard in $divided; do row "$config-$n-$shard" ranks "$n" --config "$config" --shard "$shard"; done
  done
done
for peer in $peers; do
  for n in $most 1; do
    [ "$n" != 1 ] || [ "${peer#*:}" = ddp ] || continue
    row "${peer%:*}-$n-${peer#*:}" timeout "$peer_limit" "$python" -m torch.distributed.run --nproc-per-node "$n" \
      --master-port $((29900 + n)) "$here/peers/torch_ranks_step.py" --config "${peer%:*}" --kind "${peer#*:}"
  done
done

echo "| shape | GPUs | what | tokens/s | over one | over PyTorch | GiB a GPU | step, ms | collectives alone, ms | hidden |"
echo "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
while read -r name _; do
  config=${name%%-*} rest=${name#*-}
  n=${rest%%-*} what=${rest#*-} one=$config-1-none peer=
  case $what in
    ddp | fsdp) one=$config-1-$what ;;
    *) for kind in ddp fsdp; do peer=${peer:-$(field "$config-$n-$kind" tokens_per_second)}; done ;;
  esac
  hidden=$(awk -v s="$(field "$name" step_ms)" -v o="$(field "$one" step_ms)" -v c="$(field "$name" collectives_ms)" \
    'BEGIN { if (c == "" || c == 0 || o == "") print "-"; else printf "%.2f\n", 1 - (s - o) / c }')
  tokens=$(field "$name" tokens_per_second)
  echo "| $config | $n | $what | $tokens | $(of "$tokens" "$(field "$one" tokens_per_second)") | $(of "$tokens" "$peer") |" \
    "$(field "$name" peak_gib) | $(field "$name" step_ms) | $(field "$name" collectives_ms) | $hidden |"
done <"$log"
