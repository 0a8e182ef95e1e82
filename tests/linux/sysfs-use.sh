#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The bus as files in use: a script of an administrator, changes that are seen at once, readers of what goes,
# a thousand devices, and a daemon that is killed.
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
[ -w /dev/fuse ] || skip "no /dev/fuse"
[ "$(id -u)" = 0 ] || command -v fusermount3 >/dev/null || skip "no right to mount"

sys=$tmp/sys
bus=$sys/bus/vdpa
take_back() {
	cd /
	umount -l "$tmp/nobody/sys" 2>/dev/null || true
	[ -z "$daemon_pid" ] || return 0	# it does it
	! mountpoint -q "$sys" || umount -l "$sys" 2>/dev/null || fusermount3 -uz "$sys"
}

# errno WORDS COMMAND...: fails, and says so
errno() {
	! "${@:2}" 2>"$tmp/err" || fail "no error: ${*:2}"
	grep -q "$1" "$tmp/err" || fail "not $1: $(cat "$tmp/err")"
}

put() { echo "$1" >"$2"; }

daemon_args=(--sysfs "$sys")
daemon_start

# ---- as those who live with /sys/bus/vdpa do it: override, unbind, probe
give() {
	local dev=$bus/devices/$1

	put "$2" "$dev/driver_override"
	[ ! -e "$dev/driver" ] || put "$1" "$dev/driver/unbind"
	put "$1" "$bus/drivers_probe"
	[ "$(basename "$(readlink "$dev/driver")")" = "$2" ] || fail "$1 is not $2's"
}
uvdpa dev add name d0 mgmtdev sim-blk capacity 1M driver vhost-user socket "$tmp/d0.sock"
for _ in {1..5}; do
	give d0 virtio_vdpa
	[ ! -e "$tmp/d0.sock" ] || fail "the socket is still there"
	[ -e "$bus/drivers/virtio_vdpa/d0" ] || fail "no link"
	[ ! -e "$bus/drivers/vhost_vdpa/d0" ] || fail "a link too many"
	give d0 vhost_vdpa
	[ -S "$tmp/d0.sock" ] || fail "its socket was forgotten"
done

# ---- what Linux leaves out
dev=$sys/class/vdpa/d0
[ "$(cat "$dev/type") $(cat "$dev/mgmtdev") $(cat "$dev/ready") $(cat "$dev/status")" = "block sim-blk 1 0x00" ]
grep -qx "socket $tmp/d0.sock" "$dev/endpoint"
grep -qx 'capacity 1M' "$dev/attrs"
grep -qx 'capacity 2048' "$dev/config"
grep -q '^0x[0-9a-f]* .*VERSION_1' "$dev/features"
grep -qx "socket $tmp/d0.sock" "$dev/driver_attrs"

# Options: those that are written, once; those that are wrong; and a path that nobody said.
put d0 "$bus/drivers/vhost-user/unbind"
put "socket $tmp/other.sock" "$dev/driver_attrs"
put d0 "$bus/drivers/vhost-user/bind"
[ -S "$tmp/other.sock" ] || fail "not at the socket that was written"
put d0 "$bus/drivers/vhost-user/unbind"
put 'nonsense 1' "$dev/driver_attrs"
errno 'Invalid argument' put d0 "$bus/drivers/vhost-user/bind"
put '' "$dev/driver_attrs"
errno 'Invalid argument' put $'socket /tmp/\xff.sock' "$dev/driver_attrs"
grep -q 'd0: driver_attrs that are not UTF-8' "$tmp/daemon.log" || fail "no reason"
errno 'Invalid argument' put "$(printf '%0300d' 0)" "$dev/driver_override"
grep -q 'd0: driver_override of 300 bytes, at most 255' "$tmp/daemon.log" || fail "no reason"
put "socket $tmp/a\\012b.sock" "$dev/driver_attrs"	# a newline, as it is shown
put d0 "$bus/drivers/vhost-user/bind"
[ -S "$tmp/a"$'\n'b.sock ] || fail "not at the socket that was written"
put d0 "$bus/drivers/vhost-user/unbind"
grep -qFx "socket $tmp/a\\012b.sock" "$dev/driver_attrs"
put d0 "$bus/drivers/vhost-user/bind"
[ -S "$tmp/a"$'\n'b.sock ] || fail "not where it was"
put d0 "$bus/drivers/vhost-user/unbind"
uvdpa dev add name d1 mgmtdev sim-blk capacity 1M
put d1 "$bus/drivers/vhost-user/bind"
[ -S "$tmp/d1.sock" ] || fail "no socket beside the daemon's"

# A write is one wherever it lies in memory, and however long it may be.
/usr/bin/python3 - "$sys/devices/d0/driver_attrs" "$tmp" <<-'PY'
	import errno, mmap, os, sys
	fd = os.open(sys.argv[1], os.O_WRONLY)
	mem = memoryview(mmap.mmap(-1, 4 * 4096))
	for at, n in ((4096 - 7, 100), (4095, 4096), (1, 4096), (0, 4096), (5000, 4095)):
	    mem[at:at + n] = f'socket {sys.argv[2]}/{at}.sock'.encode().ljust(n, b'\n')
	    assert os.write(fd, mem[at:at + n]) == n
	    with open(sys.argv[1]) as f:
	        assert f.read().split('\n')[0] == f'socket {sys.argv[2]}/{at}.sock'
	for n in (4097, 8192, 8193, 3 * 4096):
	    try:
	        os.write(fd, mem[:n])
	        raise SystemExit(f'{n} bytes are written')
	    except OSError as e:
	        assert e.errno == errno.EFBIG, e
	os.write(fd, b'\n')
PY

# ---- changes are seen at once, whoever makes them, and by who polls
uvdpa dev override d0 ''
uvdpa dev bind d0 virtio
[ "$(cat "$dev/uevent")" = DRIVER=virtio_vdpa ] || fail "stale"
uvdpa dev override d0 virtio
[ "$(cat "$dev/driver_override")" = virtio ] || fail "stale"
uvdpa dev override d0 ''
/usr/bin/python3 - "$dev/uevent" "${UVDPA:?}" "$ctl" <<-'PY'
	import select, subprocess, sys
	f = open(sys.argv[1])
	assert f.read() == 'DRIVER=virtio_vdpa\n'
	p = select.poll()
	p.register(f, select.POLLPRI)
	assert not p.poll(0)
	c = subprocess.Popen([sys.argv[2], '-s', sys.argv[3], 'dev', 'unbind', 'd0'])
	assert p.poll(60000), 'no change'
	c.wait()
	f.seek(0)
	assert f.read() == ''
PY

# ---- who has a file of a device open that goes
exec 9<"$dev/status"
cd "$dev/"
uvdpa dev del d0
errno 'No such device' read -r -u 9
exec 9<&-
errno 'No such file' ls driver_override
cd "$tmp"
errno 'No such file' cat "$dev/status"
uvdpa dev del d1

# ---- readers of what comes and goes; one that has stopped in the middle
find "$sys" >/dev/null
readers() {
	while [ ! -e "$tmp/enough" ]; do
		grep -rs . "$sys" >/dev/null || true
		ls -lR "$sys" >/dev/null 2>&1 || true
	done
}
for _ in 1 2 3; do
	background readers
done
for i in {1..60}; do
	uvdpa dev add name "r$i" mgmtdev sim-blk capacity 64K driver vhost-user socket "$tmp/r.sock"
	put "r$i" "$bus/drivers/vhost-user/unbind"
	uvdpa dev del "r$i"
done
touch "$tmp/enough"
for p in "${pids[@]}"; do
	wait "$p" || fail "a reader"
done
pids=()
[ -z "$(ls "$bus/devices")" ] || fail "something is left: $(ls "$bus/devices")"

# What stays is seen, and once, by who lists what comes and goes.
for i in {1..150}; do
	echo "dev add name s$i mgmtdev sim-blk capacity 64K"
done | uvdpa -b -
churn() {
	for _ in 1 2; do
		for i in {1..150}; do
			echo "dev add name r$i mgmtdev sim-blk capacity 64K"
		done | uvdpa -b -
		for i in {1..150}; do
			echo "dev del r$i"
		done | uvdpa -b -
	done
}
background churn
/usr/bin/python3 - "$bus/devices" "$!" <<-'PY'
	import os, sys
	stay = {f's{i}' for i in range(1, 151)}
	while os.path.exists(f'/proc/{sys.argv[2]}/exe'):	# a zombie has none
	    seen = os.listdir(sys.argv[1])
	    assert len(set(seen)) == len(seen), 'twice'
	    assert stay <= set(seen), f'not seen: {stay - set(seen)}'
PY
wait "$!" || fail "churn"
unset 'pids[-1]'
for i in {1..150}; do
	echo "dev del s$i"
done | uvdpa -b -

# ---- a thousand
for i in {1..1000}; do
	printf '{"jsonrpc":"2.0","id":%d,"method":"dev.add","params":{"name":"m%d","mgmtdev":"sim-blk","attrs":{"capacity":"64K"}}}\n' \
		"$i" "$i"
done | timeout 60 socat -t 30 - "UNIX-CONNECT:$ctl" >"$tmp/out"
[ "$(grep -c '"result"' "$tmp/out")" = 1000 ] || fail "not a thousand: $(grep -m 1 error "$tmp/out")"
begin=$(now_ms)
[ "$(find "$bus/devices/" -mindepth 1 | sort -u | wc -l)" = 1000 ] || fail "not a thousand listed"
[ "$(cat "$bus"/devices/*/mgmtdev | sort | uniq -c | tr -s ' ')" = ' 1000 sim-blk' ] || fail "not a thousand read"
echo "a thousand listed and read: $(($(now_ms) - begin)) ms" >&2

# ---- unmounted by somebody: the daemon goes on without
umount -l "$sys"
wait_for 20 grep -q 'was unmounted' "$tmp/daemon.log"
[ "$(uvdpa -j dev show | jq '.dev | length')" = 1000 ] || fail "not without its view"
daemon_stop
daemon_start
uvdpa dev add name m1 mgmtdev sim-blk

# ---- killed, with its mount in use: the next has the same place
cd "$sys/devices/m1"
daemon_kill
errno 'not connected' ls "$sys"
cd "$tmp"
daemon_start
[ -d "$bus/drivers/virtio" ] || fail "not mounted again"
[ -z "$(ls "$bus/devices")" ] || fail "what is not there any more is shown"

# The same by a user whose mounts are fusermount3's. (Anybody who is not root has just been through that.)
nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
if [ "$(id -u)" = 0 ] && "${nobody[@]}" "${UVDPAD:?}" --version >/dev/null 2>&1; then
	chmod 711 "$tmp"
	install -d -o 65534 -g 65534 "$tmp/nobody"
	for _ in 1 2; do
		background "${nobody[@]}" "$UVDPAD" -s "$tmp/nobody/ctl" --sysfs "$tmp/nobody/sys" 2>"$tmp/err"
		wait_for 20 "${nobody[@]}" test -d "$tmp/nobody/sys/bus"
		kill -9 "${pids[-1]}"
		wait "${pids[-1]}" || true
		unset 'pids[-1]'
	done
	umount -l "$tmp/nobody/sys"
fi

# ---- the end
daemon_stop
! mountpoint -q "$sys" || fail "still mounted"
rmdir "$sys"	# it was there when this daemon began
daemon_start
daemon_stop
[ ! -e "$sys" ] || fail "what it made is still there"
mkdir "$sys"
touch "$sys/file"
! timeout 20 "${UVDPAD:?}" -s "$ctl" --sysfs "$sys" 2>"$tmp/err" || fail "mounted over a file"
grep -q 'only an empty directory' "$tmp/err" || fail "$(cat "$tmp/err")"
