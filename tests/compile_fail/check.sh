#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# usage: check.sh COMPILER FLAGS_FILE CASE.cpp
# CASE.cpp begins with `// expect: REGEX`. It must compile with -DVALID, must not compile without, and the first error
# must match REGEX. Where that line says no more than "constraints not satisfied", its "because" notes count too.
set -euo pipefail
export LC_ALL=C
compiler=$1 flags=$2 source=$3

expected=$(sed -n '1s|^// expect: ||p' "$source")
[ -n "$expected" ] || { echo "$source: the first line must be '// expect: REGEX'"; exit 1; }

compile() { "$compiler" @"$flags" -fsyntax-only -fdiagnostics-color=never "$@" "$source" 2>&1; }

if ! log=$(compile -DVALID); then
  printf 'the valid twin does not compile:\n%s\n' "$log"
  exit 1
fi
if log=$(compile); then
  echo "compiles, but should not"
  exit 1
fi
first=$(awk '
  / error: / { if (seen++) exit; print; constraints = /constraints not satisfied/; next }
  seen && constraints && / note: .*(because|does not satisfy|evaluated to false)/' <<<"$log")
if grep -qE -- "$expected" <<<"$first"; then
  printf 'refused as expected:\n%s\n' "$first"
else
  printf 'wanted a first error that matches: %s\nfound:\n%s\n\nin full:\n%s\n' "$expected" "$first" "$log"
  exit 1
fi
