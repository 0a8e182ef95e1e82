#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A client that Ceph shuts out: the disks that share it get errors, others do not; what is added again
# works, whether the last of the others is gone or not.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need dd fusermount3 ceph jq
[ -c /dev/fuse ] || skip "no /dev/fuse"
take_back() {
	for f in "$tmp"/*.img; do
		fusermount3 -uz "$f" 2>/dev/null || true
	done
}

# disk NAME [KEY VALUE...]: of that image, as a file, and its first block is written, for a client takes
# the lock then at the latest
disk() {
	local name=$1

	shift
	rbd_add "$name" "$name" "$@" driver virtio file "$tmp/$name.img"
	writes "$name"
}
writes() {
	dd if=/dev/zero of="$tmp/$1.img" bs=4k count=1 oflag=direct conv=notrunc status=none 2>"$tmp/dd.err"
}
client() { rbd lock ls "$1" --format json | jq -r '.[0].address'; }

for name in a b alone; do
	image "$name" 16M
done
daemon_start
disk a
disk b
disk alone share off
same "$(client a)" "$(client b)" "client of b"
[ "$(client alone)" != "$(client a)" ] || fail "not alone"

timeout 30 ceph osd blocklist add "$(client a)" 2>"$tmp/ceph.err"
wait_for 10 eval '! writes a'
! writes b || fail "the client is not shut out"
grep -q 'Input/output error' "$tmp/dd.err" || fail "said $(cat "$tmp/dd.err")"
writes alone || fail "the other client, too: $(cat "$tmp/dd.err")"
uvdpa dev del a
disk a
uvdpa dev del b
disk b
same "$(client a)" "$(client b)" "client of b"
