#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# usage: two_hosts.sh TEST_PROGRAM
# Two ranks on two hosts, which are network namespaces with a cable between them; skipped where the system allows none.
set -euo pipefail
a=binllm-$$-a b=binllm-$$-b
if ! command -v ip >/dev/null || ! ip netns add $a 2>/dev/null; then
  echo "skipped: no network namespaces here (root and iproute2 make them)"
  exit 77
fi
trap 'ip netns del $a; ip netns del $b 2>/dev/null || true' EXIT
if ! ip netns add $b || ! ip link add binllm0 netns $a type veth peer name binllm0 netns $b; then
  echo "skipped: no cable between network namespaces"
  exit 77
fi
for host in "$a 1" "$b 2"; do
  read -r name number <<<"$host"
  ip -n "$name" address add "10.11.12.$number/24" dev binllm0
  ip -n "$name" link set binllm0 up
  ip -n "$name" link set lo up
done

export BINLLM_TEST_LAUNCHED=1 MASTER_ADDR=10.11.12.1 MASTER_PORT=29411 WORLD_SIZE=3
status=0
RANK=0 LOCAL_RANK=0 timeout 60 ip netns exec $a "$1" -tc='launched ranks*' -m & first=$!
RANK=1 LOCAL_RANK=0 timeout 60 ip netns exec $b "$1" -tc='launched ranks*' -m & second=$!
RANK=2 LOCAL_RANK=1 timeout 60 ip netns exec $b "$1" -tc='launched ranks*' -m & third=$!
for rank in $first $second $third; do wait $rank || status=1; done
exit $status
