#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A front-end that tries to do harm: the daemon lives, keeps nothing, answers, and serves the
# front-end of another device in time all the while.
. "$(dirname "$0")/../lib.sh"
need python3
python3 -c 'import os; os.eventfd' 2>/dev/null || skip "python3 before 3.10"

# What is freed shall count as free also with the sanitizer.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=1
daemon_start
for name in victim neighbour; do
	truncate -s 16M "$tmp/$name.img"
	blk_add "$name" "$tmp/$name.img" num_queues 2
done
PYTHONDONTWRITEBYTECODE=1 timeout 150 python3 "$tests/hostile/frontend.py" "$ctl" "$daemon_pid" \
	"$tmp/victim.sock" "$tmp/neighbour.sock" "${1:-0.3}" "${@:2}"
