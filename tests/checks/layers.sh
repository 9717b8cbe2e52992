#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# usage: layers.sh INCLUDE_FOLDER
# The rooms of the house and the arrows between them: which folder of include/binllm may include which.
set -euo pipefail
cd "$1"

find binllm -name '*.hpp' -o -name '*.cuh' -o -name '*.cpp' | LC_ALL=C sort | xargs awk '
BEGIN {
  # Each room sees itself and those named here.
  base = "core"
  sees["core"] = ""
  sees["policy"] = sees["tokenizer"] = sees["interop"] = base
  sees["device"] = base
  sees["simd"] = sees["device"] " device"
  sees["autodiff"] = sees["simd"] " simd"
  sees["ops"] = sees["autodiff"] " autodiff policy"
  sees["packed"] = sees["ops"] " ops"
  sees["nn"] = sees["packed"] " packed"
  sees["models"] = sees["nn"] " nn"
  siblings = "optim data infer eval"
  sees["optim"] = sees["eval"] = sees["models"] " models " siblings
  sees["data"] = sees["infer"] = sees["optim"] " tokenizer"
  sees["train"] = sees["models"] " models " siblings
  sees["io/containers"] = base
  sees["io/folders"] = sees["train"] " train tokenizer io/containers"
  everywhere = " fwd.hpp version.hpp "
  umbrellas = " binllm.hpp io.hpp compiled.hpp compiled.cpp "
  heavy = "^<(iostream|ranges|functional|regex)>$"
}
function room(path,   part, n) {  # binllm/ops/cpu/gemm.hpp -> ops, binllm/io/folders/model.hpp -> io/folders
  n = split(path, part, "/")
  if (n == 2) return part[2]
  return part[2] == "io" && n > 3 ? "io/" part[3] : part[2]
}
function wrong(text) { printf "include/%s:%d: %s\n", FILENAME, FNR, text; failures++ }
function has(list, word) { return index(" " list " ", " " word " ") > 0 }

FNR == 1 { from = room(FILENAME); umbrella = index(umbrellas, " " from " ") > 0; files++ }
!/^[ \t]*#[ \t]*include/ { next }
{
  target = $0
  sub(/^[ \t]*#[ \t]*include[ \t]*/, "", target)
  sub(/[ \t]*(\/\/.*)?$/, "", target)
  if (target ~ /^"/) { wrong("write the whole path, <binllm/...>, not " target); next }
  if (target ~ heavy && FILENAME ~ /\.hpp$/ && from !~ /^(io|interop)/) { wrong(target " is too heavy for a header"); next }
  if (target !~ /^<binllm\//) next
  to = room(substr(target, 2, length(target) - 2))
  if (umbrella || index(everywhere, " " to " ")) next
  if (index(umbrellas, " " to " ")) { wrong("nothing includes the umbrella " target); next }
  if (index(everywhere, " " from " ")) { if (to != base) wrong(from " sees " base " only, not " target); next }
  if (!(from in sees)) { wrong("the room " from " stands on no layer"); next }
  if (!(to in sees)) { wrong("the room " to " stands on no layer"); next }
  if (from == to) next
  if (!has(sees[from], to)) { wrong("the layer " from " does not see " to ": " target); next }
  arrow[from, to] = FILENAME
}
END {
  n = split(siblings, sibling, " ")
  for (i = 1; i < n; i++)
    for (j = i + 1; j <= n; j++)
      if ((sibling[i], sibling[j]) in arrow && (sibling[j], sibling[i]) in arrow) {
        printf "include/%s and include/%s: %s and %s see each other\n", arrow[sibling[i], sibling[j]],
               arrow[sibling[j], sibling[i]], sibling[i], sibling[j]
        failures++
      }
  printf "%d files, %d arrows against the layers\n", files, failures
  exit failures > 0
}'
