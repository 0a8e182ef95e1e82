# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# lib.sh - for the tests on a cluster of Ceph, which rbd.sh starts
# shellcheck source=../cli/cli.sh
. "$(dirname "${BASH_SOURCE[0]}")/../cli/cli.sh"
[ -n "${UVDPA_TEST_CEPH:-}" ] || skip "no cluster of Ceph: begin it by rbd.sh"
need rbd

mini_ceph() {
	"$tests/rbd/mini-ceph.sh" "$1" "$(dirname "$UVDPA_TEST_CEPH")"
}

# image NAME SIZE [OPTION...]
image() {
	local name=$1 size=$2

	shift 2
	[[ $* = *--image-feature* ]] || set -- "$@" --image-feature layering,exclusive-lock
	timeout 30 rbd create "$name" --size "$size" "$@"
}

# rbd_add NAME IMAGE [KEY VALUE...]: a disk, and with "driver ..." somebody who has it
rbd_add() {
	local name=$1 image=$2

	shift 2
	uvdpa dev add name "$name" mgmtdev rbd image "$image" conf "$UVDPA_TEST_CEPH" "$@"
}

# vm_add NAME IMAGE [KEY VALUE...]: a disk for VMs at $tmp/NAME.sock
vm_add() {
	rbd_add "$@" driver vhost-user socket "$tmp/$1.sock"
}
