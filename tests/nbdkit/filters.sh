#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# nbdkit's filters over the plugin: a copy-on-write layer, a partition, blocks of other sizes.
# shellcheck source=nbdkit.sh
. "$(dirname "${BASH_SOURCE[0]}")/nbdkit.sh"
need sfdisk

random a.img 16M
cp a.img was.img
serve --filter=cow "$PLUGIN" mgmtdev=blk image=a.img readonly=on
shell 'h.pwrite(b"new" * 4096, 3 << 20); assert h.pread(12288, 3 << 20) == b"new" * 4096'
served_no_more
cmp a.img was.img

truncate -s 16M p.img
printf '2048,4096\n8192,16384\n' | sfdisk -q p.img
random part.img $((16384 * 512))
dd if=part.img of=p.img bs=512 seek=8192 conv=notrunc status=none
serve --filter=partition "$PLUGIN" mgmtdev=blk image=p.img partition=2
same $((16384 * 512)) "$(info '.["export-size"]')"
nbdcopy "$uri" out.img
cmp part.img out.img
served_no_more

# Odd offsets, as the plugin says that they can be had.
serve --filter=blocksize "$PLUGIN" mgmtdev=blk image=a.img minblock=512 logical_block_size=512
shell '
h.set_strict_mode(0)
was = h.pread(2048, 0)
h.pwrite(b"odd", 777)
assert h.pread(2048, 0) == was[:777] + b"odd" + was[780:]
assert h.pread(1, 779) == b"d"
'
served_no_more
