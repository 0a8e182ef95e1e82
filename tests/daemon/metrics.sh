#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Metrics: what they say, who may ask, and what the real Prometheus makes of them.
#
# usage: metrics.sh BOARD [prometheus]
. "$(dirname "$0")/../cli/cli.sh"
board=$1
need dd fusermount3 socat
[ -c /dev/fuse ] || skip "no /dev/fuse"
"$UVDPA" driver help virtio | grep -q '^  file ' || skip "built without FUSE"
prometheus=${UVDPA_CACHE:-${XDG_CACHE_HOME:-${HOME:-/var/tmp}/.cache}/uvdpa}/prometheus
[ $# = 1 ] || [ -x "$prometheus/promtool" ] || skip "no Prometheus: scripts/setup prometheus"

path=$tmp/$'a"b\\c\ne\xc3\xa9.img'
take_back() {
	for f in "$tmp"/*.img; do
		fusermount3 -uz "$f" 2>/dev/null || true
	done
}
python() {
	PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$@"
}
ask() {
	python "$tests/daemon/metrics.py" http://127.0.0.1:9100/metrics "$UVDPA" "$ctl" "$board" "$path" "$@"
}
daemon() {
	timeout 20 "$UVDPAD" --socket "$tmp/other" "$@"
}

# ---- where: loopback only
for address in 0.0.0.0:9100 10.0.0.1:9100 '[::]:9100' '[fe80::1]:9100' '[::ffff:127.0.0.1]:9100' 128.0.0.1:9100; do
	refused 'only loopback addresses' daemon --metrics "$address"
done
for address in '' 0 65536 -1 x :9100x 127.0.0.1: ::1:9100 '[::1]' '[]:9100' host.example:9100 127.0.0.1:9100:9100; do
	refused '^uvdpad: --metrics ' daemon --metrics "$address"
done

# ---- devices of every type that counts something, one busy
daemon_args=(--metrics 127.0.0.1:9100)
daemon_start
refused 'metrics: listen' daemon --metrics 9100
uvdpa dev add name hostile mgmtdev sim-blk capacity 16M driver virtio file "$path"
uvdpa dev add name n0 mgmtdev sim-net
uvdpa dev add name c0 mgmtdev console port "pty:$tmp/tty"
uvdpa dev add name r0 mgmtdev rng
uvdpa dev add name b0 mgmtdev sim-blk capacity 1M num_queues 4 driver vhost-user socket "$tmp/b0"
for _ in 1 2 3; do
	dd if="$path" of="$path" bs=64k conv=notrunc oflag=direct status=none
done

if [ $# = 1 ]; then
	ask
	# ---- nothing but GET and HEAD of one path
	said() {
		printf '%s\r\nHost: x\r\nConnection: close\r\n\r\n' "$1" | socat -t 100 - TCP:127.0.0.1:9100
	}
	said 'HEAD /metrics HTTP/1.1' | grep -q '^HTTP/1.1 200'
	said 'GET / HTTP/1.1' | grep -q '^HTTP/1.1 404'
	said 'POST /metrics HTTP/1.1' | grep -q '^HTTP/1.1 405'
	said 'rubbish' >/dev/null
	# ---- who connects and says nothing holds nobody up
	mkfifo "$tmp/silence"
	exec 7<>"$tmp/silence"
	for _ in {1..20}; do
		background socat -u "OPEN:$tmp/silence" TCP:127.0.0.1:9100
	done
	printf 'GET /met' >"$tmp/half"
	for _ in {1..20}; do
		background socat -u "OPEN:$tmp/half,ignoreeof" TCP:127.0.0.1:9100
	done
	in_time 5000 uvdpa dev show >/dev/null
	in_time 30000 said 'GET /metrics HTTP/1.1' >"$tmp/scrape"
	grep -q '^uvdpa_devices 5' "$tmp/scrape" || fail "$(cat "$tmp/scrape")"
	daemon_stop
	exit
fi

# ---- the real one: its rules for names and units, and the board's questions
python -c 'import sys, urllib.request
sys.stdout.buffer.write(urllib.request.urlopen("http://127.0.0.1:9100/metrics").read())' >"$tmp/metrics"
said=$("$prometheus/promtool" check metrics <"$tmp/metrics" 2>&1) || fail "promtool: $said"
[ -z "$said" ] || fail "promtool: $said"
cat >"$tmp/prometheus.yml" <<'EOF'
global: { scrape_interval: 1s }
scrape_configs: [ { job_name: uvdpa, static_configs: [ { targets: [ '127.0.0.1:9100' ] } ] } ]
EOF
rewrite() {
	while dd if="$path" of="$path" bs=64k conv=notrunc oflag=direct status=none 2>/dev/null; do :; done
}
background rewrite
background "$prometheus/prometheus" --config.file="$tmp/prometheus.yml" --storage.tsdb.path="$tmp/tsdb" \
	--web.listen-address=127.0.0.1:9090 >"$tmp/prometheus.log" 2>&1
ready() {
	socat /dev/null TCP:127.0.0.1:9090 2>/dev/null
}
wait_for 30 ready
ask 127.0.0.1:9090
