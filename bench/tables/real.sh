#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The experiment on a real model: SmolLM2-135M made 1 bit, one lever at a time. A row is a name, a budget of fresh tokens,
# learning rates, seeds and flags of `binllm binarize`; a finished run is a line in RESULTS/real-135m.jsonl and is not
# done again (real_tables.sh makes tables of the lines); one that was interrupted goes on from its checkpoint. Every GPU of DEVICES works on a run of its own.
#
# usage: real.sh MODEL TEXT DATA
#   MODEL  the full-precision model: a folder or a GGUF file (bench/models/smollm2.sh fetches it)
#   TEXT   what is learned from: a text or token file; several in quotes
#   DATA   folder with valid.txt, wiki.test.raw and ptb.test.txt, and tasks/ for TASKS
# A row with several rates: all of them with the first seed; the other seeds at the rate that is best on valid.txt.
# Settings come from the environment; ROWS says which rows (an extended regular expression on NAME@MILLIONS).
set -euo pipefail
export LC_ALL=C.UTF-8

binllm=${BINLLM:-build/release/examples/binllm}
usage="usage: real.sh MODEL TEXT DATA"
model=${1:?$usage} data=${3:?$usage}
read -r -a train <<< "${2:?$usage}"
out=${OUT:-build/real}                                       # runs: logs, checkpoints and models
results=${RESULTS:-$(dirname "$0")/results}
rows=${ROWS:-.}
read -r -a devices <<< "${DEVICES:-cuda:0}"                  # "cuda:0 cuda:1": a run on each; cpu
precision=${PRECISION:-bf16}
seconds=${BUDGET:-1000000}                                   # no run goes on after so many seconds
context=${CONTEXT:-2048}
windows=${WINDOWS:-150}                                      # of valid.txt; the other texts are read whole
keep=${KEEP:-}                                               # rows whose models stay: a regular expression as ROWS
tasks=${TASKS:-}                                             # rows that answer the seven tasks and continue prompts, likewise
threads=${THREADS:-0}

. "$(dirname "$0")/../support/needs.sh"
need_program "$binllm"
need_text "${train[@]}" "$data/valid.txt" "$data/wiki.test.raw" "$data/ptb.test.txt"
need_folder "$out" "$results"
lines=$results/real-135m.jsonl
touch "$lines"

paper=(--channel-scale none --channel-scale-steps 0)         # stage 1 has rows of its own
half=(--teacher "$model" --distillation 0.5)

# row NAME MILLIONS "RATES" "SEEDS" FLAG...
all_rows() {
  # the paper's tables: 4, 5, 9 and Figure 6
  row progressive        46 "2e-3 4e-3 6e-3" "1 2 3" "${paper[@]}" --estimator progressive
  row vanilla            46 "2e-3 4e-3 6e-3" "1 2 3" "${paper[@]}" --estimator vanilla --scale analytic-detached
  row ede                46 "2e-3 4e-3 6e-3" "1 2 3" "${paper[@]}" --estimator ede --scale analytic-detached
  row scale-analytic     46 "4e-3" "1" "${paper[@]}" --scale analytic
  row scale-learned      46 "4e-3" "1" "${paper[@]}" --scale learned
  row stage-1            46 "4e-3" "1" --channel-scale shared --channel-scale-steps 50
  row degree-uniform     16 "4e-3" "1" "${paper[@]}" --schedule degree-uniform
  row uniform            16 "4e-3" "1" "${paper[@]}" --schedule uniform
  row logarithmic        16 "4e-3" "1" "${paper[@]}" --schedule logarithmic
  # screening at a third of the budget: one lever at a time
  row distilled          16 "4e-3" "1" "${paper[@]}" "${half[@]}"
  row progressive        16 "4e-3" "1" "${paper[@]}"
  row hidden-1           16 "4e-3" "1" "${paper[@]}" "${half[@]}" --hidden-states 1
  row epsilon-1e-15      16 "4e-3" "1" "${paper[@]}" "${half[@]}" --epsilon 1e-15
  row hidden-0.1         16 "4e-3" "1" "${paper[@]}" "${half[@]}" --hidden-states 0.1
  row temperature-2      16 "4e-3" "1" "${paper[@]}" "${half[@]}" --temperature 2
  row softmax-rounding   16 "4e-3" "1" "${paper[@]}" "${half[@]}" --estimator softmax-rounding
  row batch-8            16 "3e-3" "1" "${paper[@]}" "${half[@]}" --batch 8
  row batch-32           16 "5e-3" "1" "${paper[@]}" "${half[@]}" --batch 32
  row groups-64          16 "4e-3" "1" "${paper[@]}" "${half[@]}" --granularity group:64
  row beta2-0.98         16 "4e-3" "1" "${paper[@]}" "${half[@]}" --beta2 0.98
  row clip-0.3           16 "4e-3" "1" "${paper[@]}" "${half[@]}" --clip 0.3
  row decay-0.3          16 "4e-3" "1" "${paper[@]}" "${half[@]}" --weight-decay 0.3
  row chunks-80          16 "4e-3" "1" "${paper[@]}" "${half[@]}" --chunks 80
  row muon               16 "2e-3 4e-3" "1" "${paper[@]}" "${half[@]}" --optimizer muon
  row decay-signs        16 "4e-3" "1" "${paper[@]}" "${half[@]}" --decay-to signs
  row sign-phase         16 "4e-3" "1" "${paper[@]}" "${half[@]}" --sign-phase 0.05
  row equal-error-0.3    16 "4e-3" "1" "${paper[@]}" "${half[@]}" --schedule equal-error:0.3
  row equal-error-0.5    16 "4e-3" "1" "${paper[@]}" "${half[@]}" --schedule equal-error:0.5
  row geometric-0.1-300  16 "4e-3" "1" "${paper[@]}" "${half[@]}" --schedule geometric:0.1:300
  # together
  row strong             16 "4e-3" "1" --method strong
  row strong             46 "4e-3" "1 2 3" --method strong
  row strong             92 "4e-3" "1" --method strong
  row strong            140 "4e-3" "1" --method strong
  # and with a lever each
  row strong-geometric   46 "4e-3" "1" --method strong --schedule geometric:0.05:300
  row strong-muon        46 "4e-3" "1" --method strong --optimizer muon
  row strong-muon-half   46 "4e-3" "1" --method strong --optimizer muon --linear-rate 0.5
}

# ------------------------------------------------------------------------------------------------ the runs
# number JSON KEY: the last number of that key
number() { sed -nE 's/.*"'"$2"'":(-?[0-9][-+.0-9eE]*).*/\1/p' <<< "$1" | tail -n 1; }
key() { printf '"row":"%s","millions":%s,"learning_rate":%s,"seed":%s,' "$1" "$2" "$3" "$4"; }
left() { echo $((seconds - SECONDS)); }
say() { printf '%5d s  %s\n' "$SECONDS" "$*" >&2; }
# complete JUDGED INSPECTED: every number of a line is there; an evaluation that failed leaves its number empty
complete() { ! grep -qE ':,' <<< "$1" && [ -n "$(number "$2" bytes)" ] && [ -n "$(number "$2" block_linears_with_scales)" ]; }

# curve PHASE: "[step,loss],..." of the run in $folder
curve() {
  awk -F'[:,]' -v phase="\"phase\":\"$1\"" 'index($0, phase) { for (i = 1; i < NF; i++) { if ($i == "\"step\"") s = $(i + 1); if ($i == "\"loss\"") l = $(i + 1) } printf "%s[%s,%.4g]", n++ ? "," : "", s, l }' "$folder/metrics.jsonl"
}
# perplexities MODEL FLAG...: "mix":...,"wikitext2":...,"ptb":...,
perplexities() {
  local model=$1 text name
  shift
  for text in valid.txt:mix wiki.test.raw:wikitext2 ptb.test.txt:ptb; do
    name=${text#*:} text=${text%:*}
    local -a some=()
    [ "$name" != mix ] || some=(--windows "$windows")
    printf '"%s":%s,' "$name" "$(number "$("$binllm" evaluate --model "$model" --text "$data/$text" --context "$context" \
      "${some[@]}" "$@" --json)" perplexity)"
  done
}
# answer_tasks MODEL KEY FLAG...: a line in real-135m-tasks.jsonl, of each task the metric that is quoted
answer_tasks() {
  local model=$1 key=$2 answers
  shift 2
  answers=$("$binllm" evaluate --model "$model" --tasks all --tasks-data "$data/tasks" "$@" --json) || return 1
  {
    flock 9
    printf '{%s%s"average":%s}\n' "$key" "$(grep -oE '"task":"[a-z_]+"|"acc(_norm)?":[0-9.]+|"quoted":"[a-z_]+"' <<< "$answers" |
      awk -F'[":]+' '{ v[$2] = $3 } $2 == "quoted" { printf "\"%s\":%s,", v["task"], v[v["quoted"]] }')" "$(number "$answers" average)" \
      >> "$results/real-135m-tasks.jsonl"
  } 9> "$out/lines.lock"
}

# continue_prompts MODEL KEY FLAG...: a line in real-135m-samples.jsonl, 48 most likely tokens behind each prompt
continue_prompts() {
  local model=$1 key=$2 texts
  shift 2
  texts=$("$binllm" generate --model "$model" --prompt "Once upon a time" --prompt "The capital of France is" \
    --prompt "To bake bread you need" --max-tokens 48 "$@" --json) || return 1
  { flock 9; echo "{$key${texts#\{}" >> "$results/real-135m-samples.jsonl"; } 9> "$out/lines.lock"
}

# job DEVICE NAME MILLIONS RATE SEED FLAG...: one line of results
job() {
  local device=$1 name=$2 millions=$3 rate=$4 seed=$5 batch=16 steps tokens folder losses stage_1 took begin stored judged inspected what
  shift 5
  what="$name, $millions M, rate $rate, seed $seed"
  local -a flags=("$@") where=(--device "$device" --threads "$threads")
  [ "$device" = cpu ] || where+=(--precision "$precision")
  case " ${flags[*]} " in *" --batch "*) batch=$(sed -E 's/.* --batch ([0-9]+).*/\1/' <<< " ${flags[*]} ") ;; *) flags+=(--batch "$batch") ;; esac
  tokens=$(awk -v m="$millions" 'BEGIN { printf "%d", m * 1e6 }') steps=$(((tokens + batch * context - 1) / (batch * context)))
  folder=$out/$name-$millions-$rate-$seed
  local -a go=(binarize --model "$model" --text "${train[@]}" --held-out 0 --out "$folder" --tokens "$tokens"
    --context "$context" --learning-rate "$rate" --last-learning-rate "$(awk -v r="$rate" 'BEGIN { printf "%g", r / 50 }')"
    --warmup $((steps * 3 / 100)) --report-every 10 --checkpoint-every 400 --sample-tokens 0 --seed "$seed" "${where[@]}" "${flags[@]}" --json)
  [ ! -f "$folder/run.json" ] || go+=(--resume)
  begin=$SECONDS
  timeout -s INT -k 30 "$(left)" "$binllm" "${go[@]}" > "$folder.json" 2> "$folder.log" || {
    case $? in
      124 | 137) say "$what: not run, the time is over" ;;     # goes on from a checkpoint, if it came to one
      *) say "$what: $(tail -n 1 "$folder.log")" ;;
    esac
    return 1
  }
  took=$((SECONDS - begin))
  losses=$(curve progressive) stage_1=$(curve channel_scale)
  stored=$folder/packed
  [ -d "$stored" ] || stored=$folder/binary                  # groups are not packed
  judged=$(perplexities "$stored" "${where[@]}" 2>> "$folder.log") &&
    inspected=$("$binllm" inspect --model "$stored" --json 2>> "$folder.log") && complete "$judged" "$inspected" ||
    { say "$what: trained, not judged: $(tail -n 1 "$folder.log")"; return 1; }
  {
    flock 9
    printf '{%s%s"bits":%s,"bytes":%s,"seconds":%s,"flags":"%s","losses":[%s],"stage_1":[%s]}\n' \
      "$(key "$name" "$millions" "$rate" "$seed")" "$judged" "$(number "$inspected" block_linears_with_scales)" \
      "$(number "$inspected" bytes)" "$took" "$(sed "s|$model|MODEL|g" <<< "${flags[*]}")" "$losses" "$stage_1" >> "$lines"
  } 9> "$out/lines.lock"
  say "$what: ${judged//\"/} in $took s"
  rm -rf "$folder/checkpoints"
  if [ -n "$tasks" ] && grep -qE "$tasks" <<< "$name@$millions"; then
    answer_tasks "$stored" "$(key "$name" "$millions" "$rate" "$seed")" "${where[@]}" 2>> "$folder.log" || true
    continue_prompts "$stored" "$(key "$name" "$millions" "$rate" "$seed")" "${where[@]}" 2>> "$folder.log" || true
  fi
  [ -n "$keep" ] && grep -qE "$keep" <<< "$name@$millions" || rm -rf "$folder"
}

# The model as it came.
full_precision() {
  local -a where=(--device "${devices[0]}" --threads "$threads")
  ! grep -qF '"row":"full-precision"' "$lines" || return 0
  [ "${devices[0]}" = cpu ] || where+=(--precision "$precision")
  local inspected judged
  inspected=$("$binllm" inspect --model "$model" --json)
  judged=$(perplexities "$model" "${where[@]}")
  complete "$judged" "$inspected" || { say "full precision: not judged"; exit 1; }
  printf '{%s%s"bits":%s,"bytes":%s,"seconds":0,"flags":"","losses":[],"stage_1":[]}\n' "$(key full-precision 0 0 0)" "$judged" \
    "$(number "$inspected" block_linears_with_scales)" "$(number "$inspected" bytes)" >> "$lines"
  [ -z "$tasks" ] || answer_tasks "$model" "$(key full-precision 0 0 0)" "${where[@]}"
  [ -z "$tasks" ] || continue_prompts "$model" "$(key full-precision 0 0 0)" "${where[@]}"
}

# best NAME MILLIONS: the rate that is best on valid.txt; fails where none was run
best() {
  grep -F "\"row\":\"$1\",\"millions\":$2," "$lines" |
    sed -E 's/.*"learning_rate":([^,]*),.*"mix":([^,]*),.*/\2 \1/' | sort -g | head -n 1 | cut -d' ' -f 2
}

# The list of what is to be done: in the first pass the first seed of every rate, then the other seeds at the best of them.
row() {
  local name=$1 millions=$2 rates=$3 seeds=$4 rate seed
  shift 4
  grep -qE "$rows" <<< "$name@$millions" || return 0
  if [ "$pass" = 1 ]; then seeds=${seeds%% *}; else
    case $seeds in *" "*) seeds=${seeds#* } ;; *) return 0 ;; esac
    rates=$(best "$name" "$millions") || return 0            # the first pass has said why
  fi
  for rate in $rates; do
    for seed in $seeds; do
      grep -qF "$(key "$name" "$millions" "$rate" "$seed")" "$lines" || printf '%s\t' "$name" "$millions" "$rate" "$seed" "$@" >> "$out/list"
      [ ! -s "$out/list" ] || sed -i '$ s/\t$//' "$out/list"
      [ ! -s "$out/list" ] || [ -z "$(tail -c 1 "$out/list")" ] || echo >> "$out/list"
    done
  done
}
worker() {
  local line
  local -a fields
  while [ "$(left)" -gt 20 ]; do
    line=$(flock "$out/list.lock" sh -c 'head -n 1 "$1"; sed -i 1d "$1"' - "$out/list")
    [ -n "$line" ] || break
    IFS=$'\t' read -r -a fields <<< "$line"
    job "$1" "${fields[@]}" || echo "${fields[*]}" >> "$out/unfinished"
  done
}
full_precision
: > "$out/unfinished"
for pass in 1 2; do
  : > "$out/list"
  all_rows
  for device in "${devices[@]}"; do worker "$device" & done
  wait
  tr '\t' ' ' < "$out/list" >> "$out/unfinished"              # no time was left for them
done
RESULTS=$results "$(dirname "$0")/real_tables.sh" > "$results/real-135m.md"
[ ! -s "$out/unfinished" ] || { echo "not run, or not to the end; logs are in $out:"; cat "$out/unfinished"; exit 1; }
