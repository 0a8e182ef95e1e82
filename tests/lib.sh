# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034 # who includes this uses what it sets
# lib.sh - what every integration test begins with
#
# A private directory $tmp, removed at the end; processes started with "background", ended at the
# end by their pid; a daemon that must still be well then. UVDPAD and UVDPA name the programs.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tmp=$(mktemp -d "${TMPDIR:-/tmp}/uvdpa-test.XXXXXX")
ctl=$tmp/ctl		# the daemon's control socket
daemon_pid=''
daemon_args=()
records=()		# of what went over its control socket, one for each daemon
pids=()

fail() {
	echo "FAIL: $*" >&2
	exit 1
}

# The last line of a skipped test is its reason.
skip() {
	echo "$*"
	exit 77
}

# need PROGRAM...
need() {
	local p

	for p in "$@"; do
		command -v "$p" >/dev/null || skip "no program $p"
	done
}

# A test that has more to undo at its end has a function of this name of its own.
take_back() { :; }

test_end() {
	local rc=$? p

	trap - EXIT
	take_back || true
	for p in "${pids[@]}"; do
		# shellcheck disable=SC2046 # of a function, such as uml, there is a shell and what it runs
		kill "$p" $(pgrep -P "$p") 2>/dev/null || true
	done
	if [ -n "$daemon_pid" ]; then
		daemon_stop || rc=1
	fi
	wait
	if [ $rc = 0 ] && ! records_check; then
		rc=1
	fi
	# Tests run as root, and what takes this one away makes the others fail far from where it is.
	[ -c /dev/null ] || { echo "FAIL: /dev/null is a device no more" >&2; rc=1; }
	if [ $rc != 0 ] && [ $rc != 77 ] && [ -s "$tmp/daemon.log" ]; then
		sed 's/^/daemon: /' "$tmp/daemon.log" >&2
	fi
	rm -rf "$tmp"
	exit $rc
}
trap test_end EXIT
trap 'exit 1' INT TERM

# background COMMAND...: in $! and ended with the test
background() {
	"$@" &
	pids+=($!)
}

# wait_for SECONDS COMMAND...: until it succeeds
wait_for() {
	local end=$((SECONDS + $1))

	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || fail "waited too long for: $*"
		sleep 0.05
	done
}

now_ms() {
	echo $((${EPOCHREALTIME/./} / 1000))
}

# in_time MS COMMAND...: it succeeds, and sooner
in_time() {
	local limit=$1 begin took

	shift
	begin=$(now_ms)
	"$@" || fail "$* failed"
	took=$(($(now_ms) - begin))
	echo "$*: $took ms" >&2
	[ "$took" -lt "$limit" ] || fail "$*: $took ms"
}

# ---- the daemon

uvdpa() {
	"${UVDPA:?}" -s "$ctl" "$@"
}

# daemon_start: with $daemon_args; returns when it answers
daemon_start() {
	: "${UVDPAD:?the daemon}" "${UVDPA:?the command}"
	records+=("$tmp/record.${#records[@]}")
	"${UVDPAD:?}" -s "$ctl" --record "${records[-1]}" "${daemon_args[@]}" >>"$tmp/daemon.log" 2>&1 &
	daemon_pid=$!
	wait_for 20 daemon_answers
}

daemon_answers() {
	kill -0 "$daemon_pid" 2>/dev/null || fail "the daemon is gone"
	uvdpa dev show >/dev/null 2>&1
}

# The daemon must end by itself, in time, with status 0: so no sanitizer had to say anything.
daemon_stop() {
	local pid=$daemon_pid rc=0

	daemon_pid=''
	kill -TERM "$pid" 2>/dev/null || { echo "FAIL: the daemon was gone" >&2; return 1; }
	timeout 20 tail -q -s 0.05 --pid="$pid" -f /dev/null || { kill -KILL "$pid"; rc=1; }
	wait "$pid" || rc=$?
	[ $rc = 0 ] || echo "FAIL: the daemon ended with $rc" >&2
	return $rc
}

# Each answer, and each event, is what the schema says. (In a trap, "return" alone is not what has just failed.)
records_check() {
	local r

	for r in "${records[@]}"; do
		/usr/bin/python3 "$tests/protocol.py" "$tests/../doc/control-protocol.schema.json" "$r" >&2 ||
			return 1
	done
}

# As if by a crash: nothing can be cleaned up.
daemon_kill() {
	kill -KILL "$daemon_pid"
	wait "$daemon_pid" || true
	daemon_pid=''
}

# blk_add NAME FILE [OPTION VALUE...]: a disk image for VMs at $tmp/NAME.sock
blk_add() {
	local name=$1 file=$2

	shift 2
	uvdpa dev add name "$name" mgmtdev blk image "$file" "$@" \
		driver vhost-user socket "$tmp/$name.sock"
}

# ---- guests, see guest/guest.sh

uml() { "$tests/guest/uml.sh" "$@"; }
qemu() { "$tests/guest/qemu.sh" "$@"; }

# script NAME: what is on stdin, for the guest; its path is $tmp/NAME
script() {
	cat >"$tmp/$1"
}

# random FILE BYTES
random() {
	head -c "$2" /dev/urandom >"$1"
}

md5() {
	md5sum "$@" | cut -c 1-32
}
