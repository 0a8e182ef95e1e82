#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The bus as files under scripts as they are written for /sys/bus/vdpa: of administrators, of container platforms, of
# test suites; and under driverctl, which is pointed at it by a mount over /sys.
# shellcheck source=../netns.sh
. "$(dirname "${BASH_SOURCE[0]}")/../netns.sh"
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need ip driverctl
[ -w /dev/fuse ] || skip "no /dev/fuse"
[ -n "${TEST_NETNS:-}" ] || skip "no network namespaces"
unshare -m true 2>/dev/null || skip "no mount namespaces"

sys=$tmp/sys
bus=$sys/bus/vdpa
daemon_args=(--sysfs "$sys")
daemon_start
uvdpa dev add name n0 mgmtdev sim-net mac 52:54:00:00:00:01
uvdpa dev add name b0 mgmtdev sim-blk capacity 1M

# same WANT GOT WHAT
same() { [ "$1" = "$2" ] || fail "$3: $2, not $1"; }
who() { basename "$(readlink "$bus/devices/$1/driver")"; }

# ---- the driver of every device, by the name of its link: taken from another, given to this
set_driver() {
	local dev=$1 driver=$2

	if [ -d "$bus/devices/$dev/driver" ]; then
		[ "$(who "$dev")" != "$driver" ] || return 0
		echo "$dev" >"$bus/drivers/$(who "$dev")/unbind"
	fi
	echo "$dev" | tee "$bus/drivers/$driver/bind" >"$tmp/tee"
	same "$dev" "$(cat "$tmp/tee")" tee
}
for driver in vhost_vdpa virtio_vdpa vhost_vdpa; do
	# shellcheck disable=SC2045 # as it is in use
	for dev in $(ls -x "$bus/devices"); do
		set_driver "$dev" $driver
		same $driver "$(who "$dev")" "$dev"
		[ -L "$bus/drivers/$driver/$dev" ] || fail "no link"
		same "$sys/devices/$dev" "$(realpath "$bus/drivers/$driver/$dev")" "$dev"
	done
done
[ -S "$tmp/n0.sock" ] || fail "n0 is served nowhere"
[ -S "$tmp/b0.sock" ] || fail "b0 is served nowhere"

# ---- the interface that a container is to be given, below the device and by its class
set_driver n0 virtio_vdpa
same n0 "$(basename "$bus"/devices/n0/virtio*/net/*)" 'the interface'
same "$(echo "$sys"/devices/n0/virtio*/net/n0)" "$(realpath -s "$sys/class/net/$(readlink "$sys/class/net/n0")")" 'its class'
same /sys/class/net/n0 "$(readlink "$sys"/devices/n0/virtio*/net/n0)" 'the interface'
ip link show n0 | grep -q 52:54:00:00:00:01 || fail "no interface"
set_driver n0 vhost_vdpa
! ip link show n0 2>/dev/null || fail "it is still there"
! ls -d "$bus"/devices/n0/virtio* 2>/dev/null || fail "and shown"
[ -z "$(ls "$sys/class/net")" ] || fail "and its class"

# ---- names of Linux wherever a driver is named
uvdpa dev unbind n0
uvdpa dev bind n0 vhost_vdpa socket "$tmp/n0.sock"
uvdpa dev override n0 vhost_vdpa
uvdpa dev show n0 | grep -q 'driver vhost-user driver_override vhost_vdpa' || fail "$(uvdpa dev show n0)"
! uvdpa dev bind n0 virtio_vdpa 2>"$tmp/err" || fail "not its driver"
grep -q 'driver_override is "vhost_vdpa", not "virtio"' "$tmp/err" || fail "$(cat "$tmp/err")"
uvdpa dev override n0 ''

# ---- driverctl
at_sys() {
	# shellcheck disable=SC2016 # for that shell
	unshare -m sh -c 'mount --bind "$1" /sys && shift && driverctl --nosave -b vdpa "$@"' sh "$sys" "$@"
}
same $'b0 vhost_vdpa\nn0 vhost_vdpa' "$(at_sys list-devices)" 'devices'
at_sys set-override n0 virtio_vdpa
same $'b0 vhost_vdpa\nn0 virtio_vdpa [*]' "$(at_sys list-devices)" 'devices'
same 'n0 virtio_vdpa' "$(at_sys list-overrides)" 'overrides'
ip link show n0 >"$tmp/out" || fail "no interface"
at_sys set-override n0 vhost_vdpa
same vhost_vdpa "$(who n0)" 'overridden'
at_sys unset-override n0
same $'b0 vhost_vdpa\nn0 vhost_vdpa' "$(at_sys list-devices)" 'devices'
at_sys set-override b0 none
same $'b0 (none) [*]\nn0 vhost_vdpa' "$(at_sys list-devices)" 'devices'
! at_sys set-override b0 nothing 2>"$tmp/err" || fail "there is no such driver"
