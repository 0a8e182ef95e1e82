#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A disk as a file, of a back-end that is killed again and again with requests in flight: who uses the
# file waits, gets no error, and finds all that it wrote.
#
#	fio -- FUSE --> our front-end -- vhost-user --> the daemon that is killed -- FUSE --> the store
#
# The store is stopped for a moment before each kill, so that requests pile up in the one before it.
#
# usage: back-end-killed.sh on|off	packed rings
# shellcheck source=file.sh
. "$(dirname "${BASH_SOURCE[0]}")/file.sh"
need fio

truncate -s 64M "$tmp/img"

# daemon NAME: one more, on $tmp/NAME.ctl, told by "at NAME ..."
daemon() {
	background "${UVDPAD:?}" -s "$tmp/$1.ctl" -l info >>"$tmp/$1.log" 2>&1
	wait_for 20 eval "at $1 dev show >/dev/null 2>&1"
}

at() {
	"${UVDPA:?}" -s "$tmp/$1.ctl" "${@:2}"
}

begin() {
	daemon back
	back=${pids[-1]}
	# The kernel may hold the image for a moment more, for the requests of a dead daemon.
	wait_for 20 at back dev add name d0 mgmtdev blk image "$tmp/slow" num_queues 2 \
		driver vhost-user socket "$tmp/d0.sock" 2>>"$tmp/back.log"
}

daemon store
store=${pids[-1]}
at store dev add name s mgmtdev blk image "$tmp/img" driver virtio file "$tmp/slow"
begin
daemon_args=(-l info)
daemon_start
uvdpa dev add name d mgmtdev vhost-user socket "$tmp/d0.sock" \
	driver virtio file "$tmp/d" packed "$1"

background timeout 150 fio --filename="$tmp/d" --rw=randrw --bsrange=512-64k --size=24M \
	--ioengine=libaio --iodepth=16 --direct=1 --rate=1m,1m --verify=crc32c --verify_fatal=1 \
	--verify_state_save=0 --fsync=32 --name=low --name=high --offset=32M --minimal >"$tmp/fio"
fio=${pids[-1]}
kills=0
while sleep 0.$((5 + kills % 5)) && kill -0 "$fio" 2>/dev/null && [ $kills -lt 10 ]; do
	kill -STOP "$store"
	sleep 0.2
	kill -KILL "$back"
	kill -CONT "$store"
	wait "$back" 2>/dev/null || true
	kills=$((kills + 1))
	[ $((kills % 2)) = 0 ] || sleep 0.3	# or at once
	begin
done
wait "$fio" || { cat "$tmp/fio"; fail "fio"; }
echo "$kills kills"
grep -h 'done again' "$tmp/back.log" || fail "never was a request in flight"
[ "$kills" -ge 5 ] || fail "only $kills kills"
! grep -q 'broken' "$tmp/daemon.log" || fail "a queue broke"
[ "$(md5 "$tmp/d")" = "$(md5 "$tmp/img")" ] || fail "the image differs"
daemon_stop
at back dev del d0
at store dev del s
