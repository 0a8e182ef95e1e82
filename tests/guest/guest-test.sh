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

# One that could not begin is begun again; if it never can, that is told.
mkdir "$tmp/bin"
cat >"$tmp/bin/linux.uml" <<E2
#!/bin/sh
echo >>"$tmp/boots"
[ "\$(wc -l <"$tmp/boots")" -gt "\$(cat "$tmp/fail")" ] ||
	{ echo "/init: line 3: can't fork: Resource temporarily unavailable"; exit 1; }
printf '%s\\n' 'guest: begin' again 'guest: exit 0'
E2
chmod +x "$tmp/bin/linux.uml"
real=$PATH
PATH=$tmp/bin:$PATH
echo 1 >"$tmp/fail"
expect 0 <<<'echo again'
[ "$(cat "$tmp/out")" = again ] || fail "what the second one wrote: $(cat "$tmp/out")"
echo 100 >"$tmp/fail"
expect 125 <<<'echo again'
[ "$(wc -l <"$tmp/boots")" = 5 ] || fail "$(wc -l <"$tmp/boots") boots, not 2 and 3"
PATH=$real

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
