#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The tour does its work in a plain container: no FUSE, no loop devices, no io_uring, no right to
# mount, 64 MiB of /dev/shm that no program may be mapped from. And it cleans up, also when it is
# interrupted.
#
# usage: container.sh WITHOUT-IO-URING BUILD
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need linux.uml busybox cpio mkfs.ext4 debugfs unshare setpriv

if [ "${3:-}" = inside ]; then
	# What docker makes of /dev, and what it leaves of the capabilities.
	mkdir "$tmp/dev"
	mount -t tmpfs -o mode=755,nosuid none "$tmp/dev"
	mkdir "$tmp/dev/shm" "$tmp/dev/pts"
	for d in null zero full random urandom tty; do
		touch "$tmp/dev/$d"
		mount --bind "/dev/$d" "$tmp/dev/$d"
	done
	ln -s /proc/self/fd "$tmp/dev/fd"
	mount -t tmpfs -o size=64m,noexec,nosuid,nodev none "$tmp/dev/shm"
	mount --move "$tmp/dev" /dev
	keep=+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,+net_bind_service
	BUILD=$2 exec setpriv --bounding-set "-all,$keep" --inh-caps=-all --no-new-privs \
		"$1" "$tests/../scripts/tour"
fi

ns=(unshare -m)
[ "$(id -u)" = 0 ] || ns=(unshare -Urm)
if "${ns[@]}" mount -t tmpfs none "$tmp" 2>/dev/null; then
	tour=("${ns[@]}" bash "$0" "$1" "$2" inside)
elif [ ! -e /dev/fuse ]; then
	tour=("$1" "$tests/../scripts/tour")	# this is such a container
	export BUILD=$2
else
	skip "no right to make what looks like a container"
fi

export TMPDIR=$tmp
"${tour[@]}" | tee "$tmp/out"
for what in 'no FUSE here (no /dev/fuse)' 'no io_uring' 'split rings, reads: hello number 1' \
	'reads: hello number 2' 'greetings from Linux' 'nothing is left behind'; do
	grep -q "$what" "$tmp/out" || fail "the tour did not say: $what"
done
left=$(find "$tmp" -name 'uvdpa-tour*')
[ -z "$left" ] || fail "left behind: $left"

# With what this machine has, interrupted while the VM runs.
BUILD=$2 setsid "$tests/../scripts/tour" >"$tmp/out" 2>&1 &
pids+=($!)
wait_for 60 grep -q '^3\.' "$tmp/out"
sleep 1
kill -INT -- "-${pids[-1]}" || true
timeout 20 tail -q -s 0.05 --pid="${pids[-1]}" -f /dev/null || fail "it does not end"
left=$(find "$tmp" -name 'uvdpa-tour*')
[ -z "$left" ] || fail "left behind after an interrupt: $left"
! mount | grep "$tmp" >/dev/null || fail "left a mount"
wait_for 5 eval "! pgrep -g ${pids[-1]} -r RSDt >/dev/null"
