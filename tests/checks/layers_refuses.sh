#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# usage: layers_refuses.sh
# The checker reports everything that is wrong in a house built to be wrong, and nothing that is right there; a rule alone
# reports its own; and a rule that finds nothing to watch over is not content.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")"
empty=$(mktemp -d)
trap 'rm -rf "$empty"' EXIT
trap 'echo "layers_refuses.sh:$LINENO: not as expected" >&2' ERR

refused() { ! bash layers.sh "$@" || { echo "layers.sh $* finds nothing wrong" >&2; return 1; }; }

diff -u wrong_house/expected <(refused wrong_house/include | sort)
for rule in layers families kinds names cycles; do
  refused wrong_house/include $rule | grep " (${rule})$" >/dev/null
done
refused wrong_house/include no-such-rule | grep "no such rule" >/dev/null

mkdir -p "$empty/binllm"/{models,nn,policy}
for room in models nn policy; do echo "// SPDX-License-Identifier: MIT" >"$empty/binllm/$room/nothing.hpp"; done
for rule in families kinds names; do
  refused "$empty" $rule | grep "^$rule: " >/dev/null
done
