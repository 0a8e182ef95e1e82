#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The model of notification suppression holds, and fails when a barrier or a look is left out.
#
# usage: model.sh SOURCE
set -euo pipefail
command -v spin >/dev/null || { echo "no spin"; exit 77; }
model=$(realpath "$1")/src/virtq/model/notify.pml
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"

# errors [-DNAME]: how many the search finds
errors() {
	spin -a "$@" "$model" >spin.log || { cat spin.log >&2; exit 1; }
	"${CC:-cc}" -O1 -w -DSAFETY -o pan pan.c
	./pan | sed -n 's/.*errors: \([0-9]*\).*/\1/p'
}

[ "$(errors)" = 0 ] || { echo "a request is not served"; exit 1; }
for without in RELEASE_C RELEASE_D NO_RECHECK; do
	[ "$(errors "-D$without")" = 1 ] || { echo "$without is not noticed"; exit 1; }
done
