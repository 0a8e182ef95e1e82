# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# file.sh - what every test of a disk as a file begins with
# shellcheck source=../mounts.sh
. "$(dirname "${BASH_SOURCE[0]}")/../mounts.sh"
# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
[ -w /dev/fuse ] || skip "/dev/fuse cannot be opened"

# file_add NAME IMAGE [OPTION VALUE...]: of the bus driver; the disk is the file $tmp/NAME
file_add() {
	local name=$1 image=$2

	shift 2
	uvdpa dev add name "$name" mgmtdev blk image "$image" driver virtio file "$tmp/$name" "$@"
}

# Nothing may wait for ever, whatever goes wrong with the file.
bounded() { timeout 30 "$@"; }
