#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Several queues, more and fewer than the guest has CPUs, and some of them polled by the guest: what
# is written by way of one is read by way of the others.
#
# usage: qemu-queues.sh CPUS QUEUES POLLED [OPTION VALUE...]	of the guest; of the device
#	POLLED	how many of the queues the guest looks at without being called
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need qemu-system-x86_64 busybox cpio fio jq

cpus=$1 queues=$2 polled=$3
shift 3
truncate -s 8M "$tmp/disk"
daemon_start
blk_add d0 "$tmp/disk" num_queues "$queues" "$@"

script guest <<E2
set -e
if [ $polled != 0 ]; then
	rmmod virtio_blk
	insmod /mods/virtio_blk.ko poll_queues=$polled
	hipri=--hipri
fi
echo "hardware queues \$(ls /sys/block/vda/mq | wc -l)"
job() {
	fio --output-format=terse --terse-version=3 --filename=/dev/vda --direct=1 --size=1M --iodepth=8 \\
		--ioengine=io_uring \$hipri --bs=4k --offset_increment=1M --numjobs=$queues --group_reporting \\
		--cpus_allowed=0-$((cpus - 1)) --cpus_allowed_policy=split --verify=crc32c --verify_fatal=1 \\
		--name=job "\$@" >/tmp/fio 2>&1 || { cat /tmp/fio; exit 1; }
}
job --rw=randwrite --do_verify=0
echo 3 >/proc/sys/vm/drop_caches
taskset 1 md5sum /dev/vda
job --rw=read
E2
qemu -c "$cpus" -m 512 -t 120 -f "$(command -v fio)" -d "$tmp/d0.sock:2,num-queues=$queues" "$tmp/guest" >"$tmp/out"
cat "$tmp/out"
[ "$(sed -n 's/ .*dev.vda$//p' "$tmp/out")" = "$(md5 "$tmp/disk")" ] || fail "the image differs"
uvdpa -j dev vstats show d0 >"$tmp/stats"
# queues CONDITION: how many of which it is true
queues() { jq "[.vstats.d0.queues[] | select($1)] | length" "$tmp/stats"; }
used=$(queues '.requests > 0')
[ "$used" = "$(sed -n 's/^hardware queues //p' "$tmp/out")" ] || fail "$used queues were used"
# With event indexes, the first request of a queue that nobody has looked at is called for.
[ "$(queues '.requests > 1000 and .calls < 10')" = "$((polled > 0))" ] || fail "a polled queue was called"
