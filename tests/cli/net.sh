#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Network devices by iproute2's words: what is refused, shown and counted.
. "$(dirname "$0")/cli.sh"

daemon_start

# ---- add
add() { # OPTION...
	uvdpa dev add name n0 mgmtdev sim-net "$@"
}
refused 'mtu is 67, not from 68' add mtu 67
refused 'max_vqp is 0, not from 1' add max_vqp 0
refused 'Invalid MAC address: "52:54:00:12:34"' add mac 52:54:00:12:34
refused 'Invalid MAC address: 01:00:5e:00:00:01' add mac 01:00:5e:00:00:01
refused 'Invalid MAC address: 00:00:00:00:00:00' add mac 00:00:00:00:00:00
version_1=0x100000000
refused 'Missing features 0x20 for provided attributes: mac' add mac 52:54:00:12:34:56 device_features $version_1
refused 'Missing features 0x8 for provided attributes: mtu' add mtu 9000 device_features $version_1
refused 'Missing features .*: max_vqp' add max_vqp 2 device_features $version_1
add mtu 1500 max_vqp 1 device_features $version_1
same '{}' "$(json .config.n0 dev config show n0)"
uvdpa dev del n0

# ---- show
add mac 52:54:00:12:34:56 mtu 9000 max_vqp 2
same '["network","sim-net",5]' "$(json '.dev.n0|[.type,.mgmtdev,.max_vqs]' dev show n0)"
same '{"mac":"52:54:00:12:34:56","link":"up","link_announce":false,"max_vq_pairs":2,"mtu":9000}' \
	"$(json .config.n0 dev config show n0)"
uvdpa dev config show n0 |
	grep -qx 'n0: mac 52:54:00:12:34:56 link up link_announce false max_vq_pairs 2 mtu 9000'

# ---- set; iproute2 writes "name" before the device
uvdpa dev set name n0 mac 52:54:00:ab:cd:ef
same 52:54:00:ab:cd:ef "$(json .config.n0.mac dev config show n0)"
uvdpa dev set n0 link off
same down "$(json .config.n0.link dev config show n0)"
uvdpa dev set n0 link on mac 52:54:00:12:34:56
same '["up","52:54:00:12:34:56"]' "$(json '.config.n0|[.link,.mac]' dev config show n0)"
refused 'Invalid MAC address: "no"' uvdpa dev set n0 mac no
refused 'Unknown option "mtu"' uvdpa dev set n0 mtu 1500

# ---- counters, under the names that the kernel's vdpa_sim_net gives
stats() { # QIDX
	json '.vstats.n0 | .. | objects | select(has("queue_type")) | keys_unsorted |
		map(select(test("^(queue_type|[rt]x |cvq )")))' dev vstats show n0 qidx "$1"
}
uvdpa dev vstats show n0 qidx 0 | head -1 | grep -q 'queue_type rx'
same '["queue_type","rx packets","rx bytes","rx errors","rx overruns","rx drops"]' "$(stats 0)"
same '["queue_type","tx packets","tx bytes","tx errors","tx drops"]' "$(stats 3)"
same '["queue_type","cvq requests","cvq successes","cvq errors"]' "$(stats 4)"
refused 'queue index exceeds max value: 5 of 5' uvdpa dev vstats show n0 qidx 5
uvdpa dev del n0
