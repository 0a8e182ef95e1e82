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
	# Two rows, and what the files of one share.
	mkdir -p "$tmp/t/src/parent"
	cat >"$tmp/t/src/parent/meson.build" <<-'ROWS'
	parents += {'a': files('a.c',
	                       'a-more.c') + (x ? files('a-x.c') : [])}
	parents += {'b': files('b.c')}
	ROWS
	echo '#include "parent/a.h"' >"$tmp/t/src/parent/a-x.c"
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
breach src/parent/a.c '"virtio/blk.h"'
breach src/parent/a.c '"driver/virtio.h"'
breach src/parent/b.c '"parent/a.h"'
breach src/driver/virtio.c '"softdev/softdev.h"'
breach src/uvdpad/main.c '"core/core.h"'
breach src/novel/a.c '<stdio.h>'
breach src/core/bus.c '"bus.h"'
breach include/uvdpa/a.h '"base/err.h"'
breach examples/a.c '"base/err.h"'
fine src/parent/a.c '"softdev/blk.h"'
fine src/parent/a-more.c '"parent/a.h"'
fine src/parent/b.c '"parent/b.h"'
fine src/uvdpad/main.c '"control/control.h"'
fine src/core/core-test.c '"parent/blk-image.h"'
fine examples/a.c '<uvdpa/blk.h>'
