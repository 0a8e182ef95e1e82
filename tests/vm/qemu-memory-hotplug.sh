#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Memory is added to the guest while it reads and writes, and taken away again: the device learns of
# it in the middle of its work, and requests into the new memory are served too.
# Arguments: options of the disk.
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need qemu-system-x86_64 busybox cpio socat

random "$tmp/disk" $((32 << 20))
daemon_start
blk_add d0 "$tmp/disk" "$@"

# A tmpfs larger than the first memory, filled from the disk: some of it must be the new memory.
script guest <<'E2'
set -e
echo online_movable >/sys/devices/system/memory/auto_online_blocks
want=$(md5sum </dev/vda)
before=$(awk '/MemTotal/ { print $2 }' /proc/meminfo)
(while :; do dd if=/dev/vda of=/dev/null bs=64k iflag=direct 2>/dev/null; done) &
echo "plug now"
n=0
while [ "$(awk '/MemTotal/ { print $2 }' /proc/meminfo)" -lt $((before + 100000)) ]; do
	n=$((n + 1))
	[ $n -lt 300 ] || { echo "no new memory"; exit 1; }
	sleep 0.1
done
mount -t tmpfs -o size=100% none /tmp
for i in 1 2 3 4 5 6 7 8; do
	dd if=/dev/vda of=/tmp/$i bs=1M iflag=direct 2>/dev/null
	[ "$(md5sum </tmp/$i)" = "$want" ] || { echo "copy $i differs"; exit 1; }
done
rm /tmp/*
echo "unplug now"
n=0
while [ "$(awk '/MemTotal/ { print $2 }' /proc/meminfo)" -gt $((before + 50000)) ]; do
	n=$((n + 1))
	[ $n -lt 300 ] || { echo "the memory is still there"; exit 1; }
	sleep 0.1
done
sleep 1		# until it is not QEMU's any more
kill $!
[ "$(md5sum </dev/vda)" = "$want" ] || { echo "the disk differs"; exit 1; }
echo "well: $before KiB before"
E2
background qemu -o "$tmp/o" -m 192,slots=2,maxmem=1G -d "$tmp/d0.sock:2" "$tmp/guest" \
	-- -monitor "unix:$tmp/monitor,server=on,wait=off" >"$tmp/out"
wait_for 100 grep -qs '^plug now' "$tmp/o/console.log"
printf '%s\n' 'object_add memory-backend-memfd,id=mem1,size=256M,share=on' \
	'device_add pc-dimm,id=dimm1,memdev=mem1' | socat - "UNIX-CONNECT:$tmp/monitor" >"$tmp/monitor.log"
wait_for 100 grep -qs '^unplug now' "$tmp/o/console.log"
printf '%s\n' 'device_del dimm1' | socat - "UNIX-CONNECT:$tmp/monitor" >>"$tmp/monitor.log"
wait "${pids[-1]}" || { cat "$tmp/out" "$tmp/monitor.log"; fail "the guest failed"; }
cat "$tmp/out"
