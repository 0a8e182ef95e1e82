#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A vhost-user back-end of a generator that lies: in its answers, in the ring, and by going away. Who reads from it may
# get bytes, an error, or nothing for as long as they wait.
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need python3
python3 -c 'import os; os.eventfd' 2>/dev/null || skip "python3 before 3.10"

# The sanitizer's end is none of those that are right.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}exitcode=99
background python3 "$tests/hostile/backend.py" "$tmp/back.sock" "${1:-6}" rng
backend=$!
wait_for 10 test -S "$tmp/back.sock"
declare -A ends=()
size=16
while kill -0 "$backend" 2>/dev/null; do
	rc=0
	size=$((100016 - size)) # several requests, or one
	timeout -k 5 0.5 "${UVDPA:?}" rng read "$tmp/back.sock" "$size" >"$tmp/bytes" 2>"$tmp/errors" || rc=$?
	ends[$rc]=$((${ends[$rc]:-0} + 1))
	[[ $rc =~ ^(0|1|124)$ ]] || fail "status $rc: $(cat "$tmp/errors")"
	[ "$(wc -c <"$tmp/bytes")" -le "$size" ] || fail "more than was asked for"
done
for rc in "${!ends[@]}"; do
	echo "status $rc: ${ends[$rc]} times"
done
