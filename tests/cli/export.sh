#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What a device was made with can be read back, and makes the same device again.
. "$(dirname "$0")/cli.sh"

daemon_start
truncate -s 1M "$tmp/img"

# exported - what dev.export has of d0
exported() {
	rpc '{"jsonrpc":"2.0","method":"dev.export","params":{"name":"d0"},"id":1}' | jq -c .result.export.d0
}

# again - Take d0 away and make it of what was exported: the same again.
again() {
	local before
	before=$(exported)
	uvdpa dev del d0
	rpc "{\"jsonrpc\":\"2.0\",\"method\":\"dev.add\",\"params\":$before,\"id\":1}" | jq -e .result >/dev/null ||
		fail "not taken: $before"
	same "$before" "$(exported)"
}

# ---- as it was written, in that order; what was not written is not there
uvdpa dev add name d0 mgmtdev blk image "$tmp/img" bps 010M readonly yes driver vhost-user socket "$tmp/d0.sock"
same "{\"name\":\"d0\",\"mgmtdev\":\"blk\",\"attrs\":{\"image\":\"$tmp/img\",\"bps\":\"010M\",\"readonly\":\"yes\"},\
\"driver\":\"vhost-user\",\"driver_attrs\":{\"socket\":\"$tmp/d0.sock\"}}" "$(exported)"
again

# ---- what was set since is what it has now; what a moment's command did is not kept
uvdpa dev set d0 bps 5M iops 7
same '["5M","7",null]' "$(exported | jq -c '[.attrs.bps, .attrs.iops, .attrs.size]')"
again
same 5242880 "$(json .dev.d0.bps dev show)"

# ---- the driver that has it now
uvdpa dev bind d0 vhost-user socket "$tmp/d1.sock"
same "{\"socket\":\"$tmp/d1.sock\"}" "$(exported | jq -c .driver_attrs)"
uvdpa dev override d0 none
again	# bound, as it was, to one that it may not be given to again
[ -S "$tmp/d1.sock" ] || fail "not bound"
refused none uvdpa dev bind d0 vhost-user socket "$tmp/d2.sock"
uvdpa dev unbind d0
same '[null,null,"none"]' "$(exported | jq -c '[.driver, .driver_attrs, .driver_override]')"
again
uvdpa dev del d0

# ---- a size that lasts as long as the device, a mask of features, another type
uvdpa dev add name d0 mgmtdev sim-blk device_features 0x100000000 capacity 1M capacity_max 4M
uvdpa dev set d0 size 2M
uvdpa dev set d0 size 0 # look what the store has: nothing new
same '["0x100000000","2M"]' "$(exported | jq -c '[.features, .attrs.capacity]')"
again
same 2097152 "$(json .dev.d0.size dev show)"
uvdpa dev del d0
uvdpa dev add name d0 mgmtdev sim-net mac 52:54:00:00:00:01
uvdpa dev set d0 mac 52:54:00:00:00:02 link off announce on
same '{"mac":"52:54:00:00:00:02","link":"off"}' "$(exported | jq -c .attrs)"
again

# ---- all of them
uvdpa dev add name d1 mgmtdev sim-net
same '["d0","d1"]' "$(rpc '{"jsonrpc":"2.0","method":"dev.export","id":1}' | jq -c '.result.export | keys')"

# ---- the command prints lines that make the same devices again, with -b and one by one
truncate -s 1M "$tmp/a disk's \"image\" \\1.img"
uvdpa dev del d0
uvdpa dev del d1
uvdpa dev add name d0 mgmtdev blk image "$tmp/a disk's \"image\" \\1.img" serial '#1' iops 5 device_features 100000204 \
	driver vhost-user socket "$tmp/a b.sock"
# "dev show" has its options in the same words.
words=$(uvdpa dev show d0 | sed -n 's/^  attrs //p')
[[ $(uvdpa dev export d0) = *" $words driver "* ]] || fail "attrs $words"
uvdpa dev add name n0 mgmtdev sim-net mac 52:54:00:12:34:56
uvdpa override n0 none
uvdpa dev set n0 mac 52:54:00:12:34:57
uvdpa dev add name c0 mgmtdev console port "pty:$tmp/tty"
uvdpa dev export >"$tmp/lines"
same 4 "$(wc -l <"$tmp/lines")" lines
same "$(grep ' c0 ' "$tmp/lines")" "$(uvdpa dev export c0)"
uvdpa dev export -j | jq -e '.export | keys == ["c0", "d0", "n0"]' >/dev/null
cp "$tmp/lines" "$tmp/before"
remake() {
	for name in d0 n0 c0; do
		uvdpa dev del "$name"
	done
	same '' "$(uvdpa dev export)"
	"$@"
	uvdpa dev export | cmp - "$tmp/before"
}
remake uvdpa -b "$tmp/lines"
uvdpa -b - <"$tmp/lines" 2>"$tmp/err" && fail "made twice"
same "Error: uvdpa: name d0 is taken.
uvdpad answers: File exists
Command failed -:1" "$(cat "$tmp/err")"
as_shell() {
	sed "s|^|'$UVDPA' -s '$ctl' |" "$tmp/lines" | sh -e
}
remake as_shell

# 1,000 lines take no longer than their devices.
seq 1000 | sed "s|.*|dev add name m& mgmtdev sim-blk capacity 64K|" >"$tmp/many"
in_time 20000 uvdpa -b "$tmp/many"
same 1000 "$(uvdpa dev export | grep -c " name m")"

# Other commands may stand there, and what is no command is named by its line.
# shellcheck disable=SC1003 # it is one
printf '%s\n' '# two' '' 'd s \' '  d0 -j' 'dev set n0 link off' '' 'dev sho' "bind 'd0" >"$tmp/lines"
refused "^Command failed $tmp/lines:8$" uvdpa -b "$tmp/lines"
grep -q 'a quote . is not closed' "$tmp/refused.err"
[ "$(grep -c '^{"dev":{"d0":' "$tmp/refused.out")" = 1 ] || fail "$(cat "$tmp/refused.out")"
grep -q '^n0: ' "$tmp/refused.out"
refused 'Command "nothing" not found' uvdpa -b - <<<'dev nothing'
refused 'none: No such file or directory\.$' uvdpa -b "$tmp/none"
refused 'Is a directory' uvdpa -b "$tmp"
refused 'what is "dev"\?$' uvdpa -b "$tmp/lines" dev show
