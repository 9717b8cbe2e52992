#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# usage: pages.sh REPOSITORY [BUILD_FOLDER]
# What the pages say of files and of what programs print:
#   - Links lead to files, and #fragments to headings of them. Every page of docs/ is linked from another one.
#   - A ```cpp block that follows <!-- examples/... --> is that file. The lines of any other block that follows
#     <!-- examples/... -->, <!-- include/... -->, <!-- bench/... --> or <!-- tests/... --> stand in that file, in this
#     order (those of a .out file without its ~ and ?).
#   - A block that follows <!-- $ COMMAND --> is what the command prints, where the build has the program.
#   - Every id of core/error.hpp has its row in docs/errors.md and its section in docs/troubleshooting.md.
#   - Every program of examples/learn is under 80 lines and has its page, picture and output; pictures are those that
#     docs/learn/pictures.sh draws of the outputs, where gnuplot is of the version that drew them.
# With the folder of a build that has every test of a machine without nvcc, README's number of tests is that of the build.
set -euo pipefail
export LC_ALL=C
build=${2-}
cd "$1"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pages=(README.md CONTRIBUTING.md CHANGELOG.md)
while read -r page; do pages+=("$page"); done < <(find docs -name '*.md' | sort)

failures=0
complain() { echo "$1"; failures=$((failures + 1)); }

# ---- links and fragments
awk '
FNR == 1 { inside = 0 }
/^```/ { inside = !inside; next }
inside { next }
/^#+ / {  # as GitHub names them
  name = tolower($0)
  sub(/^#+ +/, "", name)
  gsub(/\]\([^)]*\)/, "", name)
  gsub(/[!-,.\/:-@\[-^`{-~]/, "", name)
  gsub(/ /, "-", name)
  count = seen[FILENAME, name]++
  print FILENAME "#" name (count ? "-" count : "")
}' "${pages[@]}" >"$work/anchors"
for page in "${pages[@]}"; do
  while read -r link; do
    [ -n "$link" ] || continue
    target=${link%%#*} fragment=
    [ "$target" = "$link" ] || fragment=${link#*#}
    file=$page
    [ -z "$target" ] || file=$(realpath -m --relative-to=. "$(dirname "$page")/$target")
    [ -e "$file" ] || { complain "$page: no such file: $link"; continue; }
    echo "$page $file" >>"$work/links"
    [ -z "$fragment" ] || [[ $file != *.md ]] || grep -qxF "$file#$fragment" "$work/anchors" ||
      complain "$page: no such heading: $link"
  done < <(awk '/^```/ { inside = !inside } !inside' "$page" | tr '\n' ' ' |
    grep -oE '\]\([^): ]+\)' | sed -E 's/^\]\(//; s/\)$//' | sort -u)
done
for page in "${pages[@]}"; do
  [[ $page != docs/* ]] || [ "$page" = docs/index.md ] ||
    awk -v page="$page" '$2 == page && $1 != page { found = 1 } END { exit !found }' "$work/links" ||
    complain "$page: no other page links to it"
done

# ---- quotes of files, and what commands print
awk -v work="$work" '
function trimmed(text) {
  if (quoted ~ /[.]out$/) { gsub(/[~?]/, "", text); gsub(/ +/, " ", text) }
  gsub(/^ +| +$/, "", text)
  return text
}
function finish() {
  if (command != "") {
    blocks++
    printf "%s\n%s:%d\n", command, FILENAME, start > (work "/" blocks ".command")
    printf "%s", text > (work "/" blocks ".printed")
  } else if (whole) {
    blocks++
    printf "%s\n%s:%d\n", quoted, FILENAME, start > (work "/" blocks ".whole")
    printf "%s", text > (work "/" blocks ".shown")
  }
  if (quoted != "") close(quoted)
}
FNR == 1 { inside = 0; quoted = command = "" }
/^```/ {
  if (inside) { finish(); quoted = command = "" }
  inside = !inside
  whole = inside && $0 == "```cpp" && quoted ~ /^examples\//
  start = FNR + 1
  text = ""
  next
}
inside { text = text $0 "\n" }
inside && quoted != "" && /[^ ]/ {
  found = 0
  while (!found && (getline line < quoted) > 0) {
    found = trimmed(line) == trimmed($0)
  }
  if (!found) { printf "%s:%d: not in %s: %s\n", FILENAME, FNR, quoted, $0; wrong = 1 }
}
inside { next }
/^<!-- (examples|include|bench|tests)\/[^ ]* -->$/ { quoted = $2; next }
/^<!-- \$ .* -->$/ { command = $0; sub(/^<!-- \$ /, "", command); sub(/ -->$/, "", command); next }
/./ { quoted = command = "" }
END { exit wrong }
' "${pages[@]}" || failures=$((failures + 1))
for block in "$work"/*.whole; do
  [ -e "$block" ] || continue
  { read -r file && read -r place; } <"$block"
  diff -u --label "$place" --label "$file" "${block%.whole}.shown" "$file" || failures=$((failures + 1))
done
for block in "$work"/*.command; do
  [ -e "$block" ] || continue
  { read -r command && read -r place; } <"$block"
  program="$build/examples/binllm"
  [ -n "$build" ] && [ -x "$program" ] || { echo "pages: without the program, not run: $command"; continue; }
  (PATH="$(dirname "$(realpath "$program")"):$PATH" && bash -c "$command") >"$work/out" 2>&1 || true
  diff -u --label "$place" --label "$command" "${block%.command}.printed" "$work/out" || failures=$((failures + 1))
done

# ---- errors
while read -r name id; do
  grep -q "^| E$id | \`$name\` |" docs/errors.md || complain "docs/errors.md: no row E$id \`$name\`"
  grep -q "^### E$id \`$name\`$" docs/troubleshooting.md || complain "docs/troubleshooting.md: no section E$id \`$name\`"
done < <(sed -nE 's/^  ([a-z_]+) = ([0-9]+),$/\1 \2/p' include/binllm/core/error.hpp)
while read -r id; do
  grep -qE "^  [a-z_]+ = ${id#E},$" include/binllm/core/error.hpp || complain "docs/troubleshooting.md: no such error: $id"
done < <(sed -nE 's/^### (E[0-9]+) .*/\1/p' docs/troubleshooting.md)

# ---- the programs that teach
for program in examples/learn/*.cpp; do
  name=$(basename "$program" .cpp)
  page=docs/learn/${name//_/-}.md picture=docs/learn/${name//_/-}.svg
  [ "$(wc -l <"$program")" -lt 80 ] || complain "$program: 80 lines or more"
  for file in "examples/learn/$name.out" "$page" "$picture"; do [ -e "$file" ] || complain "$program: no $file"; done
  [ ! -e "$page" ] || grep -q "($(basename "$picture"))" "$page" || complain "$page: does not show $(basename "$picture")"
  [ ! -e "$page" ] || grep -q "^<!-- $program -->$" "$page" || complain "$page: does not quote $program"
  [ ! -e "$page" ] || grep -q "^<!-- examples/learn/$name.out -->$" "$page" || complain "$page: does not quote $name.out"
done
drawn=$(sed -nE 's/.*Produced by GNUPLOT ([0-9.]+ patchlevel [0-9]+).*/\1/p' docs/learn/01-*.svg | head -n 1)
if [ -n "$drawn" ] && [ "$(gnuplot --version 2>/dev/null | cut -d' ' -f2-4)" = "$drawn" ]; then
  bash docs/learn/pictures.sh "$work/pictures"
  for picture in "$work"/pictures/*.svg; do
    cmp -s "$picture" "docs/learn/$(basename "$picture")" ||
      complain "docs/learn/$(basename "$picture"): not what docs/learn/pictures.sh draws of the output"
  done
else
  echo "pages: no gnuplot $drawn here, so the pictures are not compared"
fi

if [ -n "$build" ] && [ -e "$build/CTestTestfile.cmake" ]; then
  gpu_tests=test_cuda
  for example in examples/learn/*.cu; do gpu_tests+="|example[.]$(basename "$example" .cu)"; done
  found=$(ctest --test-dir "$build" -N | grep -E '^ *Test +#' | grep -cvE ": ($gpu_tests)$")
  said=$(sed -nE 's/^100% tests passed, 0 tests failed out of ([0-9]+)$/\1/p' README.md)
  [ "$said" = "$found" ] || complain "README.md: $found tests, not '$said'"
fi
exit $((failures > 0))
