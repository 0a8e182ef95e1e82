# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034 # who includes this uses what it sets
# cli.sh - for the tests of the command and of the daemon's control socket
# shellcheck source=tests/netns.sh
. "$(dirname "${BASH_SOURCE[0]}")/../netns.sh" "$@"
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# refused PATTERN COMMAND... - the command fails with status 1 and a sentence like that
refused() {
	local pattern=$1 rc=0

	shift
	"$@" >"$tmp/refused.out" 2>"$tmp/refused.err" || rc=$?
	[ "$rc" = 1 ] || fail "status $rc, wanted 1: $* said: $(cat "$tmp/refused.err")"
	grep -Eq -- "$pattern" "$tmp/refused.err" ||
		fail "wanted \"$pattern\": $* said: $(cat "$tmp/refused.err")"
}

# same WANTED FOUND [WHAT]
same() {
	[ "$1" = "$2" ] || fail "${3:-value}: wanted \"$1\", found \"$2\""
}

# json FILTER ARG... - what jq's FILTER finds in the command's JSON
json() {
	local filter=$1

	shift
	uvdpa -j "$@" | jq -rc "$filter"
}

# rpc LINE... - send lines to the daemon, print its answers
rpc() {
	printf '%s\n' "$@" | socat -t 5 - "UNIX-CONNECT:$ctl"
}

# A plain command that fails ends the test, too; say which.
set -E
trap 'echo "FAIL: line $LINENO: $BASH_COMMAND" >&2' ERR
