#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# rbd.sh - the tests of the rbd parent, on one cluster, for it takes some seconds to start
#
# usage: rbd.sh CONFORMANCE [PART...]	CONFORMANCE is the suite's program; parts: see below
set -euo pipefail
# The parts run in a network namespace of their own; the cluster has to be in the same.
# shellcheck source=../netns.sh
. "$(dirname "$0")/../netns.sh" "$@"
here=$(cd "$(dirname "$0")" && pwd)
conformance=$1
shift
parts=("$@")
[ $# -gt 0 ] || parts=(conformance refused shut-out durable use away)

tmp=$(mktemp -d "${TMPDIR:-/tmp}/uvdpa-ceph.XXXXXX")
end() {
	trap - EXIT
	"$here/mini-ceph.sh" stop "$tmp"
	rm -rf "$tmp"
}
trap end EXIT
trap 'exit 1' INT TERM

"$here/mini-ceph.sh" start "$tmp" || exit
export UVDPA_TEST_CEPH=$tmp/ceph.conf CEPH_CONF=$tmp/ceph.conf

rc=0 skipped=()
for part in "${parts[@]}"; do
	begin=$SECONDS r=0
	if [ "$part" = conformance ]; then
		"$conformance" 'rbd ' || r=$?
	else
		"$here/$part.sh" >"$tmp/$part.out" 2>&1 || r=$?
	fi
	case $r in
	0)	;;
	77)	skipped+=("$part: $(tail -n 1 "$tmp/$part.out")") ;;
	*)	rc=1
		[ "$part" = conformance ] || cat "$tmp/$part.out"
		tail -n 5 "$tmp"/*.out ;;
	esac
	echo "$part: status $r, $((SECONDS - begin)) s"
done
[ $rc = 0 ] || exit 1
[ ${#skipped[@]} = 0 ] || { printf '%s\n' "${skipped[@]}"; exit 77; }
