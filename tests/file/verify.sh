#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Many requests at once, direct and not, split and packed rings: every byte comes back as written.
# shellcheck source=file.sh
. "$(dirname "${BASH_SOURCE[0]}")/file.sh"
need fio

daemon_start
truncate -s 64M "$tmp/img"
for packed in off on; do
	for direct in 0 1; do
		uvdpa dev add name d0 mgmtdev blk image "$tmp/img" \
			driver virtio file "$tmp/d0" packed $packed
		bounded fio --name=v --filename="$tmp/d0" --rw=randwrite --bsrange=512-256k \
			--blocksize_unaligned=0 --size=24M --ioengine=libaio --iodepth=16 \
			--numjobs=2 --offset_increment=32M --direct=$direct --verify=crc32c \
			--do_verify=1 --randseed=$((direct + 7)) --minimal >"$tmp/fio" ||
			{ cat "$tmp/fio"; fail "packed $packed direct $direct"; }
		uvdpa dev del d0
	done
done
