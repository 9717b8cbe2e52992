#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# usage: pkg_config.sh COMPILER PREFIX
# A program of a user without CMake: the compiler, and what pkg-config says.
set -euo pipefail
command -v pkg-config >/dev/null || { echo "no pkg-config here: skipped"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
PKG_CONFIG_PATH=$(dirname "$(find "$2" -name binllm-io.pc)")
export PKG_CONFIG_PATH
read -ra flags < <(pkg-config --cflags --libs "binllm-io >= 0.1")
"$1" -std=c++20 "$(dirname "$0")/pkg_config.cpp" "${flags[@]}" -o "$work/program"
"$work/program"
! pkg-config --exists "binllm >= 1000"
