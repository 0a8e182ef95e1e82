#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A file arrives whole, from either side, with every way to share the work of checksums and
# segmentation between the guest, the device and the host; and so do datagrams.
#
# usage: transfer.sh KIND[,PROPERTIES] MIB [OPTION VALUE...]
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need ethtool iperf3

daemon_start
net_add "${@:3}"
guest_start "$1"
wait_for 10 reached
random "$tmp/file" $(($2 << 20))

# Datagrams that were damaged, or parts that did not come together again; both sides' kernels count.
damaged() {
	awk '/^(Ip|Udp|Tcp):/ {
		if (!($1 in names)) {
			names[$1] = $0
			next
		}
		n = split(names[$1], name)
		split($0, value)
		for (i = 2; i <= n; i++)
			if (name[i] ~ /^(InHdrErrors|ReasmFails|InCsumErrors)$/)
				sum += value[i]
	} END { print sum + 0 }' "$@"
}

# udp FROM: 2 MiB in datagrams that fit, then as many in some that are cut; most arrive, none is damaged
udp() {
	local len lost

	for len in 1400 8000; do
		rm -f "$tmp/udp-$len"
		background iperf3 -s -1 -J --logfile "$tmp/udp-$len"
		in_guest "sleep 0.2; iperf3 -u -c 10.0.0.1 -b 30M -n 2M -l $len $1" >"$tmp/udp" ||
			{ cat "$tmp/udp"; fail "udp $len $1"; }
		wait $!
		lost=$(jq '.end.sum.lost_percent' "$tmp/udp-$len")
		[ "${lost%%.*}" -lt 50 ] || fail "udp $len $1: $lost % are lost"
	done
}

# Words are of ethtool -K; of the guest's end, and of the host's.
while IFS='|' read -r guest host; do
	# shellcheck disable=SC2086 # words
	[ -z "$host" ] || ethtool -K t0 $host >/dev/null
	[ -z "$guest" ] || in_guest ethtool -K eth0 "$guest" >/dev/null || true
	sent_whole "$tmp/file" || fail "guest: $guest, host: $host"
	echo "guest: ${guest:-as it is}, host: ${host:-as it is}"
done <<-'E2'
	|
	tso off|
	gso off|
	tx off|
	rx off gro off|
	tx on tso on gso on|tso off
	rx on|gso off
	gro on|tx off
	tx off rx off|gro off
	tx on rx on tso on|tx on tso on gso on gro on
E2
udp ""
udp -R
[ "$(damaged /proc/net/snmp)" = 0 ] || { cat /proc/net/snmp; fail "the host found damage"; }
in_guest cat /proc/net/snmp >"$tmp/snmp"
[ "$(damaged "$tmp/snmp")" = 0 ] || { cat "$tmp/snmp"; fail "the guest found damage"; }
guest_stop
