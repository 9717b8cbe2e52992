#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# usage: docs.sh COMPILER FLAGS_FILE REPOSITORY [BUILD_FOLDER]
# Every ```cpp block of the pages compiles: whole programs as they are, others as the body of a function. A block that
# follows <!-- examples/NN_name.cpp --> is that file. The lines of a block that follows <!-- include/... -->,
# <!-- bench/... --> or <!-- tests/... --> stand in that file, in this order. Links to files lead somewhere.
# With the folder of a build that has every test of a machine without nvcc, README's number of tests is that of the build.
set -euo pipefail
export LC_ALL=C
compiler=$1 flags=$2 build=${4-}
cd "$3"
pages=(README.md CONTRIBUTING.md CHANGELOG.md)
while read -r page; do pages+=("$page"); done < <(find docs -name '*.md' | sort)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# All blocks in one unit, each in a namespace of its own; a function `main` may live in any.
awk -v work="$work" '
function finish(   i, program) {
  blocks++
  if (shown != "") {
    printf "%s", text > (work "/" blocks ".shown")
    printf "%s\n", shown > (work "/" blocks ".name")
  }
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
FNR == 1 { inside = 0; shown = "" }
/^```cpp$/ { inside = 1; start = FNR + 1; text = ""; next }
/^```/ { if (inside) finish(); inside = 0; shown = ""; next }
inside { text = text $0 "\n"; next }
/^<!-- examples\/.* -->$/ { shown = $2; next }
/./ { shown = "" }
END { printf "%d blocks\n", blocks > "/dev/stderr" }
' "${pages[@]}" >"$work/blocks.cpp"
# A page may end before it uses what it made, and a `main` that is not the program's has to return something.
"$compiler" @"$flags" -Wno-unused -Wno-return-type -fsyntax-only "$work/blocks.cpp"

failures=0
for name in "$work"/*.name; do
  [ -e "$name" ] || continue
  file=$(cat "$name")
  diff -u --label "the page" --label "$file" "${name%.name}.shown" "$file" || failures=$((failures + 1))
done

awk '
function trimmed(text) { gsub(/^ +| +$/, "", text); return text }
FNR == 1 { inside = 0; quoted = "" }
/^```/ {
  if (inside) close(quoted)
  inside = !inside && quoted != ""
  if (!inside) quoted = ""
  next
}
inside && /[^ ]/ {
  found = 0
  while (!found && (getline text < quoted) > 0) found = trimmed(text) == trimmed($0)
  if (!found) { printf "%s:%d: not in %s: %s\n", FILENAME, FNR, quoted, $0; wrong = 1 }
  next
}
/^<!-- (include|bench|tests)\/.* -->$/ { quoted = $2 }
END { exit wrong }
' "${pages[@]}" || failures=$((failures + 1))

for page in "${pages[@]}"; do
  while read -r link; do
    [ -z "$link" ] || [ -e "$(dirname "$page")/$link" ] || { echo "$page: no such file: $link"; failures=$((failures + 1)); }
  done < <(grep -oE '\]\([^)#: ]+(#[^)]*)?\)' "$page" | sed -E 's/^\]\(//; s/[#)].*//')
done

if [ -n "$build" ]; then
  gpu_tests=test_cuda
  for example in examples/*.cu; do gpu_tests+="|example[.]$(basename "$example" .cu)"; done
  found=$(ctest --test-dir "$build" -N | grep -E '^ *Test +#' | grep -cvE ": ($gpu_tests)$")
  said=$(sed -nE 's/^100% tests passed, 0 tests failed out of ([0-9]+)$/\1/p' README.md)
  [ "$said" = "$found" ] || { echo "README.md: $found tests, not '$said'"; failures=$((failures + 1)); }
fi
exit $((failures > 0))
