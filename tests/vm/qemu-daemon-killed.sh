#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The daemon is killed again and again under a guest, with many requests in flight, and each time
# another takes its place. The guest sees no error, and all that it wrote is there.
#
#	guest (fio) -- vhost-user --> the daemon that is killed -- FUSE --> the store, a daemon too
#
# The store is stopped for a moment before each kill, so that requests pile up in the first; it
# goes on when that one is dead, and does what nobody waits for any more.
#
# usage: qemu-daemon-killed.sh PROPERTIES [OPTION VALUE...]	of QEMU's device, and of ours
# shellcheck source=../file/file.sh
. "$(dirname "${BASH_SOURCE[0]}")/../file/file.sh"
need qemu-system-x86_64 busybox cpio fio

daemon_args=(-l info)	# it tells what it does again
properties=${1:-num-queues=1}
shift || true
truncate -s 64M "$tmp/disk"

store() {
	"${UVDPA:?}" -s "$tmp/store" "$@"
}

background "${UVDPAD:?}" -s "$tmp/store"
store=${pids[0]}
wait_for 20 eval 'store dev show >/dev/null 2>&1'
store dev add name s mgmtdev blk image "$tmp/disk" driver virtio file "$tmp/slow"

script guest <<'E2'
fio --output-format=terse --terse-version=3 --filename=/dev/vda --direct=1 --ioengine=io_uring \
	--iodepth=32 --bsrange=512-64k --rw=randrw --verify=crc32c --verify_fatal=1 --rate=1m,1m \
	--size=24M --fsync=16 --name=low --name=high --offset=32M >/tmp/fio 2>&1 || { cat /tmp/fio; exit 1; }
awk -F ';' '{ print $3, "error", $5, "read KiB", $6, "written KiB", $47 }' /tmp/fio
echo 3 >/proc/sys/vm/drop_caches
md5sum /dev/vda
E2

# The kernel may hold the image for a moment more, for the requests of a dead daemon.
begin() {
	daemon_start
	wait_for 20 blk_add d0 "$tmp/slow" num_queues 2 "$@" 2>>"$tmp/daemon.log"
}

begin "$@"
background qemu -c 2 -m 512 -t 200 -o "$tmp/o" -f "$(command -v fio)" \
	-d "$tmp/d0.sock:2,reconnect=1,$properties" "$tmp/guest" >"$tmp/out"
wait_for 60 grep -qs '^guest: begin' "$tmp/o/console.log"
kills=0
while sleep $((1 + kills % 3)).$((kills * 3 % 10)) && ! grep -q ' error ' "$tmp/o/console.log"; do
	[ $kills -lt 8 ] || break
	kill -STOP "$store"
	sleep 0.3
	kill -KILL "$daemon_pid"
	kill -CONT "$store"
	wait "$daemon_pid" 2>/dev/null || true
	daemon_pid=''
	kills=$((kills + 1))
	[ $((kills % 2)) = 0 ] || sleep 0.7	# or at once
	begin "$@"
done
wait "${pids[1]}" || { cat "$tmp/out"; fail "the guest"; }
cat "$tmp/out"
grep -h 'done again' "$tmp/daemon.log" || fail "$kills kills, and never was a request in flight"
[ "$kills" -ge 4 ] || fail "only $kills kills"
[ "$(grep -cE '^(low|high) error 0 read KiB [1-9][0-9]* written KiB [1-9]' "$tmp/out")" = 2 ]
[ "$(sed -n 's/ .*dev.vda$//p' "$tmp/out")" = "$(md5 "$tmp/disk")" ] || fail "the image differs"
daemon_stop
store dev del s
