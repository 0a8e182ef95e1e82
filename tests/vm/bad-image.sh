#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# An image that cannot be used is refused at once, with a sentence that names it; the daemon and
# its other devices do not notice.
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need qemu-storage-daemon qemu-io

truncate -s 1M "$tmp/good"
daemon_start
blk_add good "$tmp/good"

# refused FILE REGEX [OPTION VALUE...]
refused() {
	local file=$1 regex=$2

	shift 2
	! blk_add bad "$file" "$@" 2>"$tmp/err" || fail "$file $*: was taken"
	grep -q "$file" "$tmp/err" || fail "$file $*: not named in: $(cat "$tmp/err")"
	grep -Eqi "$regex" "$tmp/err" || fail "$file $*: no '$regex' in: $(cat "$tmp/err")"
	[ ! -e "$tmp/bad.sock" ] || fail "$file $*: left a socket"
	[ "$(uvdpa -j dev show | jq -c '.dev | keys')" = '["good"]' ] || fail "$file $*: left a device"
}

refused "$tmp/none" 'no such file'
refused "$tmp/none/none" 'no such file'
refused "$tmp/good/none" 'not a directory'
refused "$tmp" 'directory'
truncate -s 1000 "$tmp/odd"
refused "$tmp/odd" '1000 bytes.*512'
truncate -s 0 "$tmp/empty"
refused "$tmp/empty" 'empty'
mkfifo "$tmp/fifo"
refused "$tmp/fifo" 'neither a file'
refused /dev/null 'neither a file'
ln -s loop "$tmp/loop"
refused "$tmp/loop" 'symbolic links'
refused "$tmp/good" 'in use'
ln "$tmp/good" "$tmp/link"
refused "$tmp/link" 'in use'

# Another daemon has it; it may share what both only read.
truncate -s 1M "$tmp/theirs" "$tmp/shared"
"$UVDPAD" -s "$tmp/ctl2" 2>/dev/null &
other=$!
pids+=("$other")
other() { "$UVDPA" -s "$tmp/ctl2" "$@"; }
wait_for 20 eval 'other dev show >/dev/null 2>&1'
other dev add name t mgmtdev blk image "$tmp/theirs"
other dev add name s mgmtdev blk image "$tmp/shared" readonly on
refused "$tmp/theirs" 'in use'
refused "$tmp/theirs" 'in use' readonly on
refused "$tmp/shared" 'in use'
blk_add shared "$tmp/shared" readonly on
uvdpa dev del shared
other dev del t
blk_add theirs "$tmp/theirs"
uvdpa dev del theirs

# QEMU has it, and QEMU respects that we have one.
truncate -s 1M "$tmp/qemus"
background qemu-storage-daemon --blockdev "driver=file,node-name=f,filename=$tmp/qemus" \
	--export "type=vhost-user-blk,id=e,node-name=f,addr.type=unix,addr.path=$tmp/q.sock,writable=on"
wait_for 20 test -S "$tmp/q.sock"
refused "$tmp/qemus" 'in use'
! qemu-io -f raw -c 'write 0 512' "$tmp/good" >"$tmp/out" 2>&1 || fail "QEMU opened our image"
grep -q 'lock' "$tmp/out" || fail "QEMU: $(cat "$tmp/out")"
uvdpa dev show good >/dev/null
