#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every method on one model: those that train (`binllm binarize --method list`) and those that only look at some text
# (`binllm quantize --method list`), with one budget of tokens, judged by one evaluation. A method that trains gets the
# learning rate, of those given, that is best on the validation text with the first seed, and then all seeds; the test
# text is read once, by the model as it is stored. Methods whose published loss wants a teacher learn from MODEL itself.
#
# usage: methods.sh MODEL DATA [FLAG...]
#   MODEL  folder of a full-precision model
#   DATA   folder with train.txt, valid.txt and test.txt (or give TRAIN, VALID and TEST)
#   FLAG   handed to every command: --device cuda --precision bf16, for instance
# A finished run is a line in RESULTS/NAME.jsonl, and is not done again; RESULTS/NAME.md is the table of all of them.
# Settings come from the environment. The defaults suit stories260K on two cores: under an hour.
set -euo pipefail
export LC_ALL=C.UTF-8

binllm=${BINLLM:-build/release/examples/binllm}
usage="usage: methods.sh MODEL DATA [FLAG...]"
model=${1:?$usage} data=${2:?$usage}
model=${model%/}
shift 2
flags=("$@")
name=${NAME:-$(basename "$model")}
out=${OUT:-build/methods/$name}                              # models and logs of the runs
results=${RESULTS:-$(dirname "$0")/results}

read -r -a train <<< "${TRAIN:-$data/train.txt}"
valid=${VALID:-$data/valid.txt}
test=${TEST:-$data/test.txt}

methods=${METHODS:-all}                                      # names, "all" or "none"
post_methods=${POST_METHODS:-all}
read -r -a rates <<< "${RATES:-1e-3 2e-3 4e-3}"
read -r -a seeds <<< "${SEEDS:-1 2}"
tokens=${TOKENS:-262144}                                     # that a method learns from
context=${CONTEXT:-256}
batch=${BATCH:-8}
warmup=${WARMUP:-10}
last_fraction=${LAST_FRACTION:-0.05}                         # learning rate at the end, as a fraction of its peak
windows=${WINDOWS:-200}                                      # of the validation text, and of the test text
samples=${SAMPLES:-128}                                      # windows of the text that a post-training method looks at
bits=${BITS:-1}                                              # of post-training methods that have them to choose
threads=${THREADS:-0}
keep=${KEEP:-0}                                              # 1: the models stay in OUT

. "$(dirname "$0")/../support/needs.sh"
need_program "$binllm"
need_model "$model"
need_text "${train[@]}" "$valid" "$test"
need_folder "$out" "$results"
lines=$results/$name.jsonl table=$results/$name.md
touch "$lines"

say() { printf '%5d s  %s\n' "$SECONDS" "$*" >&2; }
# number JSON KEY: the last number of that key
number() { sed -nE 's/.*"'"$2"'":(-?[0-9][-+.0-9eE]*).*/\1/p' <<< "$1" | tail -n 1; }
# names COMMAND: the methods of a command, from the first column of its list
names() { "$binllm" "$1" --method list | awk -F'|' 'NF > 2 { gsub(/[ `]/, "", $2); if ($2 != "method" && $2 !~ /^:?-+:?$/) print $2 }'; }
# smallest FOLDER: of the models in it, the one that is stored in the fewest bytes
smallest() {
  local config
  for config in "$1"/*/config.json "$1"/config.json; do
    [ ! -f "$config" ] || echo "$(du -cb "$(dirname "$config")"/*.safetensors | tail -n 1 | cut -f 1) $(dirname "$config")"
  done | sort -n | head -n 1 | cut -d' ' -f 2-
}
perplexity() {
  number "$("$binllm" evaluate --model "$1" --text "$2" --windows "$windows" --context "$context" --threads "$threads" \
    --json "${flags[@]}" 2>> "$out/evaluate.log")" perplexity
}

# run KIND METHOD RATE SEED COMMAND...: one line of results, unless it is there
run() {
  local kind=$1 method=$2 rate=$3 seed=$4 folder start seconds report stored inspected peak
  shift 4
  local key="$kind/$method/$rate/$seed/$tokens/$context/$batch/$samples/${flags[*]}"
  ! grep -qF "\"key\":\"$key\"" "$lines" || return 0
  folder=$out/$method-$rate-$seed
  rm -rf "$folder"
  start=$(date +%s.%N)
  if ! "$@" --out "$folder" --threads "$threads" --json "${flags[@]}" > "$folder.json" 2> "$folder.log"; then
    say "failed: $method ($(tail -n 1 "$folder.log"))"
    return 1
  fi
  seconds=$(awk -v a="$start" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }')
  report=$(tail -n 1 "$folder.json")
  stored=$(smallest "$folder")
  inspected=$("$binllm" inspect --model "$stored" --json)
  peak=$(number "$report" peak_gpu_bytes)
  printf '{"key":"%s","model":"%s","kind":"%s","method":"%s","learning_rate":"%s","seed":%s,"tokens":%s,"bits":%s,"bytes":%s,"valid_perplexity":%s,"test_perplexity":%s,"seconds":%s,"peak_bytes":%s,"device":"%s"}\n' \
    "$key" "$name" "$kind" "$method" "$rate" "$seed" "$tokens" "$(number "$inspected" block_linears_with_scales)" \
    "$(number "$inspected" bytes)" "$(perplexity "$stored" "$valid")" "$(perplexity "$stored" "$test")" "$seconds" \
    "${peak:-$(number "$report" peak_resident_bytes)}" "${flags[*]:-cpu}" >> "$lines"
  say "$(tail -n 1 "$lines" | sed -E 's/.*"method":"([^"]*)","learning_rate":"([^"]*)","seed":([^,]*).*"valid_perplexity":([^,]*).*"seconds":([^,]*).*/\1, rate \2, seed \3: perplexity \4 in \5 s/')"
  [ "$keep" = 1 ] || rm -rf "$folder"
}

# best METHOD: the learning rate whose perplexity on the validation text is lowest with the first seed
best() {
  grep -F "\"kind\":\"training\",\"method\":\"$1\"" "$lines" | grep -F "\"seed\":${seeds[0]},\"tokens\":$tokens," |
    sed -E 's/.*"learning_rate":"([^"]*)".*"valid_perplexity":([^,]*),.*/\2 \1/' | sort -g | head -n 1 | cut -d' ' -f 2
}

train_with() {  # METHOD RATE SEED
  local method=$1 rate=$2 last
  last=$(awk -v r="$rate" -v f="$last_fraction" 'BEGIN { printf "%g", r * f }')
  run training "$method" "$rate" "$3" "$binllm" binarize --method "$method" --model "$model" --seed "$3" \
    --text "${train[@]}" --tokens "$tokens" --context "$context" --batch "$batch" --warmup "$warmup" --learning-rate "$rate" \
    --last-learning-rate "$last" --report-every 1000 --checkpoint-every 0
}

if ! grep -qF '"kind":"full precision"' "$lines"; then
  printf '{"key":"full","model":"%s","kind":"full precision","method":"full precision","learning_rate":"-","seed":0,"tokens":0,"bits":%s,"bytes":%s,"valid_perplexity":%s,"test_perplexity":%s,"seconds":0,"peak_bytes":0,"device":"%s"}\n' \
    "$name" "$(number "$("$binllm" inspect --model "$model" --json)" block_linears_with_scales)" \
    "$(number "$("$binllm" inspect --model "$model" --json)" bytes)" "$(perplexity "$model" "$valid")" \
    "$(perplexity "$model" "$test")" "${flags[*]:-cpu}" >> "$lines"
fi

failed=0
[ "$methods" != all ] || methods=$(names binarize)
[ "$methods" != none ] || methods=
for method in $methods; do
  for rate in "${rates[@]}"; do train_with "$method" "$rate" "${seeds[0]}" || failed=$((failed + 1)); done
  rate=$(best "$method") || true  # none where every rate failed
  [ -n "$rate" ] || continue
  for seed in "${seeds[@]:1}"; do train_with "$method" "$rate" "$seed" || failed=$((failed + 1)); done
done

[ "$post_methods" != all ] || post_methods=$(names quantize)
[ "$post_methods" != none ] || post_methods=
for method in $post_methods; do
  options=()
  ! "$binllm" quantize --method list | grep -F "| $method |" | grep -qF -- "--bits" || options=(--bits "$bits")
  run post-training "$method" - "${seeds[0]}" "$binllm" quantize --method "$method" --model "$model" \
    --text "${train[@]}" --windows "$samples" --context "$context" "${options[@]}" || failed=$((failed + 1))
done

# The table: of methods that train, the rate with the lowest perplexity on the validation text.
awk -v tokens="$tokens" -v seeds="${#seeds[@]}" -v windows="$windows" -v context="$context" '
  function text(key) { return match($0, "\"" key "\":\"[^\"]*\"") ? substr($0, RSTART + length(key) + 4, RLENGTH - length(key) - 5) : "" }
  function value(key) { return match($0, "\"" key "\":[-+.0-9eE]+") ? substr($0, RSTART + length(key) + 3, RLENGTH - length(key) - 3) + 0 : 0 }
  text("kind") == "training" && value("tokens") != tokens { next }
  {
    method = text("kind") SUBSEP text("method"); run = method SUBSEP text("learning_rate")
    if (!(method in order)) { order[method] = ++count; at[count] = method }
    n[run]++; test[run] += value("test_perplexity"); squares[run] += value("test_perplexity") ^ 2; valid[run] += value("valid_perplexity")
    seconds[run] += value("seconds"); bits[run] = value("bits"); bytes[run] = value("bytes"); if (value("peak_bytes") > peak[run]) peak[run] = value("peak_bytes")
    if (!(method in first) || value("valid_perplexity") < first[method]) { first[method] = value("valid_perplexity"); rate[method] = text("learning_rate") }
  }
  END {
    printf "Of methods that train: %d tokens, up to %d seeds at the learning rate that is best on the validation text. Perplexity\n", tokens, seeds
    printf "of the stored model on the first %d windows of %d tokens; bits a weight of the linear layers in the blocks, scales and\n", windows, context
    printf "masks included, from the bytes of the file.\n\n"
    print "| method | kind | learning rate | bits | MB | validation | test | deviation | seeds | seconds | peak MB |"
    print "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    for (i = 1; i <= count; i++) {
      split(at[i], part, SUBSEP); run = at[i] SUBSEP rate[at[i]]; k = n[run]; mean = test[run] / k
      spread = k > 1 ? sqrt((squares[run] - k * mean * mean > 0 ? squares[run] - k * mean * mean : 0) / (k - 1)) : 0
      printf "| %s | %s | %s | %.4f | %.3f | %.3f | %.3f | %.3f | %d | %.1f | %.1f |\n", part[2], part[1], rate[at[i]], bits[run], bytes[run] / 1e6, valid[run] / k, mean, spread, k, seconds[run] / k, peak[run] / 1e6
    }
  }' "$lines" > "$table.tmp"
mv "$table.tmp" "$table"
cat "$table"
[ "$failed" = 0 ] || { say "$failed runs failed: their logs are in $out"; exit 1; }
