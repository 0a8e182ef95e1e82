#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The cluster is away for a while. Requests wait and no driver sees an error; what the control socket
# asks for takes no longer than at other times; what is removed is gone in bounded time.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need linux.uml busybox cpio dd fusermount3
[ -c /dev/fuse ] || skip "no /dev/fuse"

# What is left behind on purpose is no leak.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0

take_back() {
	mini_ceph cont-mon 2>/dev/null || true
	fusermount3 -uz "$tmp/d0.img" 2>/dev/null || true
}

# ---- a guest that writes and reads while the OSD is stopped and started again
image away 64M
daemon_start
vm_add d0 away
script guest <<'E2'
set -e
head -c 1048576 /dev/urandom >/tmp/data
i=0
begin=$(cut -d . -f 1 /proc/uptime)
slow=0
while [ $(($(cut -d . -f 1 /proc/uptime) - begin)) -lt 15 ] && [ $slow = 0 ]; do
	echo "round $i"
	before=$(cut -d . -f 1 /proc/uptime)
	dd if=/tmp/data of=/dev/vda bs=64k seek=$((i % 32 * 16)) conv=notrunc,fsync 2>/dev/null
	dd if=/dev/vda bs=64k skip=$((i % 32 * 16)) count=16 iflag=direct 2>/dev/null | cmp - /tmp/data
	[ $(($(cut -d . -f 1 /proc/uptime) - before)) -lt 2 ] || slow=1
	i=$((i + 1))
	sleep 0.2
done
[ $slow = 1 ] || { echo "it never stalled"; exit 1; }
E2
background uml -t 90 -o "$tmp/guest-dir" -d "$tmp/d0.sock:2" "$tmp/guest" >"$tmp/out"
guest=$!
wait_for 40 grep -qs '^round 2' "$tmp/guest-dir/console.log"
mini_ceph stop-osd
sleep 2
in_time 500 uvdpa dev show d0
mini_ceph start-osd
wait "$guest" || fail "the guest ended with $?: $(tail -n 5 "$tmp/out")"
same 0 "$(json '[.vstats.d0.queues[].errors] | add' dev vstats show d0)" "errors"
uvdpa dev del d0

# ---- removed while it waits
rbd_add d0 away driver virtio file "$tmp/d0.img"
dd if="$tmp/d0.img" of=/dev/null bs=4k count=1 iflag=direct status=none
mini_ceph stop-osd
background dd if="$tmp/d0.img" of=/dev/null bs=4k count=1 skip=512 iflag=direct status=none 2>"$tmp/dd.err"
sleep 0.5
kill -0 $! 2>/dev/null || fail "the read did not wait: $(cat "$tmp/dd.err")"
in_time 3500 uvdpa dev del d0
same '{"dev":{}}' "$(uvdpa -j dev show)"
# Its request is not home; another that would open it waits for the OSD, and not for ever.
refused 'rbd:rbd/away: (no answer from the OSDs of pool rbd|pool rbd: no answer|its lock was not given) within 500 ms' \
	rbd_add d1 away timeout_ms 500
# One that is removed while it is opened.
background rbd_add d2 away 2>"$tmp/add.err"
adder=$!
wait_for 5 uvdpa dev show d2
in_time 500 uvdpa dev del d2
! wait "$adder" || fail "a device that was removed was added"
mini_ceph start-osd
# The carcass is home and its lock free.
wait_for 30 rbd_add d0 away
uvdpa dev del d0
daemon_stop

# ---- the monitor does not answer
daemon_start
mini_ceph stop-mon
background rbd_add d0 away timeout_ms 1500 2>"$tmp/add.err"
adder=$!
wait_for 5 uvdpa dev show d0
in_time 500 uvdpa dev show
in_time 500 uvdpa dev add name ram mgmtdev sim-blk capacity 1M
! wait "$adder" || fail "added without a monitor"
grep -q 'rbd:rbd/away: no answer from the monitors (.*127.0.0.1.*) within 1500 ms' "$tmp/add.err" ||
	fail "said $(cat "$tmp/add.err")"
in_time 3500 daemon_stop
mini_ceph cont-mon

# ---- the daemon ends while a request waits
daemon_start
rbd_add d0 away driver virtio file "$tmp/d0.img"
dd if="$tmp/d0.img" of=/dev/null bs=4k count=1 iflag=direct status=none
mini_ceph stop-osd
background dd if="$tmp/d0.img" of=/dev/null bs=4k count=1 skip=512 iflag=direct status=none 2>"$tmp/dd.err"
sleep 0.5
in_time 3500 daemon_stop
mini_ceph start-osd
