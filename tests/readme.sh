#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The commands of README.md do what it says.
#
# usage: readme.sh BUILD
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need linux.uml busybox cpio mkfs.ext4
[ "$(id -u)" = 0 ] || skip "not root: the README mounts"
[ -w /dev/fuse ] || skip "no /dev/fuse"
[ -w /dev/net/tun ] || skip "no /dev/net/tun"
unshare -n true || skip "no network namespaces here"
truncate -s 8M "$tmp/probe"
mkfs.ext4 -q "$tmp/probe"
mkdir "$tmp/mnt"
mount -o loop "$tmp/probe" "$tmp/mnt" || skip "no loop mounts here"
umount "$tmp/mnt"

# As if this were the source directory, built.
mkdir "$tmp/src"
ln -s "$1" "$tmp/src/build"
ln -s "$tests" "$tmp/src/tests"
cd "$tmp/src"
{
	echo 'set -eum'
	# shellcheck disable=SC2016
	sed -n '/^```sh$/,/^```$/ { /^```/!p }' "$tests/../README.md"
	echo 'wait %1'
} >"$tmp/readme"
export TMPDIR=$tmp
setsid unshare -n bash "$tmp/readme" >"$tmp/out" 2>&1 &
pids+=($!)
timeout 100 tail -q -s 0.05 --pid="${pids[-1]}" -f /dev/null || { cat "$tmp/out"; fail "it does not end"; }
wait "${pids[-1]}" || { cat "$tmp/out"; fail "a command failed"; }
for what in 'virtio_uml.device=' 'hello from this host' 'hello from 6' 'requests [1-9]' \
	'3 packets received' 'rx packets [1-9]'; do
	grep -q "$what" "$tmp/out" || { cat "$tmp/out"; fail "no $what"; }
done
# By the disk, and by the console.
[ "$(grep -c 'hello from 6' "$tmp/out")" = 2 ] || { cat "$tmp/out"; fail "the console said nothing"; }
