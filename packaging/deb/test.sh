#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# usage: packaging/deb/test.sh [BUILD_FOLDER]        default build/install, which `cmake --build --preset install` fills
# Makes the Debian packages of a build and tries them: the program starts, its manual and its completion are there, and a
# program compiles against the headers and libraries. As root with debootstrap, and FRESH=1, they are installed in a bare
# Debian 12 (MIRROR, default deb.debian.org; a few minutes of downloading); otherwise they are unpacked here.
set -euo pipefail
build=$(realpath "${1:-$(dirname "$0")/../../build/install}")
cd "$(dirname "$0")/../.."
[ -f "$build/CPackConfig.cmake" ] || { echo "no build there: $build (cmake --build --preset install)" >&2; exit 1; }
work=$(mktemp -d)
root=$work/root
trap 'rm -rf "$work"' EXIT

(cd "$work" && cpack --config "$build/CPackConfig.cmake" -B "$work/packages")
for package in "$work"/packages/*.deb; do
  echo "== $(basename "$package")"
  dpkg-deb --field "$package" Package Version Architecture Installed-Size Depends Recommends
done

if [ -n "${FRESH:-}" ]; then
  debootstrap --variant=minbase bookworm "$root" "${MIRROR:-http://deb.debian.org/debian}" >"$work/log" || { tail "$work/log"; exit 1; }
  cp "$work"/packages/*.deb tests/consumer/pkg_config.cpp "$root/root/"
  inside() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"; }
  inside bash -c 'apt-get -q=2 install --no-install-recommends -y /root/binllm_*.deb'
  inside binllm --version
  inside bash -c 'apt-get -q=2 install -y /root/libbinllm-dev_*.deb g++ pkg-config'
  inside bash -c 'g++ -std=c++20 /root/pkg_config.cpp $(pkg-config --cflags --libs binllm-io) -o /root/program'
  inside /root/program
else
  mkdir "$root"
  for package in "$work"/packages/*.deb; do dpkg-deb --extract "$package" "$root"; done
  "$root/usr/bin/binllm" --version
  bash tests/consumer/pkg_config.sh g++ "$root"
fi
grep -q '^complete .* binllm$' "$root/usr/share/bash-completion/completions/binllm"
grep -q '^\.TH BINLLM' "$root/usr/share/man/man1/binllm.1"
echo "the packages work"
