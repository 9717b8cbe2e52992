#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# One table: a pre-trained model in full precision (as it is, and trained on for the same budget), as naive signs, after
# stage 1, and made 1 bit by vanilla straight-through, IR-Net's EDE, the progressive sign, and the progressive sign after
# stage 1. All rows see the same tokens in the same order; each method gets the best of the given learning rates (chosen
# with the first seed), then all seeds. Every nll is that of the 1-bit model (Sign), except where the row says otherwise.
#
# usage: compare_methods.sh MODEL OUT VALID TEXT...     (environment: see the defaults below)
set -euo pipefail

binllm=${BINLLM:-build/release/examples/binllm}
tokens=${TOKENS:-200000}
rates=${RATES:-"2e-3 4e-3 8e-3"}              # of the 1-bit methods
full_rates=${FULL_RATES:-"5e-4 1e-3 2e-3"}    # of full precision
seeds=${SEEDS:-"1 2 3"}
context=${CONTEXT:-256}
batch=${BATCH:-8}
windows=${VALID_WINDOWS:-400}   # of the validation text, from its start
threads=${THREADS:-2}

usage="usage: compare_methods.sh MODEL OUT VALID TEXT..."
model=${1:?$usage} out=${2:?$usage} valid=${3:?$usage}
shift 3
. "$(dirname "$0")/../support/needs.sh"
need_program "$binllm"
need_model "$model"
need_text "$valid" "${@:?$usage}"
need_folder "$out"
common=(--text "$@" --valid "$valid" --valid-windows "$windows" --tokens "$tokens" --context "$context" --batch "$batch"
  --warmup 10 --report-every 1000 --checkpoint-every 1000000 --threads "$threads" --json)

# run NAME RATE SEED FLAGS...: prints the JSON result, computed once.
run() {
  local folder=$out/$1-$2-$3 name=$1 rate=$2 seed=$3
  shift 3
  if [ ! -s "$folder.json" ]; then
    rm -rf "$folder"
    if [ "$name" = full ]; then
      "$binllm" pretrain --model "$model" --out "$folder" --learning-rate "$rate" --seed "$seed" "${common[@]}"
    else
      "$binllm" binarize --model "$model" --out "$folder" --learning-rate "$rate" --seed "$seed" "$@" "${common[@]}"
    fi > "$folder.tmp"
    mv "$folder.tmp" "$folder.json"
    rm -rf "$folder"
  fi
  cat "$folder.json"
}

# nll of one row of a result
pick() {
  case $1 in
    full) sed -E 's/.*"validation_nll":([^,}]*).*/\1/' ;;
    *) sed -E 's/.*"model":"'"$1"'","nll":([^,}]*).*/\1/' ;;
  esac
}

declare -A flags=(
  [full]="" [vanilla]="--estimator vanilla --channel-scale none" [ede]="--estimator ede --channel-scale none"
  [progressive]="--channel-scale none" [stages]="--channel-scale shared")

# best NAME ROW: the learning rate with the lowest nll at the first seed
best() {
  local rate nll lowest="" chosen="" tried=$rates
  [ "$1" != full ] || tried=$full_rates
  for rate in $tried; do
    # shellcheck disable=SC2086
    nll=$(run "$1" "$rate" "${seeds%% *}" ${flags[$1]} | pick "$2")
    if [ -z "$lowest" ] || awk -v a="$nll" -v b="$lowest" 'BEGIN { exit !(a < b) }'; then lowest=$nll chosen=$rate; fi
  done
  echo "$chosen"
}

# row LABEL NAME ROW RATE [SHOWN]: SHOWN stands for the rate where the row does not depend on it
row() {
  local label=$1 name=$2 pattern=$3 rate=$4 shown=${5:-$4} seed values=""
  for seed in $seeds; do
    # shellcheck disable=SC2086
    values+=" $(run "$name" "$rate" "$seed" ${flags[$name]} | pick "$pattern")"
  done
  # shellcheck disable=SC2086
  printf '%s\n' $values | awk -v label="$label" -v rate="$shown" '
    { values = values sprintf(" %.4f", $1); sum += $1; squares += $1 * $1; n++ }
    END { mean = sum / n; spread = n > 1 ? sqrt((squares - n * mean * mean > 0 ? squares - n * mean * mean : 0) / (n - 1)) : 0
          printf "| %-40s | %6s | %.4f | %.4f |%s |\n", label, rate, mean, spread, values }'
}

echo "| row | learning rate | mean nll | deviation | seeds |"
echo "|---|---|---|---|---|"
full=$(best full full) vanilla=$(best vanilla packed) ede=$(best ede packed) progressive=$(best progressive packed) stages=$(best stages packed)
row "full precision, as it is" stages "full precision" "$stages" -
row "full precision, trained on" full full "$full"
row "naive sign" stages "naive sign" "$stages" -
row "after stage 1" stages "after stage 1" "$stages" -
row "vanilla straight-through" vanilla packed "$vanilla"
row "EDE (IR-Net)" ede packed "$ede"
row "progressive" progressive packed "$progressive"
row "progressive after stage 1, with F" stages "progressive with F" "$stages"
row "progressive after stage 1, packed" stages packed "$stages"
