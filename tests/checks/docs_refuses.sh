#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# usage: docs_refuses.sh REPOSITORY
# The check of the pages reports every fault that is planted in a copy of them.
set -euo pipefail
export LC_ALL=C
here=$(dirname "$(realpath "$0")")
cd "$1"
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r README.md CONTRIBUTING.md CHANGELOG.md docs "$copy"
mkdir -p "$copy/examples" "$copy/build/examples"
cp -r examples/learn "$copy/examples"
for other in include bench tests cmake LICENSE quickstart; do ln -s "$PWD/$other" "$copy/$other"; done
printf '#!/bin/sh\necho hello\n' >"$copy/build/examples/binllm"
chmod +x "$copy/build/examples/binllm"
cd "$copy"

cat >>docs/faq.md <<'PAGE'
[a](#no-such-heading-here) [b](recipe.md#no-such-heading-there) [c](missing.md)

<!-- $ binllm -->
```text
goodbye
```

<!-- examples/learn/01_first_gradient.cpp -->
```cpp
int main() {}
```
PAGE
echo "# Alone" >docs/lonely.md
sed -i 's/0\.55709/0.5/; s/t=\*\/2\.0/t=*\/3.0/' docs/learn/01-first-gradient.md
sed -i 's/`shape_mismatch`/`shapes_mismatch`/' docs/errors.md
sed -i 's/^### E102 /### E199 /' docs/troubleshooting.md
echo "<!-- -->" >>docs/learn/02-tensors.svg
for line in {1..50}; do echo "// line $line"; done >>examples/learn/11_own_schedule.cpp
rm docs/learn/14-own-family.svg

! bash "$here/pages.sh" . build >found 2>&1 || { echo "pages.sh finds nothing wrong"; exit 1; }
missed=0
while read -r fault; do
  grep -qF -- "$fault" found || { echo "not found: $fault"; missed=1; }
done <<'FAULTS'
docs/faq.md: no such heading: #no-such-heading-here
docs/faq.md: no such heading: recipe.md#no-such-heading-there
docs/faq.md: no such file: missing.md
docs/lonely.md: no other page links to it
not in examples/learn/01_first_gradient.out:   0.30   0.5   1.47626
not in examples/learn/01_first_gradient.cpp:   const auto f = bl::progressive_sign(w, /*t=*/3.0);
-goodbye
-int main() {}
docs/errors.md: no row E101 `shape_mismatch`
docs/troubleshooting.md: no section E102 `rank_unsupported`
docs/troubleshooting.md: no such error: E199
examples/learn/11_own_schedule.cpp: 80 lines or more
examples/learn/14_own_family.cpp: no docs/learn/14-own-family.svg
FAULTS
grep -q "^pages: no gnuplot" found || grep -qF "docs/learn/02-tensors.svg: not what" found ||
  { echo "not found: a picture that is not of its output"; missed=1; }
exit $missed
