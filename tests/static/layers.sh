#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The tree keeps to its layers, and the script that says so sees a breach of each kind.
set -euo pipefail
top=$1

"$top/scripts/check-layers" "$top"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# breach FILE INCLUDE: a tree with nothing but this line is refused
# fine FILE INCLUDE: and with this one it is not
try() {
	rm -rf "$tmp/t"
	mkdir -p "$tmp/t"/{src,include,examples} "$(dirname "$tmp/t/$1")"
	echo "#include $2" >"$tmp/t/$1"
	"$top/scripts/check-layers" "$tmp/t" >"$tmp/out"
}

breach() {
	if try "$1" "$2"; then
		echo "not seen: $1 includes $2"
		exit 1
	fi
	grep -q "^$1:1: " "$tmp/out"
}

fine() {
	try "$1" "$2" || { cat "$tmp/out"; exit 1; }
}

breach src/base/a.c '"core/core.h"'
breach src/virtio/blk.c '"core/core.h"'
breach src/wire/a.h '"mem/mem.h"'
breach src/parent/blk-image.c '"virtio/blk.h"'
breach src/parent/blk-image.c '"driver/virtio.h"'
breach src/parent/blk-image.c '"parent/net-tap.h"'
breach src/driver/virtio.c '"driver/vduse.h"'
breach src/driver/virtio.c '"softdev/softdev.h"'
breach src/uvdpad/main.c '"core/core.h"'
breach src/novel/a.c '<stdio.h>'
breach src/core/bus.c '"bus.h"'
breach include/uvdpa/a.h '"base/err.h"'
breach examples/a.c '"base/err.h"'
fine src/parent/blk-image.c '"softdev/blk.h"'
fine src/driver/vhost-user-ring.c '"driver/vhost-user.h"'
fine src/core/core-test.c '"parent/blk-image.h"'
fine examples/a.c '<uvdpa/blk.h>'
