#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A front-end of a network device that tries to do harm, with frames, headers, buffers and commands:
# the daemon lives, keeps nothing, and serves the front-end of another device in time all the while.
. "$(dirname "$0")/../lib.sh"
need python3
python3 -c 'import os; os.eventfd' 2>/dev/null || skip "python3 before 3.10"

# What is freed shall count as free also with the sanitizer.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=1
daemon_start
uvdpa dev add name victim mgmtdev sim-net mode echo max_vqp 2 workers 2 rss on \
	driver vhost-user socket "$tmp/victim.sock"
truncate -s 16M "$tmp/neighbour.img"
blk_add neighbour "$tmp/neighbour.img" num_queues 2
PYTHONDONTWRITEBYTECODE=1 timeout 150 python3 "$tests/hostile/net.py" "$ctl" "$daemon_pid" \
	"$tmp/victim.sock" "$tmp/neighbour.sock" "${1:-0.5}" "${@:2}"
