#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Many connections, many requests of each: all are served, by rings of any size, and none holds up others.
# shellcheck source=nbdkit.sh
. "$(dirname "${BASH_SOURCE[0]}")/nbdkit.sh"
need fio

truncate -s 64M a.img
for words in 'queue_size=4' 'num_queues=2 queue_size=64' 'engine=threads'; do
	# shellcheck disable=SC2086 # words
	serve --threads=64 "$PLUGIN" mgmtdev=blk image=a.img $words
	clients=()
	for i in 0 1 2 3; do
		timeout 100 fio --name=v$i --ioengine=nbd --uri="$uri" --rw=randwrite --bs=4k --offset=$((i * 16))M \
			--size=16M --io_size=8M --iodepth=32 --verify=crc32c --do_verify=1 --minimal >fio.$i 2>&1 &
		clients+=($!)
	done
	for pid in "${clients[@]}"; do
		wait "$pid" || fail "$words: $(cat fio.*)"
	done
	# By four connections at a time.
	random b.img 64M
	nbdcopy --connections=4 --requests=64 b.img "$uri"
	nbdcopy --connections=4 --requests=64 "$uri" c.img
	cmp b.img c.img
	served_no_more
	cmp a.img b.img
done

# A client that goes in the middle harms nobody. One thread for each, because two that answer such a client
# at the same moment can make nbdkit 1.32 abort ("sock >= 0").
serve --threads=1 "$PLUGIN" mgmtdev=blk image=a.img
for _ in {1..10}; do
	timeout -s KILL 0.1 nbdcopy "$uri" null: || true
done
nbdcopy "$uri" c.img
cmp a.img c.img
qemu-img convert -f raw -O qcow2 "$uri" d.qcow2
qemu-img compare -q -f qcow2 -F raw d.qcow2 a.img
served_no_more
