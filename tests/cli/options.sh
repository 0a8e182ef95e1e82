#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Every option of every parent and bus driver, with right and wrong values, as its table has it.
. "$(dirname "$0")/cli.sh"

daemon_start
truncate -s 1M "$tmp/file"

# A value that is right where something is required.
right() {
	case $1 in
	image) echo "$tmp/file" ;;
	socket) echo "$tmp/o.sock" ;;
	type) echo net ;;
	port) echo null ;;
	role) echo card ;;
	link) echo "unix-listen:$tmp/o.fifo" ;;
	*) echo "$2" ;;
	esac
}

# attempt WORDS... - make a device with what is under test
attempt() {
	uvdpa dev add name o mgmtdev "$@"
}

# accepted WORDS...
accepted() {
	attempt "$@" || fail "refused: $*"
	uvdpa dev del o
	n_right=$((n_right + 1))
}

# wrong KEY WORDS... - refused with a sentence that names the key
wrong() {
	local key=$1

	shift
	refused "$key" attempt "$@"
	n_wrong=$((n_wrong + 1))
}

# goes_with KEY VALUE - what else must be said for it to be right
goes_with() {
	case $1=$2 in
	pin_memory=on | pin_memory=true | pin_memory=yes | pin_memory=1) echo cache none engine io_uring ;;
	esac
}

# What a right value needs of this system, which it may not have.
direct=1
dd if=/dev/zero of="$tmp/file" bs=4096 count=1 oflag=direct conv=notrunc status=none 2>/dev/null || direct=0

# wrong_values OPTION - values that its type and limits exclude, one in each line
wrong_values() {
	jq -r '
		if .type == "bool" then "maybe", "2", "", "ON "
		elif .type == "enum" then "nothing-of-that-name", ""
		elif .type == "uint" or .type == "size" then
			"x", "", "-1", "1.5", "1 ", " 1", "0x", "18446744073709551616",
			(if .type == "uint" then "1K" else "1Q", "1KK", "16777216T" end),
			(if .max and .max < 9007199254740992 then .max + 1 | tostring else empty end),
			(if .min > 0 then .min - 1 | tostring else empty end)
		else empty end' <<<"$1"
}

# Values that are surely right, beside the default.
right_values() {
	jq -r '
		if .type == "bool" then "on", "off", "true", "false", "yes", "no", "1", "0"
		elif .type == "enum" then .choices[]
		else empty end, (.default // empty)' <<<"$1"
}

# one_table FILTER BEFORE... - the options that FILTER finds; BEFORE are the words in front of them
one_table() {
	local filter=$1 key option value works=1
	local -a required=() before more

	shift
	before=("$@")
	jq -c "$filter | to_entries[]" "$tmp/tables" >"$tmp/options"
	while read -r entry; do
		key=$(jq -r .key <<<"$entry")
		option=$(jq -c .value <<<"$entry")
		jq -e '(.help | length > 0) and (.help | endswith(".") | not)' <<<"$option" >/dev/null ||
			fail "$key: help"
		case $key in
		n | na | nam | name | m | mg | mgm | mgmt | mgmtd | mgmtde | mgmtdev | driver | device_features) fail "option $key cannot be written" ;;
		esac
		[ "$(jq .required <<<"$option")" = false ] ||
			required+=("$key" "$(right "$key" x)")
	done <"$tmp/options"

	# What is required by the table may not suffice (a server that is not there): then right
	# values cannot be shown to work, wrong ones can all the same.
	if attempt "${before[@]}" "${required[@]}" 2>"$tmp/why"; then
		uvdpa dev del o
	else
		works=0
		echo "${before[*]}: only wrong values: $(cat "$tmp/why")"
	fi
	wrong no-such-option "${before[@]}" "${required[@]}" no-such-option 1
	while read -r entry; do
		key=$(jq -r .key <<<"$entry")
		option=$(jq -c .value <<<"$entry")
		others=()
		for ((i = 0; i < ${#required[@]}; i += 2)); do
			[ "${required[i]}" = "$key" ] || others+=("${required[@]:i:2}")
		done
		if [ "$(jq .required <<<"$option")" = true ]; then
			wrong "$key" "${before[@]}" "${others[@]}"
		fi
		while IFS= read -r value; do
			wrong "$key" "${before[@]}" "${others[@]}" "$key" "$value"
		done < <(wrong_values "$option")
		same '{"dev":{}}' "$(uvdpa -j dev show)" "after wrong values of $key"
		[ "$works" = 1 ] || continue
		while IFS= read -r value; do
			read -ra more < <(goes_with "$key" "$value") || true
			if [ $direct = 0 ] && [[ " $key $value ${more[*]} " == *" cache none "* ]]; then
				continue
			fi
			accepted "${before[@]}" "${others[@]}" "$key" "$value" "${more[@]}"
		done < <(right_values "$option")
	done <"$tmp/options"
}

n_right=0 n_wrong=0
uvdpa -j mgmtdev show >"$tmp/parents"
uvdpa -j driver show >"$tmp/drivers"
cp "$tmp/parents" "$tmp/tables"
for name in $(jq -r '.mgmtdev|keys[]' "$tmp/parents"); do
	one_table ".mgmtdev[\"$name\"].options" "$name"
done
cp "$tmp/drivers" "$tmp/tables"
for name in $(jq -r '.driver|keys[]' "$tmp/drivers"); do
	one_table ".driver[\"$name\"].options" sim-blk driver "$name"
done

# ---- what can be set while a device is there
# refused_set KEY VALUE [OTHER...], taken KEY VALUE [OTHER...]
refused_set() {
	refused "$1" uvdpa dev set o "$@"
	n_wrong=$((n_wrong + 1))
}
taken() {
	uvdpa dev set o "$@" || fail "refused: $*"
	n_right=$((n_right + 1))
}
for parent in sim-blk sim-net; do
	attempt "$parent"
	rpc '{"jsonrpc":"2.0","id":1,"method":"dev.settable","params":{"name":"o"}}' |
		jq -c '.result.settable.o.options | to_entries[]' >"$tmp/options"
	[ "$(wc -l <"$tmp/options")" -gt 3 ] || fail "$parent: what can be set"
	was=$(uvdpa -j dev show o)
	refused_set no-such-option 1
	while read -r entry; do
		key=$(jq -r .key <<<"$entry")
		option=$(jq -c .value <<<"$entry")
		uvdpa dev set o help | grep -q "^  $key " || fail "no help of $key"
		refused "\"$key\" needs a value|usage" uvdpa dev set o "$key"
		more=()
		[ "$key" != shrink ] || more=(size 1M)
		while IFS= read -r value; do
			refused_set "$key" "$value" "${more[@]}"
		done < <(wrong_values "$option")
		same "$was" "$(uvdpa -j dev show o)" "after wrong values of $key"
	done <"$tmp/options"
	while read -r entry; do
		key=$(jq -r .key <<<"$entry")
		more=()
		[ "$key" != shrink ] || more=(size 128M)
		while IFS= read -r value; do
			taken "$key" "$value" "${more[@]}"
		done < <(right_values "$(jq -c .value <<<"$entry")")
	done <"$tmp/options"
	uvdpa dev del o
done

echo "$n_right right values, $n_wrong wrong ones"
[ "$n_right" -gt 10 ]
[ "$n_wrong" -gt 30 ]
