#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A connection for each worker, all of them used, where the server allows it; what is written by one
# is read by another, also when all were lost.
# shellcheck source=nbd.sh
. "$(dirname "${BASH_SOURCE[0]}")/nbd.sh"
need fio jq
[ -w /dev/fuse ] || skip "/dev/fuse cannot be opened"

truncate -s 32M "$tmp/disk"
serve() { nbd_serve "$tmp/nbd" --filter=multi-conn file "$tmp/disk" multi-conn-mode="$1"; }
add() {
	uvdpa dev add name d mgmtdev nbd socket "$tmp/nbd" num_queues 4 workers 4 \
		server_cache kept reconnect_ms 100 driver virtio file "$tmp/d"
}
verify() {
	timeout 90 fio --name=v --filename="$tmp/d" --size=32M --rw=randwrite --bs=4k-64k --direct=1 \
		--ioengine=psync --numjobs=1 --verify=crc32c --verify_fatal=1 --end_fsync=1 \
		--output="$tmp/fio.out" || { cat "$tmp/fio.out"; fail "fio"; }
}
daemon_start

serve auto
add
wait_for 10 shown d connections 4
background verify
fio=$!
for _ in 1 2 3; do
	sleep 0.3
	nbd_kill
	serve auto
done
wait "$fio" || fail "fio failed"
wait_for 10 shown d connections 4
wait_for 10 shown d connected true
uvdpa dev del d
nbd_kill

serve disable
add
shown d connections 1 || fail "more connections than the server allows"
verify
uvdpa dev del d
