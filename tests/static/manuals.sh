#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The manual pages are complete: every option of each parent and driver is in its page, and nothing is there
# that does not exist. Those of section 3: man3.sh.
#
# usage: manuals.sh SOURCE COMMAND
set -euo pipefail
source=$1 command=$2
bad=0

lacks() {
	echo "$1: $2"
	bad=1
}

# ---- options
# options KIND: the name of each parent or driver, and its keys, a line for each
options() {
	"$command" -j "$1" help |
		jq -r --arg kind "$1" '.[$kind] | to_entries[] | [.key, (.value.options | keys_unsorted[])] | @tsv'
}
# check KIND WORD
check() {
	local name page pages common key keys

	while read -r name keys; do
		page=$source/doc/uvdpa-$2-$name.7.scd
		[ -e "$page" ] || { lacks "$page" "is missing"; continue; }
		pages=("$page")
		# What several have in common stands in one page.
		common=$(sed -nE 's/^And what every .* has: \*(uvdpa-[a-z]+)\*\(7\).*/\1/p' "$page")
		[ -z "$common" ] || pages+=("$source/doc/$common.7.scd")
		for key in $keys; do
			grep -q "^\*$key\* _" "${pages[@]}" || lacks "$page" "no option $key"
		done
		while read -r key; do
			[[ " $keys " = *[[:space:]]"$key"[[:space:]]* ]] ||
				lacks "$page" "option $key does not exist"
		done < <(sed -nE '/^# WHAT CAN BE SET/,$d; s/^\*([a-z0-9_]+)\* _.*/\1/p' "${pages[@]}")
	done < <(options "$1")
}
check mgmtdev parent
check driver driver

# ---- every word that the command's help has
words=$("$command" dev help | grep -oE 'uvdpa dev [a-z]+( show)?' | sort -u | cut -d' ' -f3-)
[ -n "$words" ] || lacks "$command" "no help"
while read -r word; do
	grep -qE "^\*dev $word( name)?\*" "$source/doc/uvdpa.1.scd" || lacks uvdpa.1.scd "no dev $word"
done <<<"$words"
words=$("$command" blk help | sed -nE 's/.*uvdpa blk ([a-z]+) .*/\1/p')
[ "$(wc -w <<<"$words")" -gt 5 ] || lacks "$command" "no blk help"
for word in $words; do
	grep -qE "^\*$word\* _DISK_|^\*$word\* _FROM_" "$source/doc/uvdpa-blk.1.scd" || lacks uvdpa-blk.1.scd "no $word"
done
words=$("$command" rng help | sed -nE 's/.*uvdpa rng ([a-z]+) .*/\1/p')
[ -n "$words" ] || lacks "$command" "no rng help"
for word in $words; do
	grep -qE "^\*$word\* _DEV_" "$source/doc/uvdpa-rng.1.scd" || lacks uvdpa-rng.1.scd "no $word"
done
exit $bad
