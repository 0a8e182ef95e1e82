#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A stock kernel's driver in QEMU reads and writes what is in the image.
#
# usage: qemu-read-write.sh [PROPERTY=VALUE,...]	of QEMU's device
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need qemu-system-x86_64 busybox cpio

random "$tmp/disk" $((16 << 20))
cp "$tmp/disk" "$tmp/want"
daemon_start
blk_add d0 "$tmp/disk" num_queues 2

script guest <<'E2'
set -e
f=/sys/bus/virtio/devices/virtio0/features
echo "packed $(cut -c 35 $f) queues $(ls /sys/block/vda/mq | wc -l)"
md5sum /dev/vda
dd if=/dev/vda of=/dev/vda bs=256k skip=32 count=32 iflag=direct oflag=direct conv=notrunc 2>/dev/null
dd if=/dev/vda of=/dev/vda bs=512 skip=101 seek=303 count=77 conv=notrunc,fsync 2>/dev/null
md5sum /dev/vda
E2
qemu -c 2 -d "$tmp/d0.sock:2,num-queues=1${1:+,$1}" "$tmp/guest" >"$tmp/out"
cat "$tmp/out"

case ,${1:-}, in
*,packed=on,*)	packed=1 ;;
*)		packed=0 ;;
esac
case ,${1:-}, in
*,num-queues=2,*)	queues=2 ;;
*)			queues=1 ;;
esac
grep -q "^packed $packed queues $queues$" "$tmp/out" || fail "not what was asked for"
[ "$(sed -n '2s/ .*//p' "$tmp/out")" = "$(md5 "$tmp/want")" ] || fail "the guest read something else"
dd if="$tmp/want" of="$tmp/want" bs=256k skip=32 count=32 conv=notrunc status=none
dd if="$tmp/want" of="$tmp/want" bs=512 skip=101 seek=303 count=77 conv=notrunc status=none
cmp "$tmp/disk" "$tmp/want"
[ "$(sed -n '3s/ .*//p' "$tmp/out")" = "$(md5 "$tmp/want")" ] || fail "the guest reads back something else"
