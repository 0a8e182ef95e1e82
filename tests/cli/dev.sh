#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Devices come, are shown and go; the JSON has iproute2's shapes.
. "$(dirname "$0")/cli.sh"

daemon_start

# ---- what there is to make devices of, and to give them to
json '.mgmtdev["sim-blk"] | [.supported_classes, (.max_supported_vqs|type), (.dev_features|type)]' \
	mgmtdev show sim-blk >"$tmp/out"
same '[["block"],"number","array"]' "$(cat "$tmp/out")" mgmtdev
json '.mgmtdev | length' mgmtdev show sim-blk | grep -qx 1
json '.mgmtdev["sim-blk"].dev_features | index("VERSION_1") != null' mgmtdev show | grep -qx true
uvdpa mgmtdev show sim-blk | head -3 | tr -d '\n' |
	grep -Eq '^sim-blk:  supported_classes block  max_supported_vqs [0-9]+$'
same '[[],[]]' "$(json '.mgmtdev["vhost-user"] | [.supported_classes, .dev_features]' mgmtdev show)"
refused 'Fail to find the specified mgmt device: "nothing"' uvdpa mgmtdev show nothing
same path "$(json '.driver["vhost-user"].options.socket.type' driver show vhost-user)"
refused 'bus driver "nothing" not found' uvdpa driver show nothing
refused 'did you mean "vhost_vdpa"' uvdpa driver show vhost_vpda
same '["virtio"]' "$(uvdpa -j driver show virtio_vdpa | jq -c '.driver | keys')"

# ---- add, show
uvdpa dev add name d0 mgmtdev sim-blk capacity 1M >"$tmp/out"
[ ! -s "$tmp/out" ] || fail "dev add printed something"
same '["block","sim-blk",0,"number","number",true,null,[]]' "$(json '.dev.d0 |
	[.type, .mgmtdev, .vendor_id, (.max_vqs|type), (.max_vq_size|type), .ready, .driver, .status]' \
	dev show d0)"
uvdpa dev show | grep -Eq \
	'^d0: type block mgmtdev sim-blk vendor_id 0 max_vqs [0-9]+ max_vq_size [0-9]+$'
uvdpa dev show d0 >"$tmp/out"
grep -Eqx '  ready true size 1048576.*' "$tmp/out"
grep -Eqx '  device_features .*RING_EVENT_IDX.* VERSION_1.*' "$tmp/out"
grep -Eqx '  attrs capacity 1M' "$tmp/out"
! grep -Eq '^  (status|negotiated_features|driver_attrs|end_point)' "$tmp/out" || fail "what it has not"
same '["d0"]' "$(json '.dev|keys' dev show)"
uvdpa -jp dev show | grep -q '^  "dev":{' || uvdpa -jp dev show | grep -q '"dev": *{'
same 2048 "$(json .config.d0.capacity dev config show d0)"
same 2048 "$(json .config.d0.capacity dev config show)"
same '[false,true]' "$(json '.config.d0|[.read_only,.flush]' dev config show)"

# ---- what can be set
refused 'size 2M, at most its capacity_max|size 2097152, at most' uvdpa dev set d0 size 2M
refused 'Unknown option "sizf".*"size"' uvdpa dev set d0 sizf 1M
refused usage uvdpa dev set d0
refused usage uvdpa dev set d0 size
same 1048576 "$(json .dev.d0.size dev show d0)"
uvdpa dev set name d0 size 512K shrink on
same 1024 "$(json .config.d0.capacity dev config show d0)"
uvdpa dev set d0 size 1M
same 2048 "$(json .config.d0.capacity dev config show d0)"

# ---- names
refused 'd0' uvdpa dev add name d0 mgmtdev sim-blk capacity 1M
same EEXIST "$(rpc '{"jsonrpc":"2.0","id":1,"method":"dev.add","params":{"name":"d0","mgmtdev":"sim-blk","attrs":{"capacity":"1M"}}}' |
	jq -r .error.data.name)"
long=$(printf '%063d' 7)
uvdpa dev add name "$long" mgmtdev sim-blk capacity 1M
uvdpa dev del "$long"
for name in '' "${long}8" .d -d 'd 0' 'd/0' $'d\n' 'é'; do
	refused . uvdpa dev add name "$name" mgmtdev sim-blk capacity 1M
done
refused 'nothing' uvdpa dev add name d1 mgmtdev nothing
refused 'nothing' uvdpa dev add name d1 mgmtdev sim-blk capacity 1M driver nothing
refused 'device not found: "d1"' uvdpa dev show d1
for words in 'dev set d1 size 1M' 'dev del d1' 'dev unbind d1' 'dev bind d1 vhost-user' 'dev override d1 x' \
	'dev describe d1' 'dev config show d1' 'dev vstats show d1'; do
	# shellcheck disable=SC2086
	refused 'device not found: "d1"' uvdpa $words
done

# ---- features: a subset is offered, what it has not is refused
refused . uvdpa dev add name d1 mgmtdev sim-blk capacity 1M device_features 0x8000000000000000
uvdpa dev add name d1 mgmtdev sim-blk capacity 1M device_features 0x100000000
uvdpa dev del d1

# ---- statistics, of one queue and of all
json '.vstats.d0 | type' dev vstats show d0 qidx 0 | grep -qx object
same "$(json .dev.d0.max_vqs dev show d0)" "$(json '.vstats.d0.queues|length' dev vstats show d0)"
uvdpa dev vstats show d0 | grep -Eq '^d0: qidx 0 '
refused . uvdpa dev vstats show d0 qidx 65535

# For people each kind of request has a line, and no histogram; for programs all is there.
uvdpa blk fill d0 random 1 length 1M >/dev/null
uvdpa dev vstats show d0 >"$tmp/stats"
grep -Eq '^  write_requests [1-9][0-9]* write_took_p50_ns [0-9]+ ' "$tmp/stats"
grep -Eq '^  flush_requests 1 ' "$tmp/stats"
! grep -q '_took_ns' "$tmp/stats" || fail "a histogram: $(cat "$tmp/stats")"
json '.vstats.d0.queues[0].write_took_ns' dev vstats show d0 | grep -Eq '^<[0-9]+:[0-9]+'

# ---- binding
refused . uvdpa dev describe d0
refused . uvdpa dev unbind d0
refused 'no bus driver "vhost_vdp"; did you mean "vhost_vdpa"' uvdpa dev bind d0 vhost_vdp
uvdpa dev bind d0 vhost-user socket "$tmp/d0.sock"
same '"vhost-user"' "$(uvdpa -j dev show | jq .dev.d0.driver)"
same "$tmp/d0.sock" "$(json .describe.d0.socket dev describe d0)"
[ -S "$tmp/d0.sock" ] || fail "no socket"
uvdpa dev describe d0 | grep -q "^  socket $tmp/d0.sock"
uvdpa dev show d0 >"$tmp/out"
grep -Eqx '  ready true driver vhost-user size 1048576.*' "$tmp/out"
grep -Fqx "  driver_attrs socket $tmp/d0.sock" "$tmp/out"
grep -Fqx "  end_point socket $tmp/d0.sock" "$tmp/out"
same "{\"socket\":\"$tmp/d0.sock\"}" "$(json .dev.d0.end_point dev show)"
same '["d0"]' "$(json '.describe|keys' dev describe)"	# those that are bound

# What it says to QEMU is taken as it stands, and its front-end gets what it needs of the device.
if command -v qemu-system-x86_64 >/dev/null; then
	mkdir "$tmp/a,b"
	uvdpa dev bind d0 vhost-user socket "$tmp/a,b/s"
	read -ra words < <(json .describe.d0.qemu dev describe d0)
	echo 'info qtree
quit' | timeout 20 qemu-system-x86_64 -accel tcg -S -display none -monitor stdio "${words[@]}" >"$tmp/out" 2>&1 ||
		fail "$(cat "$tmp/out")"
	grep -q 'dev: vhost-user-blk-pci' "$tmp/out" || fail "no such device: $(cat "$tmp/out")"
	uvdpa dev bind d0 vhost-user socket "$tmp/d0.sock"
fi
uvdpa dev unbind d0
[ ! -e "$tmp/d0.sock" ] || fail "the socket is still there"

# Override: only that driver may have it; a name that no driver has opts out; "" clears.
uvdpa dev override d0 none
same none "$(json .dev.d0.driver_override dev show)"
refused . uvdpa dev bind d0 vhost-user socket "$tmp/d0.sock"
uvdpa dev override d0 ''
same null "$(json .dev.d0.driver_override dev show)"
uvdpa dev bind d0 vhost-user socket "$tmp/d0.sock"

# ---- paths: of the command's working directory, wherever the daemon's is
mkdir "$tmp/here"
truncate -s 1M "$tmp/here/img"
(
	cd "$tmp/here"
	uvdpa dev add name p0 mgmtdev blk image img driver vhost-user socket ./p0.sock
	uvdpa dev bind p0 vhost-user socket p1.sock
)
same "$tmp/here/p1.sock" "$(json .describe.p0.socket dev describe p0)"
[ -S "$tmp/here/p1.sock" ] || fail "the socket is elsewhere"
uvdpa dev del p0

# ---- del
uvdpa dev del d0
[ ! -e "$tmp/d0.sock" ] || fail "the socket is still there"
same '{"dev":{}}' "$(uvdpa -j dev show)"

# Many, with stable names, and all go.
for i in {1..40}; do
	uvdpa dev add name "m$i" mgmtdev sim-blk capacity 64K driver vhost-user socket "$tmp/m$i.sock"
done
same 40 "$(json '.dev|length' dev show)"
for i in {1..40}; do
	uvdpa dev del "m$i"
done
same '{"dev":{}}' "$(uvdpa -j dev show)"

# ---- an override is a name, not a text
uvdpa dev add name over mgmtdev sim-blk
refused 'byte 0xa in driver_override' uvdpa override over $'a\nb'
refused 'driver_override of 256 bytes, at most 255' uvdpa override over "$(printf '%256s' '' | tr ' ' x)"
uvdpa override over none
uvdpa dev del over
