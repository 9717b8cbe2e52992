#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# usage: aarch64.sh SOURCE_FOLDER
# The tests of packed products and of instruction sets, compiled for ARM64 and run on an emulated one: every kernel that
# it has against the plain one. Ends with 77, which is "skipped", where compiler or emulator is not installed.
set -euo pipefail
cd "$1"
compiler=$(command -v aarch64-linux-gnu-g++ || command -v aarch64-linux-gnu-g++-12) || {
  echo "skipped: no aarch64-linux-gnu-g++ here (Debian: g++-12-aarch64-linux-gnu)"
  exit 77
}
command -v qemu-aarch64 >/dev/null || {
  echo "skipped: no qemu-aarch64 here (Debian: qemu-user)"
  exit 77
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
flags=(-std=c++20 -O1 -Wall -Wextra -Wpedantic -Wconversion -Werror -DFMT_HEADER_ONLY -I include -I tests
  -isystem /usr/include/eigen3)
# All tests in one unit, as in cmake/join_tests.cmake: the headers first, then each file in a namespace of its own.
tests=(tests/packed/*_test.cpp tests/simd/*_test.cpp)
{
  grep -h '^#include' "${tests[@]}" | sort -u
  for test in "${tests[@]}"; do
    printf 'namespace %s {\n#include "%s"\n}\n' "$(basename "$test" .cpp)" "$PWD/$test"
  done
} >"$folder/joined.cpp"
for source in tests/main.cpp "$folder/joined.cpp"; do
  ${CMAKE_CXX_COMPILER_LAUNCHER:-} "$compiler" "${flags[@]}" -c "$source" -o "$folder/$(basename "$source" .cpp).o"
done
"$compiler" -static -pthread "$folder"/*.o -o "$folder/tests"
BINLLM_FORCE_ISA=neon qemu-aarch64 -cpu max "$folder/tests" >"$folder/log" || {
  cat "$folder/log"
  exit 1
}
tail -n 3 "$folder/log"
