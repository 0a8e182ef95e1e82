# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034 # who includes this uses what it sets
# host.sh - what every test of a console's other ends begins with
#
# The guest is User Mode Linux, and answers each line at its console; "end" ends it.
# shellcheck source=../cli/cli.sh
. "$(dirname "${BASH_SOURCE[0]}")/../cli/cli.sh"
need socat jq
command -v linux.uml >/dev/null || skip "no linux.uml (package user-mode-linux)"

# console_add LIST [OPTION VALUE...]: a device for a guest
console_add() {
	local list=$1

	shift
	uvdpa dev add name c0 mgmtdev console port "$list" "$@" driver vhost-user socket "$tmp/c0.sock"
}

# answering_guest [COMMAND...]: the words that its console hears are run in it before
answering_guest() {
	script answer <<-E2
	until [ -e /dev/hvc0 ]; do sleep 0.1; done
	exec </dev/hvc0 >/dev/hvc0
	stty raw -echo
	$*
	echo ready
	while read -r line; do
		[ "\$line" != end ] || exit 0
		echo "heard \$line"
	done
	exit 1
	E2
	background uml -d "$tmp/c0.sock:3" "$tmp/answer" >"$tmp/guest.out" 2>&1
	guest_pid=$!
}

guest_ends() {
	wait "$guest_pid" || { cat "$tmp/guest.out" >&2; fail "the guest ended with an error"; }
}

shown() { json ".dev.c0.$1" dev show c0; }
# is_shown KEY VALUE
is_shown() { [ "$(shown "$1")" = "$2" ]; }
# has FILE PATTERN
has() { tr -d '\r' <"$1" | grep -aqE -- "$2"; }

# visit OUT ADDRESS: somebody comes, and says what is written to descriptor 5; what they hear is in $tmp/OUT
visit() {
	rm -f "$tmp/in"
	mkfifo "$tmp/in"
	exec 5<>"$tmp/in"
	: >"$tmp/$1"
	socat -t 20 STDIO "$2" <"$tmp/in" >"$tmp/$1" 5>&- &
	visitor=$!
	pids+=("$visitor")
}

# They die.
leave() {
	kill -KILL "$visitor"
	wait "$visitor" 2>/dev/null || true
	exec 5>&-
}
