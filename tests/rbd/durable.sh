#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The daemon is killed, and with it the cache that librbd has in it. What was promised to be on stable
# storage is there: what was flushed, and every write of a guest that has turned the cache off.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need linux.uml busybox cpio

# This cache keeps what it has for so long that it is really lost.
conf=$tmp/ceph.conf
{
	cat "$UVDPA_TEST_CEPH"
	echo 'rbd_cache_max_dirty_age = 3600'
} >"$conf"

# killed WANTED CACHE COMMAND: the guest writes block 1, flushes, does COMMAND, and writes block 2.
# WANTED: the kind of cache that it saw, before and after COMMAND, and what there is of them in the image
n=0
killed() {
	local dir i image=killed-$((++n)) there=''

	dir=$tmp/$image
	image "$image" 16M
	rm -f "$tmp/d0.sock"
	daemon_start
	uvdpa dev add name d0 mgmtdev rbd image "$image" conf "$conf" cache "$2" \
		driver vhost-user socket "$tmp/d0.sock"
	script guest <<-E2
	set -e
	yes text | head -c 4096 >/tmp/text
	echo "cache \$(cat /sys/block/vda/cache_type)"
	dd if=/tmp/text of=/dev/vda bs=4k seek=1 oflag=direct conv=notrunc,fsync 2>/dev/null
	$3
	echo "cache \$(cat /sys/block/vda/cache_type)"
	dd if=/tmp/text of=/dev/vda bs=4k seek=2 oflag=direct conv=notrunc 2>/dev/null
	echo "written"
	sleep 60
	E2
	background uml -o "$dir" -d "$tmp/d0.sock:2" "$tmp/guest" >"$tmp/out"
	wait_for 40 grep -qs '^written' "$dir/console.log"
	daemon_kill
	kill -KILL -- "-$(cat "$dir/pid")"
	wait $! || true
	rbd export --no-progress "$image" "$tmp/$image.raw"
	for i in 1 2; do
		! dd if="$tmp/$image.raw" bs=4k skip=$i count=1 status=none | grep -q text || there+=" $i"
	done
	same "$1" "$(tr -d '\r' <"$dir/console.log" | sed -n 's/^cache //p' | tr '\n' ',')$there" "cache $2"
}

killed "write back,write back, 1" writeback true
killed "write back,write through, 1 2" writeback 'echo "write through" >/sys/block/vda/cache_type'
killed "write through,write through, 1 2" writethrough true
killed "write through,write through, 1 2" none true
