#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Debian's libraries for ARM64, unpacked in build/aarch64-packages for the preset aarch64; nothing is installed and no
# list of the system changes. SentencePiece is not among them: what it wants in turn is much.
set -euo pipefail
cd "$(dirname "$0")/.."
packages=(libfmt-dev libfmt9 libpcre2-dev libpcre2-8-0 libutf8proc-dev libutf8proc2 libzstd-dev libzstd1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir -p "$work"/{lists,cache,packages} build/aarch64-packages
touch "$work/status"
apt=(apt-get -q=2 -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o "Dir::State::Lists=$work/lists"
  -o "Dir::State::status=$work/status" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root)
"${apt[@]}" update
(cd "$work/packages" && "${apt[@]}" download "${packages[@]}")
for package in "$work"/packages/*.deb; do dpkg -x "$package" build/aarch64-packages; done
echo "unpacked in build/aarch64-packages: ${packages[*]}"
