#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The manual pages are complete: every function that the library exports is in uvdpa(3), every option of
# each parent and driver in its page, and nothing is there that does not exist.
#
# usage: manuals.sh SOURCE LIBRARY COMMAND
set -euo pipefail
source=$1 library=$2 command=$3
bad=0

lacks() {
	echo "$1: $2"
	bad=1
}

# ---- functions
page=$source/doc/uvdpa.3.scd
exported=$(nm -D --defined-only "$library" | awk '$2 ~ /[TDR]/ { sub(/@.*/, "", $3); print $3 }')
[ "$(wc -w <<<"$exported")" -gt 40 ] || lacks "$library" "exports hardly anything"
for name in $exported; do
	grep -q "\*$name\*()" "$page" || lacks "$page" "no $name"
done
for name in $(grep -oE '\*uvdpa_[a-z0-9_]+\*\(\)' "$page" | tr -d '*()' | sort -u); do
	grep -q "\b$name(" "$source"/include/uvdpa/*.h || lacks "$page" "$name is in no header"
done

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
