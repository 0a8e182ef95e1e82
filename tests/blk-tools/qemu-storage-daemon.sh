#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# "uvdpa blk" over qemu-storage-daemon's vhost-user back-end: judged by cmp and qemu-img; and that
# back-end dies in the middle.
# shellcheck source=blk.sh
. "$(dirname "${BASH_SOURCE[0]}")/blk.sh"
need qemu-storage-daemon qemu-img

cd "$tmp"
# qsd IMAGE [WORDS OF THE EXPORT] - at ./qsd.sock
qsd() {
	rm -f qsd.sock
	background qemu-storage-daemon \
		--blockdev "driver=file,node-name=f,filename=$1,discard=unmap" \
		--export "type=vhost-user-blk,id=e,node-name=f,addr.type=unix,addr.path=$tmp/qsd.sock,${2:-writable=on}" \
		2>qsd.err
	qsd_pid=$!
	wait_for 10 test -S qsd.sock
}
end_qsd() {
	kill "-${1:-TERM}" $qsd_pid
	wait $qsd_pid 2>/dev/null || true
}

sparse a.img
truncate -s 64M b.img
qsd b.img writable=on,num-queues=2
quiet blk copy ./a.img ./qsd.sock >out
quiet blk compare ./qsd.sock ./a.img
same "$(sha256sum <a.img | cut -c1-64)" "$(blk checksum ./qsd.sock | cut -c1-64)"
blk info ./qsd.sock | grep -q '^  queues 2$'
quiet blk copy ./qsd.sock ./c.img >out
end_qsd
cmp a.img b.img
qemu-img compare -q -f raw -F raw a.img b.img
cmp a.img c.img
[ "$(kib c.img)" -le 3072 ] || fail "a copy out takes $(kib c.img) KiB"

# ---- ranges
cp a.img b.img
qsd b.img
blk info ./qsd.sock | grep -q '^  discard_max [1-9]'
quiet blk fill ./qsd.sock pattern 1 offset 8M length 16M >out
quiet blk zero ./qsd.sock offset 9M length 3M >out
grep -q '^./qsd.sock: offset 9437184 bytes 3145728 ' out
before=$(kib b.img)
quiet blk discard ./qsd.sock offset 16M length 8M >out
[ $((before - $(kib b.img))) = 8192 ] || fail "$before KiB, then $(kib b.img)"
quiet blk verify ./qsd.sock pattern 1 offset 8M length 1M
quiet blk verify ./qsd.sock zeroes offset 9M length 3M
quiet blk verify ./qsd.sock pattern 1 offset 12M length 4M
refused 'beyond its end' blk zero ./qsd.sock offset 64M length 512
# Onto one that has something. What is zero keeps its space: qemu-storage-daemon 7.2 does not let us
# ask for less.
quiet blk fill ./qsd.sock random 1 >out
quiet blk copy ./a.img ./qsd.sock >out
end_qsd
cmp a.img b.img

# ---- read-only, and 4096 bytes at a time
qsd b.img writable=off
refused './qsd.sock is read-only' blk copy ./a.img ./qsd.sock
quiet blk compare ./a.img ./qsd.sock
end_qsd
qsd b.img writable=on,logical-block-size=4096
refused 'not multiples of its block size, 4096' blk fill ./qsd.sock zeroes offset 512
quiet blk fill ./qsd.sock random 5 >out
quiet blk verify ./qsd.sock random 5
quiet blk bench ./qsd.sock seconds 1 >out
end_qsd
quiet blk verify ./b.img random 5

# ---- it dies
truncate -s 4G b.img
qsd b.img
background "$UVDPA" blk fill ./qsd.sock random 1 >out 2>err
pid=$!
sleep 0.5
end_qsd KILL
rc=0
timeout 10 tail -q -s 0.05 --pid="$pid" -f /dev/null || fail "it hangs without its back-end"
wait $pid || rc=$?
same 1 $rc "status without a back-end"
grep -Eq './qsd.sock: (the device is gone|write of .*)' err || fail "it said: $(cat err)"
refused 'Connection refused' blk info ./qsd.sock
