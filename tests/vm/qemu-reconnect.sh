#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The daemon ends and another begins, and the device goes and comes, while a guest writes and
# verifies with many requests at once: the guest waits, and loses nothing.
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need qemu-system-x86_64 busybox cpio fio

truncate -s 32M "$tmp/disk"
daemon_start
blk_add d0 "$tmp/disk" num_queues 2

# Until the host has written "stop" at the end of the disk.
script guest <<'E2'
mark() { dd if=/dev/vda bs=512 skip=65535 count=1 iflag=direct 2>/dev/null | tr -d '\0'; }
i=0
while [ "$(mark)" != stop ]; do
	fio --output-format=terse --terse-version=3 --filename=/dev/vda --direct=1 --size=5M \
		--ioengine=io_uring --iodepth=16 --bsrange=512-32k --rw=randrw --verify=crc32c \
		--verify_fatal=1 --fsync=32 --randseed=$i --name=a --name=b --offset=16M >/tmp/fio 2>&1 ||
		{ cat /tmp/fio; exit 1; }
	i=$((i + 1))
	echo "well $i"
done
echo 3 >/proc/sys/vm/drop_caches
md5sum /dev/vda
E2
background qemu -o "$tmp/o" -c 2 -m 512 -t 200 -f "$(command -v fio)" \
	-d "$tmp/d0.sock:2,num-queues=2,reconnect=1" "$tmp/guest" >"$tmp/out"
guest=${pids[-1]}

# How many times the guest's fio was well
well() {
	grep -c '^well ' "$tmp/o/console.log" 2>/dev/null || true
}

further() {
	kill -0 "$guest" 2>/dev/null || fail "the guest is gone"
	[ "$(well)" -gt "$1" ]
}

# A fio that was begun after now is well.
goes_on() {
	local now

	now=$(well)
	wait_for 120 further $((${now:-0} + 1))
}

wait_for 120 grep -qs '^well 1' "$tmp/o/console.log"
for _ in 1 2; do
	daemon_stop
	sleep 0.3
	daemon_start
	blk_add d0 "$tmp/disk" num_queues 2
	goes_on
	uvdpa dev del d0
	blk_add d0 "$tmp/disk" num_queues 2
	goes_on
done
printf stop | dd of="$tmp/disk" bs=512 seek=65535 conv=notrunc status=none
wait "$guest" || { cat "$tmp/out"; fail "the guest failed"; }
[ "$(sed -n 's/ .*dev.vda$//p' "$tmp/out")" = "$(md5 "$tmp/disk")" ] || fail "the image differs"
