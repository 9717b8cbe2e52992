#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# usage: docs.sh COMPILER FLAGS_FILE REPOSITORY [BUILD_FOLDER]
# Every ```cpp block of the pages compiles: whole programs as they are, others as the body of a function. What else the
# pages say is held to the repository by pages.sh.
set -euo pipefail
export LC_ALL=C
compiler=$1 flags=$2 build=${4-} pages_check=$(dirname "$(realpath "$0")")/pages.sh
cd "$3"
pages=(README.md CONTRIBUTING.md CHANGELOG.md)
while read -r page; do pages+=("$page"); done < <(find docs -name '*.md' | sort)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# All blocks in one unit, each in a namespace of its own; a function `main` may live in any.
awk -v work="$work" '
function finish(   i, program) {
  blocks++
  program = text ~ /(^|\n)int main\(/
  printf "namespace page_%d {\n", blocks
  if (!program) print "[[maybe_unused]] static void snippet() {"
  printf "#line %d \"%s\"\n", start, FILENAME
  n = split(text, lines, "\n")
  for (i = 1; i < n; i++) print lines[i] ~ /^#include/ ? "" : lines[i]
  if (!program) print "}"
  print "}"
}
BEGIN {
  print "#include <binllm/binllm.hpp>\n#include <binllm/io.hpp>\n#include <binllm/io/any/any_model.hpp>\n#include <fmt/core.h>\n#include <cmath>\n#include <cstdint>\n#include <limits>"
  print "namespace bl = binllm;"
}
FNR == 1 { inside = 0 }
/^```cpp$/ { inside = 1; start = FNR + 1; text = ""; next }
/^```/ { if (inside) finish(); inside = 0; next }
inside { text = text $0 "\n"; next }
END { printf "%d blocks\n", blocks > "/dev/stderr" }
' "${pages[@]}" >"$work/blocks.cpp"
# A page may end before it uses what it made, and a `main` that is not the program's has to return something.
"$compiler" @"$flags" -Wno-unused -Wno-return-type -fsyntax-only "$work/blocks.cpp"

bash "$pages_check" . "$build"
