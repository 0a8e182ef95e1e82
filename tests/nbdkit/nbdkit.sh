# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034 # who includes this uses what it sets
# nbdkit.sh - what every test of the nbdkit plugin begins with; PLUGIN is its path
# shellcheck source=tests/cli/cli.sh
. "$(dirname "${BASH_SOURCE[0]}")/../cli/cli.sh"
need nbdkit nbdinfo nbdcopy nbdsh qemu-img qemu-io
PATH=/usr/bin:$PATH	# the system's python3, which has the module
nbdsh -c 'nbd.NBD()' 2>/dev/null || skip "no module nbd of python3"
cd "$tmp"

# A sanitizer's runtime, if it comes with a module and not with the program, makes nbdkit hang at its end.
! ldd "${PLUGIN:?}" | grep -E 'lib[atu]san|clang_rt' >/dev/null || skip "nbdkit has not the sanitizer that the plugin has"
! nm "$PLUGIN" | grep -E ' U __(asan|tsan)_init' >/dev/null || skip "nbdkit has not the sanitizer that the plugin has"

kit() {
	timeout 120 nbdkit "$@"
}
# serve WORDS... - in the foreground of another process, at ./nbd.sock
serve() {
	rm -f nbd.sock nbd.pid
	# The client must end by itself; what is left is ended with the test.
	nbdkit -f -U "$tmp/nbd.sock" -P "$tmp/nbd.pid" "$@" 2>nbdkit.err &
	kit_pid=$!
	pids+=("$kit_pid")
	wait_for 10 served
}
served() {
	kill -0 "$kit_pid" 2>/dev/null || fail "nbdkit ended: $(cat nbdkit.err)"
	[ -s nbd.pid ]
}
# With status 0: so no sanitizer had to say anything.
served_no_more() {
	local rc=0

	kill "$kit_pid"
	timeout 10 tail -q -s 0.05 --pid="$kit_pid" -f /dev/null || fail "nbdkit does not end"
	wait "$kit_pid" || rc=$?
	[ $rc = 0 ] || fail "nbdkit ended with $rc: $(cat nbdkit.err)"
}
uri="nbd+unix:///?socket=$tmp/nbd.sock"
shell() {
	timeout 60 nbdsh -u "$uri" -c "$@"
}
info() {
	nbdinfo --json "$uri" | jq -r ".exports[0] | $1"
}
