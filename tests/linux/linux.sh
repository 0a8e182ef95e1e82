# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# linux.sh - run the commands that were recorded with the kernel's bus here, and compare
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# What has another name here: parents, bus drivers.
names='vdpasim_net=sim-net vdpasim_blk=sim-blk vhost_vdpa=vhost-user virtio_vdpa=virtio'

# The functions that transcript.sh wants, for a shell that has as few words as the guest's.
cat >"$tmp/run" <<SHELL
. "$tests/linux/transcript.sh"
bus=${bus:-}
ours() {
	case \$1 in
$(for n in $names; do echo "	${n%=*}) echo ${n#*=} ;;"; done)
	*)	printf '%s\n' "\$1" ;;
	esac
}
vdpa() {
	n=\$#
	while [ \$n -gt 0 ]; do
		set -- "\$@" "\$(ours "\$1")"
		shift
		n=\$((n - 1))
	done
	"$UVDPA" -s "$ctl" "\$@"
}
bind() {
	case \$1 in
	n*)	"$UVDPA" -s "$ctl" dev bind "\$1" "\$(ours "\$2")" tap "\$1" ;;
	*)	"$UVDPA" -s "$ctl" dev bind "\$1" "\$(ours "\$2")" file "$tmp/\$1" ;;
	esac || return
	until "$UVDPA" -s "$ctl" dev show "\$1" | grep -q DRIVER_OK; do
		sleep 0.05
	done
}
unbind() {
	"$UVDPA" -s "$ctl" dev unbind "\$1"
}
transcript "$tmp"
SHELL

# compare NAME: NAME.cmd, as it is here and as it was there
compare() {
	local n theirs=()

	for n in $names; do
		theirs+=(-e "s/\\b${n#*=}\\b/${n%=*}/g")
	done
	busybox sh "$tmp/run" <"$tests/linux/$1.cmd" >"$tmp/raw"
	sed -e 's/\buvdpa\b/vdpa/g; s/\buvdpad answers/kernel answers/' "${theirs[@]}" "$tmp/raw" >"$tmp/ours"
	/usr/bin/python3 "$tests/linux/compare.py" "$tests/linux/$1.golden" "$tmp/ours" "$tests/linux/$1.differences" ||
		fail "not as Linux, and no reason is known"
}
