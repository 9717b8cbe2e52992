#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# usage: docs/reference/build.sh [FOLDER]
# Builds the reference, the headers of include/binllm with the pages of docs/, into FOLDER/html (build/reference unless
# given). A warning of Doxygen's is an error. Without doxygen it says so and ends with status 77, which ctest shows as
# skipped; with Debian's doxygen-awesome-css pages have a dark mode.
set -euo pipefail
export LC_ALL=C.UTF-8
mkdir -p "${1:-build/reference}"
folder=$(realpath "${1:-build/reference}")
cd "$(dirname "$0")/../.."
command -v doxygen >/dev/null || { echo "skipped: no doxygen here (Debian: doxygen, doxygen-awesome-css)"; exit 77; }

version=$(sed -nE 's/.*string_view version = "([^"]*)".*/\1/p' include/binllm/version.hpp)
settings=$(cat docs/reference/Doxyfile && printf '%s\n' "OUTPUT_DIRECTORY = $folder" "PROJECT_NUMBER = $version")
style=/usr/share/doxygen-awesome-css
if [ -e "$style/doxygen-awesome-darkmode-toggle.js" ]; then
  (cd "$folder" && doxygen -w html header.html footer.html plain.css >/dev/null 2>&1)
  toggle='<script src="$relpath^doxygen-awesome-darkmode-toggle.js"></script>'
  toggle+='<script>DoxygenAwesomeDarkModeToggle.init()</script>'
  sed -i "s|</head>|$toggle\n</head>|" "$folder/header.html"
  settings+=$(printf '\n%s' "HTML_HEADER = $folder/header.html" \
    "HTML_EXTRA_STYLESHEET = $style/doxygen-awesome.css $style/doxygen-awesome-sidebar-only.css \
$style/doxygen-awesome-sidebar-only-darkmode-toggle.css" \
    "HTML_EXTRA_FILES = $style/doxygen-awesome-darkmode-toggle.js")
else
  echo "no doxygen-awesome-css here: plain pages"
fi
doxygen - <<<"$settings" >"$folder/output" 2>"$folder/warnings" || true
sed "s|^$PWD/||" "$folder/warnings"
[ -e "$folder/html/index.html" ] && [ ! -s "$folder/warnings" ] || { echo "the reference has warnings"; exit 1; }
echo "$folder/html/index.html"
