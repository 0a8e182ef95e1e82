#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The control protocol is described as it is: each method, its parameters, each event and each error is in
# doc/control-protocol.md and in the schema, and nothing is there that does not exist.
set -euo pipefail
cd "$1"
bad=0

# same WHAT < TWO LISTS: the first is the source's
same() {
	diff -u --label "$1 in the source" --label "$1 in $4" <(sort -u <<<"$2") <(sort -u <<<"$3") || bad=1
}
schema() {
	jq -r ".\"\$defs\"$1" doc/control-protocol.schema.json
}
# The first column of the tables below a headline, without what is no code.
column() {
	sed -n "/^##* $1\$/,/^##* /s/^| \`*\([^|\` ]*\)\`* |.*/\1/p" doc/control-protocol.md |
		grep -vx -e '---' -e "$2" || true
}

methods=$(sed -n '/^static const struct method methods/,/^};/s/^\t{ "\([a-z.]*\)",.*/\1/p' src/control/method.c)
[ "$(wc -l <<<"$methods")" -ge 16 ] || { echo "hardly any methods found"; exit 1; }
same methods "$methods" "$(schema '.results | keys[]')" "the schema's results"
same methods "$methods" "$(schema '.params | keys[]')" "the schema's params"
same methods "$methods" "$(schema '.request.properties.method.enum[]')" "the schema's requests"
same methods "$methods" "$(column Methods method)" "the document"
same methods "$methods" "$(column 'Errors of the methods' method)" "the document's errors"

events=$(grep -o '\[UVDPA_DEV_[A-Z]*\] = "[a-z]*"' src/uvdpad/events.c | cut -d '"' -f 2)
same events "$events" "$(schema '.happened.anyOf[].properties.event.const')" "the schema"
same events "$events" "$(column Events event)" "the document"

codes=$(sed -n 's/^\tVD_RPC_[A-Z_]* = \(-[0-9]*\),.*/\1/p' src/control/control.h)
same errors "$codes" "$(schema '.error.properties.code.enum[]')" "the schema"
same errors "$codes" "$(column Errors code)" "the document"
exit $bad
