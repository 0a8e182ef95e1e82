#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Requests of 1 MiB in 128 pieces of odd sizes: each is one request to the device, and every byte of
# them comes to its place.
#
# usage: segments.sh qemu|uml
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need busybox cpio "${SEGMENTS:?the program}"

truncate -s 64M "$tmp/disk"
daemon_start
blk_add d0 "$tmp/disk" seg_max 128

script guest <<'E2'
set -e
echo 8 >/proc/sys/vm/nr_hugepages 2>/dev/null || true
set -- $(cat /sys/block/vda/stat)
reads=$1 writes=$5
segments write /dev/vda 40
set -- $(cat /sys/block/vda/stat)
echo "read in $(($1 - reads)), written in $(($5 - writes))"
E2
guest=("$1" -f "$SEGMENTS" -d "$tmp/d0.sock:2" "$tmp/guest")
"${guest[@]}" >"$tmp/out"
cat "$tmp/out"
# User Mode Linux has no huge pages, so pieces that are several pages are several segments.
[ "$1" = uml ] || grep -q '^read in 40, written in 40$' "$tmp/out" || fail "not one request each"
"$SEGMENTS" check "$tmp/disk" 40
