#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# "uvdpa blk fill" and "verify": the content is where it was asked for, and nowhere else.
# shellcheck source=blk.sh
. "$(dirname "${BASH_SOURCE[0]}")/blk.sh"
need cmp

cd "$tmp"
truncate -s 8M a.img
quiet blk fill ./a.img pattern 0xa5 >out
grep -q '^./a.img: offset 0 bytes 8388608 ' out
cmp a.img <(head -c 8M /dev/zero | tr '\0' '\245')
quiet blk verify ./a.img pattern 165
status 1 blk verify ./a.img pattern 164
same './a.img is different at byte 0' "$(cat status.out)"

quiet blk fill ./a.img random 42 offset 1M length 2560k >out
quiet blk verify ./a.img random 42 offset 1M length 2560k
quiet blk verify ./a.img pattern 165 length 1M
quiet blk verify ./a.img pattern 165 offset 3584k
# Any part of it is the same, and another seed is another content.
quiet blk verify ./a.img random 42 offset 1536k length 512
status 1 blk verify ./a.img random 43 offset 1536k length 512
status 1 blk verify ./a.img random 42
same './a.img is different at byte 0' "$(cat status.out)"
status 1 blk verify ./a.img pattern 165
same './a.img is different at byte 1048576' "$(cat status.out)"
[ "$(dd if=a.img bs=1M skip=1 count=2 status=none | gzip -1 | wc -c)" -gt 2000000 ] ||
	fail "the random content is not"

quiet blk fill ./a.img zeroes offset 4M length 4096 >out
cmp -i 4M -n 4096 a.img /dev/zero
quiet blk verify ./a.img pattern 165 offset $((4096 * 1025))
printf x | dd of=a.img bs=1 seek=$((5 << 20 | 77)) conv=notrunc status=none
status 1 blk verify ./a.img pattern 165 offset $((4096 * 1025))
same "./a.img is different at byte $((5 << 20 | 77))" "$(cat status.out)"
"$UVDPA" -j blk verify ./a.img zeroes offset 4M length 4096 | jq -e '.verify[].equal' >/dev/null

# A range that the parent can be told of.
if [ "$(blk info ./a.img | awk '$1 == "write_zeroes_max" { print $2 }')" -gt 0 ]; then
	quiet blk zero ./a.img offset 6M length 64k >out
	quiet blk verify ./a.img zeroes offset 6M length 64k
	quiet blk verify ./a.img pattern 165 offset $(((6 << 20) + 65536))
else
	refused 'does not take WRITE_ZEROES' blk zero ./a.img
fi
quiet blk zero sim-blk:capacity=1M offset 4k length 8k >out
quiet blk discard sim-blk:capacity=1M >out
grep -q ': offset 0 bytes 1048576 ' out
refused 'does not take DISCARD' blk discard sim-blk:capacity=1M,discard=off
refused 'usage: uvdpa blk zero DISK' blk zero

md5=$(md5 a.img)
refused 'not multiples of its block size, 512' blk fill ./a.img zeroes offset 1
refused 'not multiples of its block size, 4096' blk fill blk:image=a.img,logical_block_size=4096 zeroes length 512
refused 'beyond its end, 8388608' blk fill ./a.img zeroes offset 8M length 512
refused 'beyond its end' blk fill ./a.img zeroes offset 8388607T
refused './a.img: offset 16777216: beyond its end, 8388608' blk fill ./a.img zeroes offset 16M
refused 'read-only' blk fill blk:image=a.img,readonly=on zeroes
refused 'No such file' blk fill ./none.img zeroes
same "$md5" "$(md5 a.img)" "what was refused"
