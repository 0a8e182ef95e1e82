#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The guest takes the device from its driver and gives it back, and resets the PCI function, while
# requests are under way; the disk works after each.
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need qemu-system-x86_64 busybox cpio

random "$tmp/disk" $((8 << 20))
daemon_start
blk_add d0 "$tmp/disk"

script guest <<'E2'
want=$(md5sum </dev/vda)
pci=$(basename "$(dirname "$(readlink -f /sys/bus/virtio/devices/virtio0)")")
same() {
	n=0
	until [ -b /dev/vda ]; do
		n=$((n + 1))
		[ $n -lt 100 ] || { echo "no disk after $1"; exit 1; }
		sleep 0.1
	done
	echo 3 >/proc/sys/vm/drop_caches
	[ "$(md5sum </dev/vda)" = "$want" ] || { echo "other contents after $1"; exit 1; }
	echo "well after $1"
}
load() {
	while :; do
		dd if=/dev/vda of=/dev/null bs=16k count=64 iflag=direct 2>/dev/null || break
	done &
}
cd /sys/bus/virtio/drivers/virtio_blk || exit 1
for i in 1 2 3 4 5; do
	load
	sleep 0.1
	echo virtio0 >unbind
	echo virtio0 >bind
	same "unbind $i"
done
cd /sys/bus/pci/drivers/virtio-pci || exit 1
for i in 1 2 3; do
	load
	echo "$pci" >unbind
	echo 1 >"/sys/bus/pci/devices/$pci/reset" || exit 1
	echo "$pci" >bind
	same "reset $i"
done
E2
# Only a PCIe endpoint behind a port has a function-level reset.
qemu -t 120 -d "$tmp/d0.sock:2,bus=rp" "$tmp/guest" -- -device pcie-root-port,id=rp,chassis=1
