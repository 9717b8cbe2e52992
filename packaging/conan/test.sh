#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# usage: packaging/conan/test.sh [all] [OPTIONS OF CONAN]
# Makes the Conan package of the headers, or with `all` that of everything (minutes of compiling), in a Conan home of its
# own, and builds and runs the program in test_package with it. CONAN (default conan): a Conan 2, such as that of
# `python3 -m venv V && V/bin/pip install conan`. The system's packages must be here already: nothing is installed.
set -euo pipefail
conan=${CONAN:-conan}
cd "$(dirname "$0")"
command -v "$conan" >/dev/null || { echo "no $conan here: pip install conan, or say CONAN=..." >&2; exit 1; }
components=False
if [ "${1:-}" = all ]; then
  components=True
  shift
fi

CONAN_HOME=$(mktemp -d)
export CONAN_HOME
trap 'rm -rf "$CONAN_HOME"' EXIT
"$conan" profile detect
"$conan" create . --no-remote -o "binllm/*:components=$components" -s compiler.cppstd=20 \
  -c tools.system.package_manager:mode=check -c tools.system.package_manager:sudo=False \
  -c tools.cmake.cmaketoolchain:generator=Ninja -c tools.cmake.cmaketoolchain:user_presets= \
  -c tools.cmake.cmake_layout:test_folder="$CONAN_HOME/test" --build=missing "$@"
