# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# linux.sh - run the commands that were recorded with the kernel's bus here, and compare
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# What has another name here: parents. Bus drivers have it as well.
names='vdpasim_net=sim-net vdpasim_blk=sim-blk'

# The functions that transcript.sh wants, for a shell that has as few words as the guest's.
cat >"$tmp/run" <<SHELL
. "$tests/linux/transcript.sh"
bus=$tmp/sys/bus/vdpa
vdpa() {
	"$UVDPA" -s "$ctl" "\$@"
}
bind() {
	case \$1 in
	n*)	vdpa dev bind "\$1" "\$2" tap "\$1" ;;
	*)	vdpa dev bind "\$1" "\$2" file "$tmp/\$1" ;;
	esac || return
	until vdpa dev show "\$1" | grep -q DRIVER_OK; do
		sleep 0.05
	done
}
unbind() {
	vdpa dev unbind "\$1"
}
transcript "$tmp"
SHELL

# compare NAME: NAME.cmd, as it is here and as it was there
compare() {
	local n ours=() theirs=()

	for n in $names; do
		ours+=(-e "s/\\b${n%=*}\\b/${n#*=}/g")
		theirs+=(-e "s/\\b${n#*=}\\b/${n%=*}/g")
	done
	sed "${ours[@]}" "$tests/linux/$1.cmd" | busybox sh "$tmp/run" >"$tmp/raw"
	sed -e "s|$tmp/sys/|/sys/|g" -e 's/\buvdpa\b/vdpa/g; s/\buvdpad answers/kernel answers/' "${theirs[@]}" "$tmp/raw" >"$tmp/ours"
	/usr/bin/python3 "$tests/linux/compare.py" "$tests/linux/$1.golden" "$tmp/ours" "$tests/linux/$1.differences" ||
		fail "not as Linux, and no reason is known"
}
