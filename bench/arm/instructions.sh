#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# usage: bench/arm/instructions.sh
# Instructions a weight and token of whole packed products of 4096 x 4096 on one thread, NEON beside AVX2: both run on
# processors that qemu emulates, and a plugin counts. What two products take more than one is the table: it is exact and
# the same on every machine. Wants qemu-user, 7.2 or later for AVX2, and g++-12-aarch64-linux-gnu.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
flags=(-std=c++20 -O2 -DNDEBUG -DFMT_HEADER_ONLY -Iinclude -isystem /usr/include/eigen3 -static -pthread)
aarch64-linux-gnu-g++-12 "${flags[@]}" bench/arm/instructions.cpp -o "$folder/neon"
g++-12 "${flags[@]}" bench/arm/instructions.cpp -o "$folder/avx2"
gcc -O2 -shared -fPIC bench/arm/count.c -o "$folder/count.so"

count() {  # set, activations, tokens, times
  local qemu=qemu-aarch64
  [ "$1" = neon ] || qemu=qemu-x86_64
  "$qemu" -cpu max -plugin "$folder/count.so" "$folder/$1" "$@" 2>&1
}
echo '| activations, tokens | NEON | AVX2 | NEON over AVX2 |'
echo '| --- | --- | --- | --- |'
for activations in int8 float; do
  for tokens in 1 2 8; do
    neon=$(($(count neon $activations $tokens 2) - $(count neon $activations $tokens 1)))
    avx2=$(($(count avx2 $activations $tokens 2) - $(count avx2 $activations $tokens 1)))
    awk -v kind="$activations, $tokens" -v neon="$neon" -v avx2="$avx2" -v weights=$((4096 * 4096 * tokens)) \
      'BEGIN { printf "| %s | %.4f | %.4f | %.2f |\n", kind, neon / weights, avx2 / weights, neon / avx2 }'
  done
done
