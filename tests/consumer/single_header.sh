#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# usage: single_header.sh COMPILER FLAGS_FILE
# The single header wants no other header of ours, and the first program to learn from, compiled with it alone, prints what
# it should.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/binllm"
"$root/cmake/single_header.sh" >"$work/binllm/binllm.hpp"
sed '/^-I/d' "$2" >"$work/flags"  # all flags of a user but the folder of our headers
{ echo '#include <binllm/binllm.hpp>'; sed '/^#include <binllm\//d' "$root/examples/learn/01_first_gradient.cpp"; } >"$work/program.cpp"
"$1" @"$work/flags" "-I$work" "$work/program.cpp" -lfmt -pthread -o "$work/program"
bash "$root/examples/compare.sh" "$work/program" "$root/examples/learn/01_first_gradient.out"
