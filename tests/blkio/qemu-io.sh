#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# QEMU's tools drive the device by libblkio: patterns at odd places, copies of a whole image there
# and back, and what is zeroed or discarded is zero and takes no room.
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
"$tests/guest/suite.sh" trixie qemu-io --version >/dev/null || skip "no qemu-io with libblkio (scripts/setup trixie)"

truncate -s 64M "$tmp/disk"
daemon_start
blk_add d0 "$tmp/disk" num_queues 2

device=driver=virtio-blk-vhost-user,path=$tmp/d0.sock,cache.direct=on
# io COMMAND...: all of them must be well
io() {
	local c args=()

	for c; do
		args+=(-c "$c")
	done
	timeout 60 "$tests/guest/suite.sh" trixie qemu-io --image-opts "$device" "${args[@]}" >"$tmp/io" 2>&1 ||
		{ cat "$tmp/io"; fail "qemu-io: $*"; }
	! grep -Ei 'fail|error|differ' "$tmp/io" || fail "qemu-io: $*"
}

io length
grep -qx '64 MiB' "$tmp/io" || fail "length: $(cat "$tmp/io")"

# The last one wins; neighbours stay.
io 'write -P 0x11 0 3M' 'write -P 0x22 512 512' 'write -P 0x33 1536 1M' 'write -P 0x44 67108352 512' 'write -z 2M 64k' \
	'aio_write -P 0x55 4M 1M' 'aio_write -P 0x66 5M 1M' aio_flush flush \
	'writev -P 0x77 8M 512 4096 1536 65536 512' \
	'read -P 0x11 0 512' 'read -P 0x22 512 512' 'read -P 0x11 1024 512' 'read -P 0x33 1536 1M' \
	'read -P 0x11 1050112 1047040' 'read -P 0 2M 64k' 'read -P 0x11 2162688 983040' 'read -P 0x55 4M 1M' 'read -P 0x66 5M 1M' \
	'readv -P 0x77 8M 1024 512 66560 4096' 'read -P 0x44 67108352 512' 'read -P 0 6M 2M'
# pattern BYTE OFFSET BYTES: what the image holds
pattern() {
	cmp <(dd if="$tmp/disk" iflag=skip_bytes,count_bytes bs=1M skip="$2" count="$3" status=none) \
		<(head -c "$3" /dev/zero | tr '\0' "\\$1") || fail "not $1 at $2"
}
pattern 021 0 512
pattern 042 512 512
pattern 063 1536 1048576
pattern 104 67108352 512
pattern 125 4194304 1048576
pattern 167 8388608 72192

# A whole image, there and back.
random "$tmp/random" $((64 << 20))
timeout 60 "$tests/guest/suite.sh" trixie qemu-img convert -n -W -m 16 --target-image-opts -f raw "$tmp/random" "$device"
cmp "$tmp/random" "$tmp/disk"
timeout 60 "$tests/guest/suite.sh" trixie qemu-img convert -W -m 16 --image-opts -O raw "$device" "$tmp/back"
cmp "$tmp/random" "$tmp/back"

fallocate -p -o 0 -l 4096 "$tmp/back" 2>/dev/null || exit 0	# no holes in files here
room() { echo $((($(du -k "$tmp/disk" | cut -f 1) + 512) / 1024)); }
io 'write -z 1M 8M' 'write -z -u 16M 8M' 'discard 32M 16M' flush 'read -P 0 1M 8M' 'read -P 0 16M 8M'
pattern 0 1048576 8388608
pattern 0 16777216 8388608
pattern 0 33554432 16777216
for at in 0 9 15 24 31 48 63; do
	cmp <(dd if="$tmp/disk" bs=1M skip=$at count=1 status=none) \
		<(dd if="$tmp/random" bs=1M skip=$at count=1 status=none) || fail "the MiB at $at changed"
done
[ "$(room)" = 40 ] || fail "$(room) MiB of 64, of which 8 and 16 were given back"
