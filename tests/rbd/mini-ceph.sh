#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# mini-ceph.sh - a Ceph cluster for tests: one monitor, one OSD that keeps its data in memory
#
#	usage: mini-ceph.sh start DIR		DIR/ceph.conf is the configuration; there is a pool "rbd"
#	       mini-ceph.sh stop DIR
#	       mini-ceph.sh stop-osd DIR	its data is there again when it is started
#	       mini-ceph.sh start-osd DIR
#	       mini-ceph.sh stop-mon DIR	it hangs, and
#	       mini-ceph.sh cont-mon DIR	goes on
#
# On loopback only, without authentication, as the user who calls. Everything is in DIR, and what it
# started it ends by its pid. A start takes some eight seconds. What it cannot do is a status of 77
# if a program is missing, and 1 otherwise.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
command=${1:-} dir=${2:-}
if [ -z "$command" ] || [ -z "$dir" ]; then
	sed -n 's/^#\t//p' "$0" >&2
	exit 2
fi
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
conf=$dir/ceph.conf
seconds=40	# for anything

fail() {
	echo "mini-ceph: $*" >&2
	tail -n 5 "$dir"/*.out >&2 || true
	exit 1
}

ceph_() {
	timeout "$seconds" ceph --conf "$conf" --connect-timeout "$seconds" "$@"
}

alive() {
	[ -s "$dir/$1.pid" ] && kill -0 "$(cat "$dir/$1.pid")" 2>/dev/null
}

# signal WHO SIGNAL
signal() {
	alive "$1" || fail "no $1 runs"
	kill "-$2" "$(cat "$dir/$1.pid")"
}

# begin WHO COMMAND...: in a session of its own
begin() {
	local who=$1

	shift
	setsid "$@" >>"$dir/$who.out" 2>&1 </dev/null &
	echo $! >"$dir/$who.pid"
}

# end WHO SIGNAL: and wait for it
end() {
	if alive "$1"; then
		signal "$1" CONT
		signal "$1" "$2"
		timeout 10 tail -q -s 0.05 --pid="$(cat "$dir/$1.pid")" -f /dev/null || signal "$1" KILL
	fi
	rm -f "$dir/$1.pid"
}

configure() {
	local port=$1

	cat >"$conf" <<-E2
	[global]
	fsid = $(cat /proc/sys/kernel/random/uuid)
	mon_host = [v2:127.0.0.1:$port/0]
	mon_initial_members = a
	public_addr = 127.0.0.1
	ms_bind_ipv6 = false
	auth_cluster_required = none
	auth_service_required = none
	auth_client_required = none
	keyring = $dir/keyring
	run_dir = $dir
	admin_socket = $dir/\$name.\$pid.asok
	log_file = $dir/\$name.log
	mon_data = $dir/mon
	osd_data = $dir/osd
	osd_objectstore = memstore
	memstore_device_bytes = 2147483648
	osd_fast_shutdown = false
	osd_memory_target = 939524096
	osd_client_watch_timeout = 5
	osd_pool_default_size = 1
	osd_pool_default_min_size = 1
	osd_pool_default_pg_autoscale_mode = off
	osd_crush_chooseleaf_type = 0
	osd_class_default_list = *
	osd_class_load_list = *
	mon_allow_pool_size_one = true
	mon_warn_on_pool_no_redundancy = false
	mon_data_avail_warn = 2
	mon_data_avail_crit = 1
	[client]
	admin_socket =
	log_file =
	E2
}

# The monitor takes no port that somebody has; which one is free, the kernel says.
free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

start_mon() {
	local port

	mkdir "$dir/mon"
	port=$(free_port)
	configure "$port"
	ceph-authtool -C "$dir/keyring" --gen-key -n mon. --cap mon 'allow *'
	ceph-authtool "$dir/keyring" --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *'
	monmaptool --create --clobber --fsid "$(sed -n 's/^fsid = //p' "$conf")" \
		--addv a "[v2:127.0.0.1:$port]" "$dir/monmap"
	ceph-mon --conf "$conf" --mkfs -i a --monmap "$dir/monmap" --keyring "$dir/keyring"
	begin mon ceph-mon --conf "$conf" -f -i a
	ceph_ osd stat
}

osd_is_up() {
	local i

	for ((i = 0; i < seconds * 5; i++)); do
		alive osd || return 1
		! ceph_ osd stat 2>&1 | grep -q ' 1 up' || return 0
		sleep 0.2
	done
	return 1
}

start_osd() {
	begin osd ceph-osd --conf "$conf" -f -i 0
	osd_is_up
}

make_osd() {
	local uuid

	mkdir "$dir/osd"
	uuid=$(cat /proc/sys/kernel/random/uuid)
	ceph_ osd new "$uuid" 0
	ceph-osd --conf "$conf" -i 0 --mkfs --osd-uuid "$uuid" --no-mon-config
	start_osd
	ceph_ osd pool create rbd 8 8
	ceph_ osd pool application enable rbd rbd
}

case $command in
start)
	for p in ceph ceph-mon ceph-osd rbd ceph-authtool monmaptool python3; do
		command -v "$p" >/dev/null || { echo "no program $p"; exit 77; }
	done
	! alive mon || fail "one runs in $dir already"
	rm -rf "$dir"/{mon,osd,keyring,monmap}
	if ! { start_mon && make_osd; } >>"$dir/start.out" 2>&1; then
		"$0" stop "$dir"
		fail "does not start"
	fi
	;;
stop)	end osd TERM
	end mon TERM
	;;
stop-osd)
	# An end in order alone, for then the store is written to its folder.
	end osd TERM
	;;
start-osd)
	start_osd >>"$dir/start.out" 2>&1 || fail "the OSD does not come back"
	;;
stop-mon) signal mon STOP ;;
cont-mon) signal mon CONT ;;
*)	fail "unknown command $command" ;;
esac
