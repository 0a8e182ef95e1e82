#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A stock kernel reads its hardware generator: the very bytes of a seed, in their order. And one whose
# source is dry is unbound and bound again while its driver waits for bytes.
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need busybox cpio mkfifo
export GUEST_QEMU=bookworm-backports	# 7.2's front-end waits for ever when the guest comes up

cd "$tmp"
daemon_start
mkfifo pipe
uvdpa dev add name r0 mgmtdev rng seed 77 driver vhost-user socket "$tmp/r0.sock"
uvdpa dev add name p0 mgmtdev rng source "$tmp/pipe" driver vhost-user socket "$tmp/p0.sock"

script guest <<'EOF2'
set -e
class=/sys/class/misc/hw_random
drivers=/sys/bus/virtio/drivers/virtio_rng
cat $class/rng_available
echo virtio_rng.0 >$class/rng_current
cat $class/rng_current
for i in 1 2 3; do
	echo virtio1 >$drivers/unbind
	echo virtio1 >$drivers/bind
done
echo virtio_rng.0 >$class/rng_current
echo "begin"
dd if=/dev/hwrng bs=64 count=1024 iflag=fullblock 2>/dev/null | base64
echo "end"
EOF2
rc=0
qemu -d "$tmp/r0.sock:4" -d "$tmp/p0.sock:4" "$tmp/guest" >out 2>err || rc=$?
[ $rc != 77 ] || skip "$(tail -n 1 err)"
[ $rc = 0 ] || { tail -n 50 out err; fail "status $rc"; }
grep -q 'virtio_rng.0 virtio_rng.1\|virtio_rng.1 virtio_rng.0' out || fail "generators: $(head -n 1 out)"
grep -qx 'virtio_rng.0' out || fail "not taken"

sed -n '/^begin$/,/^end$/{//!p}' out | base64 -d >got
[ "$(stat -c %s got)" = 65536 ] || fail "$(stat -c %s got) bytes"

# The kernel's own thread reads, too: what it took is missing here, and nothing else.
truncate -s 1M noise
uvdpa blk fill ./noise random 77 >/dev/null 2>&1
od -An -v -w8 -tx8 got >got.words
od -An -v -w8 -tx8 noise >noise.words
awk '
	FNR == NR	{ at[$1] = NR; next }
	!($1 in at)	{ print "word " FNR " is not of the seed"; bad = 1; exit }
	at[$1] <= last	{ print "word " FNR " came before"; bad = 1; exit }
	{ missing += at[$1] - last - 1; last = at[$1] }
	END { print FNR " words, " missing " for the kernel"; exit bad }' noise.words got.words ||
	fail "other bytes"
uvdpa dev vstats show r0
uvdpa dev show p0
