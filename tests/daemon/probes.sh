#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Places for tracers: they are in the library, and the script of the examples says where requests spend
# their time.
#
# usage: probes.sh LIBRARY SCRIPT
. "$(dirname "$0")/../cli/cli.sh"
library=$1 script=$2
need readelf

readelf -n "$library" | awk '/Provider: uvdpa/ { getline; print $2 }' | sort -u >"$tmp/names"
# As the header, the manual page and the script have them.
same "$(sed -nE 's/^ \*\t([a-z_]+)\(.*/\1/p' "$tests/../src/base/probe.h" | sort -u | paste -sd ' ')" \
	"$(paste -sd ' ' "$tmp/names")" "probes in the library"
same "$(sed -nE 's/^usdt:\*:uvdpa:([a-z_]+)$/\1/p' "$script" | sort -u | paste -sd ' ')" \
	"$(paste -sd ' ' "$tmp/names")" "probes of the script"
while read -r name; do
	grep -q "^_${name}_" "$tests/../doc/uvdpad.8.scd" || fail "no $name in the manual page"
done <"$tmp/names"

need bpftrace dd fusermount3
[ -c /dev/fuse ] || skip "no /dev/fuse"
"$UVDPA" driver help virtio | grep -q '^  file ' || skip "built without FUSE"
take_back() {
	fusermount3 -uz "$tmp/b.img" 2>/dev/null || true
}
daemon_start
uvdpa dev add name b mgmtdev sim-blk capacity 1M driver virtio file "$tmp/b.img"
timeout -s INT 120 bpftrace -p "$daemon_pid" "$script" >"$tmp/bt.out" 2>&1 &
tracer=$!
pids+=("$tracer")
begun() {
	grep -q '^Looking at requests' "$tmp/bt.out" || ! kill -0 "$tracer" 2>/dev/null
}
wait_for 60 begun
kill -0 "$tracer" 2>/dev/null || skip "bpftrace cannot attach here: $(grep -v '^Attaching' "$tmp/bt.out" | head -1)"
# It says so before the last one is attached.
for _ in {1..10}; do
	dd if="$tmp/b.img" of="$tmp/copy" bs=4k iflag=direct status=none
	sleep 0.2
done
kill -INT "$tracer"
wait "$tracer" || fail "bpftrace: $(cat "$tmp/bt.out")"
for what in decode_ns parent_ns batch_ns total_ns; do
	grep -qF "@${what}[b]: " "$tmp/bt.out" || fail "no $what: $(cat "$tmp/bt.out")"
done
requests=$(sed -n 's/^@requests\[b\]: //p' "$tmp/bt.out")
[ "${requests:-0}" -gt 256 ] || fail "it saw ${requests:-no} requests of 2560"
# Where nobody looks any more, things go on.
dd if="$tmp/b.img" of="$tmp/copy" bs=4k iflag=direct status=none
