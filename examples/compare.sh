#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# usage: compare.sh PROGRAM EXPECTED
# Runs the program and compares what it prints, word by word, with the expected text. There a number written `~2.5` means
# within a quarter of it (the end of a training run, whose last bits are the compiler's), `?2.5` any number (a loss on
# the way of a training that is not smooth), and a line `> ...` any text.
set -euo pipefail
export LC_ALL=C

"$1" | awk -v expected="$2" '
function complain(text) { printf "line %d: %s\n", NR, text; failures++ }
{
  print
  if ((getline wanted < expected) <= 0) { complain("nothing more was expected"); exit }
  if (wanted ~ /^>/ && /^>/) next
  n = split(wanted, words)
  if (n != NF) { complain("expected: " wanted); next }
  for (i = 1; i <= n; i++) {
    if (words[i] == $i) continue
    if (words[i] ~ /^[?]/ && $i ~ /^-?[0-9.]+$/) continue
    about = words[i] ~ /^~/ ? substr(words[i], 2) + 0 : 0
    if (about == 0 || $i + 0 < 0.75 * about || $i + 0 > 1.25 * about) complain("expected " words[i] ", found " $i)
  }
}
END {
  if (!failures && (getline wanted < expected) > 0) complain("missing: " wanted)
  exit failures > 0
}'
