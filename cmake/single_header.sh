#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# usage: cmake/single_header.sh > binllm.hpp
# The library as one header: <binllm/binllm.hpp> with every header of ours in the place of its #include. Those of others
# (Eigen, {fmt}, the standard library) stay. For compilers of the host: what nvcc alone sees (.cuh) is left out.
set -euo pipefail
cd "$(dirname "$0")/../include"

awk '
function insert(path,   line, name) {
  if (path in inserted) return
  inserted[path] = 1
  print "\n// ---- " path
  while ((status = (getline line < path)) > 0) {
    if (line ~ /^#include <binllm\/.*\.cuh>/) continue
    if (line ~ /^#include <binllm\//) {
      name = line
      gsub(/^#include <|>.*$/, "", name)
      insert(name)
    } else if (line !~ /^#pragma once|^\/\/ SPDX-License-Identifier/) {
      print line
    }
  }
  if (status < 0) { print "single_header.sh: no such header: " path > "/dev/stderr"; failed = 1 }
  close(path)
}
BEGIN {
  "sed -nE \"s/.*version = .([0-9.]+).*/\\1/p\" binllm/version.hpp" | getline version
  print "// SPDX-License-Identifier: MIT"
  print "/// binllm " version " as one header, made by cmake/single_header.sh. Needs C++20, Eigen 3.4, {fmt} 9 and threads."
  print "#pragma once"
  insert("binllm/binllm.hpp")
  exit failed
}'
