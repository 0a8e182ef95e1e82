#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Every byte, by every command, and the errors of the disk.
# shellcheck source=nbdkit.sh
. "$(dirname "${BASH_SOURCE[0]}")/nbdkit.sh"
need fio strace

truncate -s 256M a.img
daemon_start
uvdpa dev add name d0 mgmtdev blk image "$tmp/a.img" driver vhost-user socket "$tmp/d0.sock"
# From another process, by vhost-user; and in this one.
for words in "socket=$tmp/d0.sock" 'mgmtdev=blk image=a.img engine=threads num_queues=3'; do
	# shellcheck disable=SC2086 # words
	serve "$PLUGIN" $words
	qemu-io -f raw -c 'write -P 0x5a 64k 1M' -c 'write -P 0xa5 512 512' -c flush \
		-c 'read -P 0x5a 64k 1M' -c 'read -P 0xa5 512 512' -c 'read -P 0 1024 64512' \
		-c 'write -z 128k 64k' -c 'read -P 0 128k 64k' -c 'read -P 0x5a 192k 64k' \
		-c 'discard 256k 64k' -c 'write -f -P 1 0 512' -c 'read -P 1 0 512' "$uri" >out ||
		fail "qemu-io: $(cat out)"
	! grep -Eqi 'fail|error' out || fail "$(cat out)"
	cmp -n 512 a.img <(head -c 512 /dev/zero | tr '\0' '\1')
	# 32 MiB in one request, more than there are buffers for at a time.
	shell '
import os
data = os.urandom(32 << 20)
h.pwrite(data, 100 << 20)
assert h.pread(32 << 20, 100 << 20) == data
h.zero(32 << 20, 100 << 20)
assert h.pread(32 << 20, 100 << 20) == bytes(32 << 20)
h.pwrite(data, 100 << 20, nbd.CMD_FLAG_FUA)
h.trim(16 << 20, 200 << 20)
h.cache(1 << 20, 0)
h.flush()
assert h.pread(32 << 20, 100 << 20) == data
for off, count in ((1, 512), (0, 511), (512, 513)):
    h.set_strict_mode(0)
    try:
        h.pread(count, off)
        assert False, "not whole blocks"
    except nbd.Error as e:
        assert e.errno == "EINVAL", e.errno
'
	fio --name=v --ioengine=nbd --uri="$uri" --rw=randwrite --bsrange=512-256k --size=128M --io_size=48M \
		--iodepth=32 --verify=crc32c --do_verify=1 --minimal >out || fail "fio: $(cat out)"
	served_no_more
	[ "$words" != "socket=$tmp/d0.sock" ] || uvdpa dev del d0
done

# ---- a flush reaches the file, and FUA is one
serve "$PLUGIN" mgmtdev=blk image=a.img engine=threads
background strace -f -qq -e trace=fdatasync -o trace -p "$kit_pid"
tracer=$!
traced() {
	! grep -q '^TracerPid:.0$' "/proc/$kit_pid/status"
}
wait_for 10 traced
shell 'h.pwrite(b"x" * 512, 0); h.flush()'
same 1 "$(grep -c fdatasync trace)" "flushes of a flush"
shell 'h.pwrite(b"x" * 512, 0, nbd.CMD_FLAG_FUA)'
same 2 "$(grep -c fdatasync trace)" "flushes of a flush and of FUA"
kill $tracer
wait $tracer || true
served_no_more

# ---- a disk that is full, if it can be had
if [ "$(id -u)" = 0 ] && mkdir small && mount -t tmpfs -o size=4m none small 2>/dev/null; then
	take_back() { umount -l "$tmp/small"; }
	truncate -s 16M small/b.img
	serve "$PLUGIN" mgmtdev=blk image=small/b.img
	shell '
h.pwrite(b"a" * (1 << 20), 0)
try:
    h.pwrite(b"b" * (8 << 20), 4 << 20)
    assert False, "more than there is room for"
except nbd.Error as e:
    assert e.errno in ("EIO", "ENOSPC"), e.errno
assert h.pread(1 << 20, 0) == b"a" * (1 << 20)
'
	served_no_more
fi
