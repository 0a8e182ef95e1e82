#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# One disk goes from this host into a guest and back, again and again: each finds what the other
# left. Then it is taken away from a guest that is using it, within a bounded time.
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need linux.uml busybox cpio
[ -w /dev/fuse ] || skip "no /dev/fuse: no disk as a file on this host"

random "$tmp/disk" $((4 << 20))
cp "$tmp/disk" "$tmp/want"
daemon_start
uvdpa dev add name d0 mgmtdev blk image "$tmp/disk" driver virtio file "$tmp/file"

script guest <<'E2'
set -e
md5sum /dev/vda
dd if=/dev/vda of=/dev/vda bs=64k skip=1 seek=40 count=8 conv=notrunc,fsync 2>/dev/null
E2
for round in 1 2 3; do
	random "$tmp/piece" 65536
	for f in file want; do
		dd if="$tmp/piece" of="$tmp/$f" bs=64k seek=1 conv=notrunc,fsync status=none
	done
	cmp "$tmp/file" "$tmp/want"
	uvdpa dev bind d0 vhost-user socket "$tmp/d0.sock"
	[ ! -s "$tmp/file" ] || fail "the file still has something in it"
	uml -d "$tmp/d0.sock:2" "$tmp/guest" >"$tmp/out"
	[ "$(sed 's/ .*//' "$tmp/out")" = "$(md5 "$tmp/want")" ] || fail "round $round: the guest differs"
	dd if="$tmp/want" of="$tmp/want" bs=64k skip=1 seek=40 count=8 conv=notrunc status=none
	uvdpa dev bind d0 virtio file "$tmp/file"
	[ ! -e "$tmp/d0.sock" ] || fail "the socket is still there"
	cmp "$tmp/file" "$tmp/want"
done

script busy <<'E2'
echo busy
while dd if=/dev/vda of=/dev/null bs=4k iflag=direct 2>/dev/null; do :; done
E2
uvdpa dev bind d0 vhost-user socket "$tmp/d0.sock"
background uml -o "$tmp/o" -d "$tmp/d0.sock:2" "$tmp/busy" >/dev/null 2>&1
wait_for 60 grep -qs '^busy' "$tmp/o/console.log"
sleep 0.3
begin=$(date +%s%3N)
uvdpa dev bind d0 virtio file "$tmp/file"
took=$(($(date +%s%3N) - begin))
echo "taken from a busy guest in $took ms"
[ $took -lt 4000 ] || fail "it took $took ms"
cmp "$tmp/file" "$tmp/want"
kill -KILL -- "-$(cat "$tmp/o/pid")" 2>/dev/null || true
