# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# nbd.sh - what every test of a disk of an NBD server begins with
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need nbdkit

nbd_pid=''

# nbd_serve SOCKET [WORD...]: nbdkit; returns when it listens
nbd_serve() {
	local socket=$1

	shift
	rm -f "$socket" "$tmp/nbd.pid"
	background nbdkit -f -U "$socket" -P "$tmp/nbd.pid" "$@" 2>>"$tmp/nbdkit.log"
	nbd_pid=$!
	wait_for 10 test -s "$tmp/nbd.pid"
}

# As by a crash.
nbd_kill() {
	kill -KILL "$nbd_pid"
	wait "$nbd_pid" || true
}

# nbd_add NAME SOCKET [OPTION VALUE...]: a disk for VMs at $tmp/NAME.sock
nbd_add() {
	local name=$1 socket=$2

	shift 2
	uvdpa dev add name "$name" mgmtdev nbd socket "$socket" "$@" \
		driver vhost-user socket "$tmp/$name.sock"
}

# shown NAME KEY VALUE: "dev show" says so
shown() {
	uvdpa -j dev show "$1" | jq -e ".dev[\"$1\"][\"$2\"] == $3" >/dev/null
}
