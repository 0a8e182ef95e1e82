#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The manual pages are complete: every option of each parent and driver is in its page, and nothing is there
# that does not exist. Those of section 3: man3.sh.
#
# usage: manuals.sh SOURCE COMMAND DAEMON
set -euo pipefail
source=$1 command=$2 daemon=$3
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

# ---- every option of the programs
# program PROGRAM PAGE
program() {
	local words word

	words=$("$1" --help | grep -oE -- '--[a-z-]+')
	[ "$(wc -l <<<"$words")" -gt 5 ] || lacks "$1" "no --help"
	for word in $words; do
		grep -qE "^\*.*\*$word\*|^\*$word\*" "$2" || lacks "$2" "no $word"
	done
}
program "$command" "$source/doc/uvdpa.1.scd"
program "$daemon" "$source/doc/uvdpad.8.scd"

# ---- what is shown is what is typed, and who is referred to is there
for page in "$source"/doc/*.scd; do
	# Of one backslash at the end of a line scdoc leaves nothing.
	awk -v page="$page" '/^```$/ { shown = !shown } shown && /(^|[^\\])\\$/ { print page ": one backslash: " $0; n++ }
		END { exit n > 0 }' "$page" || bad=1
	while read -r name; do
		[ -e "$source/doc/$name.scd" ] || lacks "$page" "there is no $name"
	done < <(grep -oE '\*(uvdpa|nbdkit-uvdpa)[a-z.-]*\*\([1-8]\)' "$page" | sed -E 's/\*(.*)\*\((.)\)/\1.\2/' | sort -u)
done
exit $bad
