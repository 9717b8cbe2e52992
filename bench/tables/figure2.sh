#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Figure 2 of the paper: what is lost by bits a weight, of weights, of outputs, and on a text.
# usage: bench/tables/figure2.sh BUILD_FOLDER MODEL TEXT VALID OUT        e.g. ... figure2 writes figure2/figure2.svg
#   METHODS  default "rtn gptq"
#   BITS     default "1 1.58 2 3 4 8"
#   FLAGS    more flags of quantize, e.g. "--windows 32 --context 128 --group 128"
set -euo pipefail
usage="usage: figure2.sh BUILD_FOLDER MODEL TEXT VALID OUT"
program=${1:?$usage}/examples/binllm model=${2:?$usage} text=${3:?$usage} valid=${4:?$usage} out=${5:?$usage}
read -ra flags <<<"${FLAGS:-}"
. "$(dirname "$0")/../support/needs.sh"
need_program "$program" gnuplot
need_model "$model"
need_text "$text" "$valid"
need_folder "$out"
lines=()
for method in ${METHODS:-rtn gptq}; do
  for bits in ${BITS:-1 1.58 2 3 4 8}; do
    echo "$method, $bits bits" >&2
    "$program" quantize --method "$method" --bits "$bits" --model "$model" --text "$text" --valid "$valid" \
      --out "$out/$method-$bits" "${flags[@]}" --json >/dev/null
    lines+=(--lines "$out/$method-$bits/quantize.jsonl")
  done
done
"$program" plot --figure bits "${lines[@]}" --out "$out/figure2.svg"
echo "$out/figure2.svg"
