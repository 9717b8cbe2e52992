#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# usage: mpirun.sh MPIRUN RANKS TEST_PROGRAM
# The tests of ranks that mpirun starts; without an mpirun they are skipped.
set -euo pipefail
if [ ! -x "$1" ]; then
  echo "skipped: no mpirun (Debian: openmpi-bin)"
  exit 77
fi
export BINLLM_TEST_LAUNCHED=1
exec timeout 60 "$1" -n "$2" --oversubscribe --allow-run-as-root "$3" -tc="launched ranks*" -m
