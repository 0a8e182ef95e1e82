#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The bus as files does what /sys/bus/vdpa does (sysfs.golden), but for what "sysfs.differences" has with its reason.
# shellcheck source=../netns.sh
. "$(dirname "${BASH_SOURCE[0]}")/../netns.sh"
# shellcheck source=linux.sh
. "$(dirname "${BASH_SOURCE[0]}")/linux.sh"
need busybox
[ -w /dev/fuse ] || skip "no /dev/fuse"
[ "$(id -u)" = 0 ] || command -v fusermount3 >/dev/null || skip "no right to mount"

daemon_args=(--sysfs "$tmp/sys")
daemon_start
compare sysfs
