#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Every frame that goes into the interface comes out of the device, and back, as it was: by split and packed
# rings, one queue and several, small rings, and up to the largest MTU.
# shellcheck source=netif.sh
. "$(dirname "${BASH_SOURCE[0]}")/netif.sh"
need python3

n=0
# try MTU WINDOW OPTION VALUE...: of the driver
try() {
	local mtu=$1 window=$2

	shift 2
	n=$((n + 1))
	uvdpa dev add name n$n mgmtdev sim-net mode echo mtu "$mtu" max_vqp 2 driver virtio tap t$n "$@"
	bounded python3 "$tests/netif/frames.py" t$n 200 "$window" || fail "mtu $mtu, $*"
	uvdpa dev del n$n
}

daemon_start
for mtu in 1500 9000 65521; do
	for packed in off on; do
		try $mtu 16 packed $packed
		try $mtu 16 packed $packed queues 1 queue_size 64
	done
done
# What finds no buffer is lost, so no more at a time than there are.
try 1500 2 queue_size 4
try 1500 2 queue_size 5 packed on
