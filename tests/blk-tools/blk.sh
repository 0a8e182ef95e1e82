# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034 # who includes this uses what it sets
# blk.sh - for the tests of "uvdpa blk"
# shellcheck source=tests/cli/cli.sh
. "$(dirname "${BASH_SOURCE[0]}")/../cli/cli.sh"

blk() {
	timeout 60 "$UVDPA" -s "$ctl" blk "$@"
}

# quiet COMMAND... - it succeeds and has nothing to complain of
quiet() {
	"$@" 2>"$tmp/quiet.err" || fail "$*: $(cat "$tmp/quiet.err")"
	[ ! -s "$tmp/quiet.err" ] || fail "$*: said $(cat "$tmp/quiet.err")"
}

# status WANTED COMMAND...
status() {
	local wanted=$1 rc=0

	shift
	"$@" >"$tmp/status.out" 2>"$tmp/status.err" || rc=$?
	[ "$rc" = "$wanted" ] || fail "status $rc, wanted $wanted: $* said: $(cat "$tmp/status.err")"
}

# sparse FILE - 64 MiB with data at some places, of odd sizes
sparse() {
	truncate -s 64M "$1"
	random "$tmp/sparse.data" 3000000
	dd if="$tmp/sparse.data" of="$1" bs=4k seek=100 conv=notrunc status=none
	dd if="$tmp/sparse.data" of="$1" bs=512 seek=70001 count=3 conv=notrunc status=none
	dd if="$tmp/sparse.data" of="$1" bs=512 seek=131071 count=1 conv=notrunc status=none
}

# kib FILE - what it takes on its file system
kib() {
	du -k "$1" | cut -f 1
}
