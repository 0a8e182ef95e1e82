#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# fio in the guest writes at random, many requests at once, and verifies all of it; then the host
# finds in the image what the guest says is there.
#
# usage: fio.sh uml|qemu PROPERTIES [OPTION VALUE...]	of QEMU's device, and of ours
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need busybox cpio fio

guest=$1 properties=$2
shift 2
truncate -s 64M "$tmp/disk"
daemon_start
blk_add d0 "$tmp/disk" num_queues 2 "$@"

script guest <<'E2'
set -e
fio --output-format=terse --terse-version=3 --filename=/dev/vda --direct=1 --ioengine=io_uring \
	--iodepth=32 --bsrange=512-128k --rw=randrw --verify=crc32c --verify_fatal=1 \
	--size=24M --fsync=64 --name=low --name=high --offset=32M >/tmp/fio 2>&1 || { cat /tmp/fio; exit 1; }
awk -F ';' '{ print $3, "error", $5, "read KiB", $6, "written KiB", $47 }' /tmp/fio
echo 3 >/proc/sys/vm/drop_caches
md5sum /dev/vda
E2
"$guest" -c 2 -m 512 -t 150 -f "$(command -v fio)" -d "$tmp/d0.sock:2${properties:+,$properties}" "$tmp/guest" >"$tmp/out"
cat "$tmp/out"
[ "$(grep -cE '^(low|high) error 0 read KiB [1-9][0-9]* written KiB [1-9]' "$tmp/out")" = 2 ]
[ "$(sed -n 's/ .*dev.vda$//p' "$tmp/out")" = "$(md5 "$tmp/disk")" ] || fail "the image differs"
