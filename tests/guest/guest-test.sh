#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The helper that boots a guest tells what happened in it: else no test with a guest means anything.
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need linux.uml busybox cpio

# expect STATUS [OPTION...]: the script on stdin ends so
expect() {
	local rc=0 want=$1

	shift
	script guest
	uml "$@" "$tmp/guest" >"$tmp/out" 2>"$tmp/err" || rc=$?
	[ "$rc" = "$want" ] || { cat "$tmp/out" "$tmp/err"; fail "status $rc, not $want"; }
}

expect 0 <<<'echo hello; uname -s'
[ "$(cat "$tmp/out")" = "hello
Linux" ] || fail "what the guest wrote: $(cat "$tmp/out")"
expect 3 <<<'exit 3'
expect 124 -t 3 <<<'sleep 100'
expect 125 <<<'poweroff -f'
grep -q -- '--- console' "$tmp/err" || fail "the console was not shown"

# Killed from outside, as tests do that want to know what the device makes of it.
script guest <<<'echo up; sleep 100'
background uml -o "$tmp/o" "$tmp/guest"
wait_for 30 grep -qs '^up' "$tmp/o/console.log"
group=$(cat "$tmp/o/pid")
kill -KILL -- "-$group"
rc=0
wait "${pids[0]}" 2>/dev/null || rc=$?
[ $rc = 125 ] || fail "status $rc of a killed guest"
wait_for 10 eval "! pgrep -g $group -r RSDt >/dev/null"	# nothing is left but, perhaps, zombies

# What runs it is ended: the guest, too, and at once.
rm "$tmp/o/console.log"
background "$tests/guest/uml.sh" -o "$tmp/o" "$tmp/guest"
helper=$!
wait_for 30 grep -qs '^up' "$tmp/o/console.log"
group=$(cat "$tmp/o/pid")
kill "$helper"
begin=$SECONDS
wait "$helper" || true
[ $((SECONDS - begin)) -lt 20 ] || fail "the guest held up the end"
wait_for 10 eval "! pgrep -g $group -r RSDt >/dev/null"
