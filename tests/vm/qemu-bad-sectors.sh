#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The daemon runs in a guest, on a device-mapper device part of which is bad: who reads or writes
# there is told so, by way of a file, of a vhost-user socket and of <uvdpa/blk.h>; nobody else is. When
# the part is well again, so is the disk.
#
# usage: qemu-bad-sectors.sh [OPTION VALUE...]	of the device
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need qemu-system-x86_64 busybox cpio dmsetup

script guest <<E2
options="$*"
export LD_LIBRARY_PATH=$(dirname "$(ldd "$UVDPAD" | sed -n 's/.*libuvdpa.* => \([^ ]*\).*/\1/p')")
E2
cat >>"$tmp/guest" <<'E2'
set -e
fail() { echo "FAIL: $*"; cat /tmp/log; exit 1; }
uvdpa() { /bin/uvdpa -s /tmp/ctl "$@"; }

# Pieces of 64 KiB: 256, of which 100 is bad.
head -c 16777216 /dev/urandom >/tmp/backing
losetup /dev/loop0 /tmp/backing
table() {
	echo "0 12800 linear /dev/loop0 0"
	echo "12800 128 $1"
	echo "12928 19840 linear /dev/loop0 12928"
}
bad() { table error; }
well() { table 'linear /dev/loop0 12800'; }
worse() {
	bad | dmsetup reload disk
	dmsetup resume --noudevsync disk
	echo 3 >/proc/sys/vm/drop_caches
}
bad | dmsetup create --noudevsync --noudevrules disk
uvdpad -s /tmp/ctl 2>/tmp/log &
daemon=$!
n=0
until uvdpa dev show >/dev/null 2>&1; do
	n=$((n + 1))
	[ $n -lt 200 ] || fail "no daemon"
	sleep 0.1
done
uvdpa dev add name d0 mgmtdev blk image /dev/dm-0 $options

get() { dd if="$file" bs=64k skip="$1" count=1 iflag=direct 2>/tmp/err; }
put() { dd of="$file" bs=64k seek="$1" count=1 iflag=fullblock oflag=direct conv=notrunc"$2" 2>/tmp/err; }
same() { [ "$(get "$1" | md5sum)" = "$(dd if=/tmp/backing bs=64k skip="$1" count=1 2>/dev/null | md5sum)" ]; }
tells() { grep -q 'Input/output error' /tmp/err || fail "$*: $(cat /tmp/err)"; }

check() {
	for i in 0 1 98 99 101 102 255; do
		same $i || fail "$1: piece $i: $(cat /tmp/err)"
	done
	for i in 1 2 3; do
		! get 100 >/dev/null || fail "$1: the bad piece was read"
		tells "$1: reading"
	done
	same 99 || fail "$1: piece 99 after the errors"
	! dd if="$file" bs=1M skip=6 count=1 iflag=direct of=/tmp/piece 2>/tmp/err ||
		[ "$(stat -c %s /tmp/piece)" -lt 1048576 ] || fail "$1: read over it"
	for i in 99 101; do
		put $i ,fsync </dev/urandom || fail "$1: writing piece $i: $(cat /tmp/err)"
		same $i || fail "$1: piece $i, written"
	done
	! put 100 ,fsync </dev/urandom || fail "$1: the bad piece was written"
	tells "$1: writing"
	for i in 98 99 101 102; do
		same $i || fail "$1: piece $i after writing"
	done
	well | dmsetup reload disk
	dmsetup resume --noudevsync disk
}

uvdpa dev bind d0 virtio file /tmp/file
file=/tmp/file
check file
uvdpa dev unbind d0
uvdpa dev bind d0 virtio file /tmp/file
put 100 ,fsync </dev/urandom || fail "well, but not to be written: $(cat /tmp/err)"
same 100 || fail "well, but other contents"
uvdpa dev unbind d0

worse
uvdpa dev bind d0 vhost-user socket /tmp/d0.sock
uvdpa dev add name d1 mgmtdev vhost-user socket /tmp/d0.sock driver virtio file /tmp/file1
file=/tmp/file1
n=0
until [ -s $file ]; do
	n=$((n + 1))
	[ $n -lt 100 ] || fail "no second file"
	sleep 0.1
done
check vhost-user
uvdpa dev del d1
uvdpa dev unbind d0

worse
uvdpa blk fill d0 random 1 length 6400K || fail "filling what is before"
uvdpa blk fill d0 random 2 offset 6464K || fail "filling what is behind"
for what in verify fill; do
	! uvdpa blk $what d0 random 1 offset 6400K length 64K 2>/tmp/err || fail "$what of the bad piece"
	tells "uvdpa blk $what"
done
uvdpa blk verify d0 random 1 length 6400K || fail "verifying what is before"
uvdpa blk verify d0 random 2 offset 6464K || fail "verifying what is behind"

kill $daemon
wait $daemon || fail "the daemon ended with $?"
cat /tmp/log
E2
qemu -m 640 -t 150 -M dm_mod -M loop -f "$UVDPAD" -f "$UVDPA" -f "$(command -v dmsetup)" "$tmp/guest"
