#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What a device was made with can be read back, and makes the same device again.
. "$(dirname "$0")/cli.sh"

daemon_start
truncate -s 1M "$tmp/img"

# exported - what dev.export has of d0
exported() {
	rpc '{"jsonrpc":"2.0","method":"dev.export","params":{"name":"d0"},"id":1}' | jq -c .result.export.d0
}

# again - Take d0 away and make it of what was exported: the same again.
again() {
	local before
	before=$(exported)
	uvdpa dev del d0
	rpc "{\"jsonrpc\":\"2.0\",\"method\":\"dev.add\",\"params\":$before,\"id\":1}" | jq -e .result >/dev/null ||
		fail "not taken: $before"
	same "$before" "$(exported)"
}

# ---- as it was written, in that order; what was not written is not there
uvdpa dev add name d0 mgmtdev blk image "$tmp/img" bps 010M readonly yes driver vhost-user socket "$tmp/d0.sock"
same "{\"name\":\"d0\",\"mgmtdev\":\"blk\",\"attrs\":{\"image\":\"$tmp/img\",\"bps\":\"010M\",\"readonly\":\"yes\"},\
\"driver\":\"vhost-user\",\"driver_attrs\":{\"socket\":\"$tmp/d0.sock\"}}" "$(exported)"
again

# ---- what was set since is what it has now; what a moment's command did is not kept
uvdpa dev set d0 bps 5M iops 7
same '["5M","7",null]' "$(exported | jq -c '[.attrs.bps, .attrs.iops, .attrs.size]')"
again
same 5242880 "$(json .dev.d0.bps dev show)"

# ---- the driver that has it now
uvdpa dev bind d0 vhost-user socket "$tmp/d1.sock"
same "{\"socket\":\"$tmp/d1.sock\"}" "$(exported | jq -c .driver_attrs)"
uvdpa dev override d0 none
again	# bound, as it was, to one that it may not be given to again
[ -S "$tmp/d1.sock" ] || fail "not bound"
refused none uvdpa dev bind d0 vhost-user socket "$tmp/d2.sock"
uvdpa dev unbind d0
same '[null,null,"none"]' "$(exported | jq -c '[.driver, .driver_attrs, .driver_override]')"
again
uvdpa dev del d0

# ---- a size that lasts as long as the device, a mask of features, another type
uvdpa dev add name d0 mgmtdev sim-blk device_features 0x100000000 capacity 1M capacity_max 4M
uvdpa dev set d0 size 2M
uvdpa dev set d0 size 0 # look what the store has: nothing new
same '["0x100000000","2M"]' "$(exported | jq -c '[.features, .attrs.capacity]')"
again
same 2097152 "$(json .dev.d0.size dev show)"
uvdpa dev del d0
uvdpa dev add name d0 mgmtdev sim-net mac 52:54:00:00:00:01
uvdpa dev set d0 mac 52:54:00:00:00:02 link off announce on
same '{"mac":"52:54:00:00:00:02","link":"off"}' "$(exported | jq -c .attrs)"
again

# ---- all of them
uvdpa dev add name d1 mgmtdev sim-net
same '["d0","d1"]' "$(rpc '{"jsonrpc":"2.0","method":"dev.export","id":1}' | jq -c '.result.export | keys')"
