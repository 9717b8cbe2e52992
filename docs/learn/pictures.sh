#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# usage: docs/learn/pictures.sh [FOLDER]
# Draws the picture of every page from the output of its program, examples/learn/NN_name.out, by gnuplot and the
# NN_name.plot beside it: FOLDER/NN-name.svg, FOLDER being docs/learn unless given. A plot reads `table`, the lines that
# begin with a number, and `output`, all lines.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/../.."
folder=${1:-docs/learn}
mkdir -p "$folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for plot in examples/learn/*.plot; do
  name=$(basename "$plot" .plot)
  sed -E 's|[~?]([0-9.])|\1|g' <"examples/learn/$name.out" >"$work/output"
  grep -E '^ *-?[0-9.]+ ' "$work/output" >"$work/table" || true
  gnuplot -e "output = '$work/output'; table = '$work/table'" - >"$folder/${name//_/-}.svg" <<PLOT
set terminal svg size 640,340 font 'sans-serif,13' background 'white' name 'p'
set border 3 linecolor '#555555'
set tics nomirror
set key noenhanced
set grid linecolor '#dddddd'
set linetype 1 linecolor '#1f5fa8' linewidth 2
set linetype 2 linecolor '#d9660a' linewidth 2
set linetype 3 linecolor '#2a8a50' linewidth 2
set linetype 4 linecolor '#8a4fa3' linewidth 2
set linetype 5 linecolor '#777777' linewidth 2
$(cat "$plot")
PLOT
done
