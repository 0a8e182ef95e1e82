#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A host at the other end of a card's FIFO that tries to do harm, with messages, parts of them, and registers in
# shared memory: the daemon lives, keeps nothing, and serves the front-end of another device in time all the while.
# shellcheck source=../netif/netif.sh
. "$(dirname "$0")/../netif/netif.sh"
need python3
python3 -c 'import os; os.eventfd' 2>/dev/null || skip "python3 before 3.10"

# What is freed shall count as free also with the sanitizer.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=1
daemon_start
card() {
	uvdpa dev add name "$1" mgmtdev fifo type "$2" link "$3" role card reconnect_ms 20 driver virtio "${@:4}"
}
card n0 net "unix-listen:$tmp/link" tap tc
card c0 console "unix-listen:$tmp/link" pty "$tmp/pty"
card n1 net "window:$tmp/window" tap tw
card c1 console "window:$tmp/window" pty "$tmp/pty1"
ip addr add 192.0.2.1/24 dev tc
truncate -s 16M "$tmp/neighbour.img"
blk_add neighbour "$tmp/neighbour.img" num_queues 2
PYTHONDONTWRITEBYTECODE=1 timeout 150 python3 "$tests/hostile/fifo.py" "$ctl" "$daemon_pid" "$tmp/link" \
	"$tmp/window" "$tmp/pty" "$tmp/neighbour.sock" "${1:-0.5}" "${@:2}"
