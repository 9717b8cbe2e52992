#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The paper's comparison in small: a Llama is pre-trained on the training texts of WikiText-2 and Penn Treebank, made 1 bit
# by several methods with one budget, and judged by its perplexity on both test texts. Each choice (how long to pre-train,
# the learning rate of a method) is made by perplexity on the validation texts; the test texts are read once, at the end.
# What is finished in OUT is not computed again: give a new OUT after changing a setting.
#
# usage: reproduction.sh DATA OUT [FLAG...]
#   DATA  holds wikitext2/{train,valid,test}.txt and ptb/ptb.{train,valid,test}.txt
#   OUT   folder of all runs; OUT/report holds table.md, results.jsonl and commands.txt
#   FLAG  handed to every `pretrain`, `binarize` and `evaluate`: --device cuda --precision bf16, for instance
# Settings come from the environment; the defaults are those of docs/reproduction.md.
set -euo pipefail
export LC_ALL=C.UTF-8

binllm=${BINLLM:-build/release/examples/binllm}
spm_train=${SPM_TRAIN:-spm_train}            # of Debian's package sentencepiece
tokenizer=${TOKENIZER:-}                     # a SentencePiece file; empty: OUT/tokenizer.model, trained if it is not there
vocabulary=${VOCABULARY:-4096}

shape=${SHAPE:-"--dim 384 --hidden 1024 --layers 8 --heads 6 --kv-heads 6"}   # 15.7 M parameters
context=${CONTEXT:-256}

pretrain_tokens=${PRETRAIN_TOKENS:-"21700000 43400000 86800000"}   # 5, 10 and 20 passes; validation chooses
pretrain_rate=${PRETRAIN_RATE:-1.5e-3}
pretrain_decay=${PRETRAIN_DECAY:-1}
pretrain_batch=${PRETRAIN_BATCH:-32}
pretrain_warmup=${PRETRAIN_WARMUP:-100}

methods=${METHODS:-"vanilla ede progressive stages"}   # also: full (full precision, trained on with the same budget)
rates=${RATES:-"5e-4 1e-3 2e-3"}
full_rates=${FULL_RATES:-"1e-4 3e-4 1e-3"}
seeds=${SEEDS:-"1 2"}
tokens=${TOKENS:-16384000}                   # of each conversion
batch=${BATCH:-32}
warmup=${WARMUP:-20}
last_fraction=${LAST_FRACTION:-0.05}         # learning rate at the end, as a fraction of its peak
chunks=${CHUNKS:-20}

jobs=${JOBS:-1}                              # runs at the same time
threads=${THREADS:-0}                        # of each run
limit=${LIMIT:-0}                            # seconds after which no training starts any more; 0: none
windows=${WINDOWS:-0}                        # for a quick trial: judge by the first so many windows only; 0: all

usage="usage: reproduction.sh DATA OUT [FLAG...]"
data=${1:?$usage} out=${2:?$usage}
shift 2
flags=("$@")
read -r -a evaluate_flags <<< "${EVALUATE_FLAGS-$*}"   # in place of FLAG for `evaluate`

train_texts=("$data/wikitext2/train.txt" "$data/ptb/ptb.train.txt")
. "$(dirname "$0")/../support/needs.sh"
need_program "$binllm"
need_text "${train_texts[@]}" "$data"/wikitext2/{valid,test}.txt "$data"/ptb/ptb.{valid,test}.txt
need_folder "$out/runs" "$out/report"
if [ -n "$tokenizer" ]; then
  need_text "$tokenizer"
else
  [ -s "$out/tokenizer.model" ] || need_program "$spm_train"
fi

say() { printf '%4d s  %s\n' "$SECONDS" "$*" >&2; }

# call FILE COMMAND...: what COMMAND prints becomes FILE.json, its messages FILE.log; nothing where FILE.json is there.
call() {
  local file=$1 start=$SECONDS
  shift
  [ ! -s "$file.json" ] || return 0
  echo "$*" > "$file.command"
  if ! "$@" > "$file.tmp" 2> "$file.log"; then
    say "failed: $* ($(tail -n 2 "$file.log" | tr '\n' ' '))"
    return 1
  fi
  echo $((SECONDS - start)) > "$file.seconds"
  mv "$file.tmp" "$file.json"
}

# evaluate RUN TEXT HARDNESS: perplexity into RUN.TEXT.HARDNESS.json
evaluate() {
  local run=$out/runs/$1 model=$out/runs/$1 texts=()
  [ ! -d "$run/binary" ] || model=$run/binary
  case $2 in
    valid) texts=("$data/wikitext2/valid.txt" "$data/ptb/ptb.valid.txt") ;;
    wikitext2) texts=("$data/wikitext2/test.txt") ;;
    ptb) texts=("$data/ptb/ptb.test.txt") ;;
  esac
  local command=("$binllm" evaluate --model "$model" --text "${texts[@]}" --context "$context" --threads "$threads"
    --json "${evaluate_flags[@]}")
  [ ! -d "$run/binary" ] || command+=(--sharpness "$3")
  [ "$windows" = 0 ] || command+=(--windows "$windows")
  call "$run.$2.$3" "${command[@]}"
}

# train RUN COMMAND...: a training, and then its perplexity on the validation texts, with Sign
train() {
  local run=$1
  shift
  if [ ! -s "$out/runs/$run.json" ]; then
    [ "$limit" = 0 ] || [ "$SECONDS" -lt "$limit" ] || { say "past the limit: $run"; return 0; }
    rm -rf "$out/runs/$run"
  fi
  call "$out/runs/$run" "$@" --out "$out/runs/$run" --context "$context" --threads "$threads" --report-every 50 \
    --checkpoint-every 0 --json "${flags[@]}"
  evaluate "$run" valid inf
  say "$run: validation perplexity $(perplexity "$run" valid inf) after $(cat "$out/runs/$run.seconds") s"
}

# number FILE KEY
number() { sed -E 's/.*"'"$2"'":([^,}]*).*/\1/' "$1"; }

# perplexity RUN TEXT HARDNESS: nothing where the run is not finished, or where it is not a number
perplexity() {
  local file=$out/runs/$1.$2.$3.json
  [ ! -s "$file" ] || number "$file" perplexity | { grep -E '^[0-9]' || true; }
}

# rounded NUMBER: a dash for nothing
rounded() { if [ -n "$1" ]; then printf '%.2f' "$1"; else printf -- -; fi; }

last_rate() { awk -v rate="$1" -v fraction="$last_fraction" 'BEGIN { printf "%g", rate * fraction }'; }
rates_of() { if [ "$1" = full ]; then echo "$full_rates"; else echo "$rates"; fi; }

# t of the last chunk, from the folder that binarize wrote
last_sharpness() { sed -n -E 's/.*"t": *"([^"]*)".*/\1/p' "$out/runs/$1/binary/config.json"; }

pretrain() {
  # shellcheck disable=SC2086
  train "base-$1" "$binllm" pretrain --text "${train_texts[@]}" --tokenizer "$tokenizer" $shape --tokens "$1" \
    --batch "$pretrain_batch" --learning-rate "$pretrain_rate" --last-learning-rate "$(last_rate "$pretrain_rate")" \
    --warmup "$pretrain_warmup" --weight-decay "$pretrain_decay"
}

# convert METHOD RATE SEED: each estimator has the scale and the schedule of its own paper, which are its defaults
convert() {
  local common=(--model "$out/runs/$base" --text "${train_texts[@]}" --tokens "$tokens" --batch "$batch"
    --learning-rate "$2" --last-learning-rate "$(last_rate "$2")" --warmup "$warmup" --seed "$3")
  local binarize=("$binllm" binarize --chunks "$chunks" "${common[@]}")
  case $1 in
    full) train "$1-$2-$3" "$binllm" pretrain "${common[@]}" ;;
    vanilla | ede | progressive) train "$1-$2-$3" "${binarize[@]}" --estimator "$1" --channel-scale none ;;
    stages) train "$1-$2-$3" "${binarize[@]}" --estimator progressive --channel-scale shared ;;
  esac
}

# The signs of the base as they are: one step whose learning rate changes no weight.
convert_naively() {
  train naive "$binllm" binarize --model "$out/runs/$base" --text "${train_texts[@]}" --estimator vanilla \
    --channel-scale none --tokens 1 --batch 1 --chunks 1 --learning-rate 1e-30 --last-learning-rate 0 --warmup 0
}

# in_turn COMMAND...: runs it beside at most JOBS - 1 others. A run that fails is missing from the tables, no more.
in_turn() {
  while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n || true; done
  "$@" &
}

# mean RUN_PREFIX TEXT HARDNESS: over all seeds; nothing where one is missing
mean() {
  local seed value values=""
  for seed in $seeds; do
    value=$(perplexity "$1-$seed" "$2" "$3")
    [ -n "$value" ] || return 0
    values+=" $value"
  done
  echo "$values" | awk '{ for (i = 1; i <= NF; i++) sum += $i; printf "%.6f\n", sum / NF }'
}

# lowest: of lines "NAME NUMBER" the name with the lowest number; lines without a number do not count
lowest() { awk 'NF == 2 && (best == "" || $2 + 0 < best) { best = $2 + 0; name = $1 } END { print name }'; }

best_base() { for t in $pretrain_tokens; do echo "base-$t $(perplexity "base-$t" valid inf)"; done | lowest; }
best_rate() { for r in $(rates_of "$1"); do echo "$r $(mean "$1-$r" valid inf)"; done | lowest; }

# judge RUN: both test texts, with Sign, and with F where training multiplied by F
judge() {
  local text t
  for text in wikitext2 ptb; do
    evaluate "$1" "$text" inf
    case $1 in
      progressive-* | stages-*) t=$(last_sharpness "$1") && evaluate "$1" "$text" "$t" ;;
    esac
  done
}

# cell RUN_PREFIX TEXT HARDNESS: mean and all seeds
cell() {
  local seed
  printf '%s (' "$(rounded "$(mean "$@")")"
  for seed in $seeds; do printf '%s ' "$(rounded "$(perplexity "$1-$seed" "$2" "$3")")"; done |
    sed -e 's/ $//' -e 's/ /, /g'
  printf ')'
}

label() {
  case $1 in
    vanilla) echo "vanilla straight-through" ;;
    ede) echo "EDE (IR-Net)" ;;
    stages) echo "progressive after stage 1" ;;
    full) echo "full precision, trained on" ;;
    *) echo "$1" ;;
  esac
}

# row METHOD RATE
row() {
  local text line t=""
  line="| $(label "$1") | $2 |"
  case $1 in
    progressive | stages) t=$(last_sharpness "$1-$2-${seeds%% *}") ;;
  esac
  for text in wikitext2 ptb; do
    if [ -n "$t" ]; then line+=" $(cell "$1-$2" "$text" "$t") |"; else line+=" |"; fi
    line+=" $(cell "$1-$2" "$text" inf) |"
  done
  echo "$line"
}

# single_row LABEL RUN
single_row() {
  echo "| $1 | | | $(rounded "$(perplexity "$2" wikitext2 inf)") | | $(rounded "$(perplexity "$2" ptb inf)") |"
}

report() {
  local method rate passes
  {
    echo "Perplexity on the test texts: mean (seeds $seeds)"
    echo
    echo "| model | learning rate | WikiText-2, F | WikiText-2, Sign | PTB, F | PTB, Sign |"
    echo "| --- | --- | ---: | ---: | ---: | ---: |"
    single_row "full precision" "$base"
    for method in $methods; do
      rate=$(best_rate "$method")
      [ -z "$rate" ] || row "$method" "$rate"
    done
    [ -z "$(perplexity naive ptb inf)" ] || single_row "naive signs" naive
    echo
    echo "Perplexity on both validation texts with Sign, by learning rate: mean (seeds $seeds)"
    echo
    echo "| model | learning rate | perplexity |"
    echo "| --- | --- | ---: |"
    for method in $methods; do
      for rate in $(rates_of "$method"); do
        echo "| $(label "$method") | $rate | $(cell "$method-$rate" valid inf) |"
      done
    done
    echo
    echo "Pre-training: perplexity on both validation texts"
    echo
    echo "| tokens | perplexity |"
    echo "| ---: | ---: |"
    for passes in $pretrain_tokens; do
      echo "| $passes | $(rounded "$(perplexity "base-$passes" valid inf)") |"
    done
  } > "$out/report/table.md"

  local file name
  for file in "$out"/runs/*.json; do
    name=$(basename "$file" .json)
    printf '{"run":"%s","seconds":%s,"result":%s}\n' "$name" "$(cat "${file%.json}.seconds")" "$(cat "$file")"
  done > "$out/report/results.jsonl"
  {
    [ ! -s "$out/tokenizer.command" ] || cat "$out/tokenizer.command"
    cat "$out"/runs/base-*.command
    for file in "$out"/runs/*.command; do
      case $(basename "$file") in base-*) ;; *) cat "$file" ;; esac
    done
  } > "$out/report/commands.txt"
}

# Byte fallback and no rewriting: every text can be written, and decoding gives it back. The texts' own word <unk> is one
# token, so SentencePiece's token for what it cannot write, which byte fallback leaves without work, has another name.
train_tokenizer() {
  tokenizer=$out/tokenizer.model
  [ ! -s "$tokenizer" ] || return 0
  local command=("$spm_train" "--input=${train_texts[0]},${train_texts[1]}" "--model_prefix=$out/tokenizer" --model_type=bpe
    "--vocab_size=$vocabulary" --byte_fallback=true --normalization_rule_name=identity --remove_extra_whitespaces=false
    --max_sentence_length=1000000 "--unk_piece=<unknown>" "--user_defined_symbols=▁<unk>")
  "${command[@]}" 2> "$out/tokenizer.log" || { tail -n 3 "$out/tokenizer.log" >&2; exit 1; }
  printf '%q ' "${command[@]}" > "$out/tokenizer.command"
  echo >> "$out/tokenizer.command"
}

main() {
  local t method rate seed
  [ -n "$tokenizer" ] || train_tokenizer
  for t in $pretrain_tokens; do in_turn pretrain "$t"; done
  wait
  [ -s "$out/base" ] || best_base > "$out/base"   # chosen once: what was made from it stays comparable
  base=$(cat "$out/base")
  [ -n "$base" ] || { say "no pre-training was finished"; rm "$out/base"; exit 1; }
  say "the base is $base"

  in_turn convert_naively
  for method in $methods; do
    for rate in $(rates_of "$method"); do
      for seed in $seeds; do in_turn convert "$method" "$rate" "$seed"; done
    done
  done
  wait
  report   # what is known so far, should the machine be taken away

  for method in $methods; do
    rate=$(best_rate "$method")
    [ -z "$rate" ] || for seed in $seeds; do in_turn judge "$method-$rate-$seed"; done
  done
  in_turn judge "$base"
  [ ! -d "$out/runs/naive/binary" ] || in_turn judge naive
  wait
  report
  cat "$out/report/table.md"
}

main
