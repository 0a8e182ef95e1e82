#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The control socket's protocol: each error, each limit, and bytes in any pieces.
. "$(dirname "$0")/cli.sh"

daemon_start

# answers FILTER WANTED LINE - what jq's FILTER finds in the one answer to LINE
answers() {
	same "$2" "$(rpc "$3" | jq -rc "$1")" "$3"
}

version='"jsonrpc":"2.0","method":"version"'

# ---- the id comes back as it was sent; without one there is no answer
answers '[.jsonrpc, .id, .result.protocol]' '["2.0",1,1]' "{$version,\"id\":1}"
answers .id 'a"b' "{$version,\"id\":\"a\\\"b\"}"
answers .id -5 "{$version,\"id\":-5}"
answers .id null "{$version,\"id\":null}"
answers .id 1.5 "{$version,\"id\":1.5}"
answers .id '\u0000' "{$version,\"id\":\"\\\\u0000\"}"
same '' "$(rpc "{$version}")"
rpc '{"jsonrpc":"2.0","method":"dev.add","params":{"name":"quiet","mgmtdev":"sim-blk","attrs":{"capacity":"1M"}}}'
same quiet "$(json '.dev|keys[0]' dev show)"
uvdpa dev del quiet

# ---- what is not JSON
for line in '{' '}' '{"a":}' 'garbage' '{"a":1}x' "{$version,\"id\":1}{}" '[1,]' '"open' \
	'[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]' $'"\xff"' '{"a":1,}' 'nul' '{"a":1' \
	$'"\xc0\xaf"' $'"\xed\xa0\x80"'; do
	answers '[.error.code, .id]' '[-32700,null]' "$line"
done
printf '{"jsonrpc":"2.0",\0"method":"version","id":1}\n' | socat -t 5 - "UNIX-CONNECT:$ctl" |
	jq -e '.error.code == -32700' >/dev/null
head -c 100000 /dev/urandom | tr '\n' ' ' >"$tmp/noise"
echo >>"$tmp/noise"
socat -t 5 - "UNIX-CONNECT:$ctl" <"$tmp/noise" | jq -e '.error.code == -32700' >/dev/null

# ---- JSON that is no request
for line in '[]' "[{$version,\"id\":1}]" '"x"' '{}' '{"jsonrpc":"1.0","method":"version","id":1}' \
	'{"jsonrpc":2.0,"method":"version","id":1}' '{"jsonrpc":"2.0","id":1}' \
	'{"jsonrpc":"2.0","method":1,"id":1}' "{$version,\"id\":[1]}" "{$version,\"id\":{}}" \
	"{$version,\"id\":true}" 1 null "{$version,\"id\":NaN}" "{$version,\"id\":-Infinity}" \
	"{$version,\"id\":1e999}" "{$version,\"id\":18446744073709551616}" \
	"{$version,\"id\":-9223372036854775809}" "{$version,\"id\":\"a\\u0000\"}" \
	'{"jsonrpc":"2.0","method":"version\u0000x","id":1}' \
	'{"jsonrpc":"2.0","method":"dev.show","params":{"name\u0000":"d0"},"id":1}'; do
	answers .error.code -32600 "$line"
done
answers .error.code -32601 '{"jsonrpc":"2.0","method":"dev.explode","id":1}'

# ---- parameters
# bad_params METHOD PARAMS PATTERN
bad_params() {
	rpc "{\"jsonrpc\":\"2.0\",\"method\":\"$1\",\"params\":$2,\"id\":1}" >"$tmp/out"
	jq -e '.error.code == -32602' "$tmp/out" >/dev/null || fail "$1 $2: $(cat "$tmp/out")"
	jq -r .error.message "$tmp/out" | grep -Eq -- "$3" || fail "$1 $2: $(cat "$tmp/out")"
}
bad_params dev.show '[]' 'not an object'
bad_params dev.show '"d0"' 'not an object'
bad_params dev.show '{"name":1}' 'not a string'
bad_params dev.show '{"name":null}' 'not a string'
bad_params dev.show '{"label":"d0"}' 'no parameter "label"'
bad_params dev.del '{}' '"name" is missing'
bad_params dev.add '{"name":"d0"}' '"mgmtdev" is missing'
bad_params dev.add '{"name":"d0","mgmtdev":"sim-blk","attrs":[]}' 'not an object'
bad_params dev.add '{"name":"d0","mgmtdev":"sim-blk","attrs":{"capacity":1}}' 'value of "capacity"'
bad_params dev.add '{"name":"d0","mgmtdev":"sim-blk","features":1}' '64 bits'
for bits in '' x -1 ' 1' 0x 1x 0x1g 18446744073709551616; do
	bad_params dev.add "{\"name\":\"d0\",\"mgmtdev\":\"sim-blk\",\"features\":\"$bits\"}" '64 bits'
done
bad_params dev.vstats.show '{"name":"d0","qidx":-1}' '0 to 65535'
bad_params dev.vstats.show '{"name":"d0","qidx":4294967296}' '0 to 65535'
bad_params dev.vstats.show '{"name":"d0","qidx":"0"}' '0 to 65535'
bad_params events.subscribe '{"since":9223372036854775808}' '0 to 9223372036854775807'

# ---- an operation that fails: its errno as a number and by name
answers '[.error.code, .error.data.errno, .error.data.name]' '[-32000,-19,"ENODEV"]' \
	'{"jsonrpc":"2.0","method":"dev.del","params":{"name":"d0"},"id":1}'
answers '[.error.code, .error.data.name]' '[-32000,"EINVAL"]' \
	'{"jsonrpc":"2.0","method":"dev.add","params":{"name":"d0","mgmtdev":"sim-blk","driver_attrs":{}},"id":1}'

# ---- bytes in any pieces: one at a time, many requests at once, empty lines, CR LF
line="{$version,\"id\":7}"
{
	for ((i = 0; i < ${#line}; i++)); do
		printf %s "${line:i:1}"
		sleep 0.002
	done
	echo
} | socat -t 5 - "UNIX-CONNECT:$ctl" | jq -e '.id == 7' >/dev/null
same 7 "$(printf '\r\n\n  \n%s\r\n' "$line" | socat -t 5 - "UNIX-CONNECT:$ctl" | jq .id)"
for i in {1..2000}; do
	echo "{$version,\"id\":$i}"
done >"$tmp/many"
socat -t 5 - "UNIX-CONNECT:$ctl" <"$tmp/many" | jq .id | cmp - <(seq 2000)

# A request without its newline is none, not even if it is whole.
same '' "$(printf %s "$line" | socat -t 5 - "UNIX-CONNECT:$ctl")"

# ---- length: 1 MiB with the newline is taken, one byte more is not; what follows is
pad() {
	printf '{%s,"id":1,"x":"' "$version"
	head -c $(($1 - 3 - ${#version} - 14)) /dev/zero | tr '\0' x
	printf '"}\n'
}
pad 1048576 >"$tmp/longest"
same 1048576 "$(stat -c %s "$tmp/longest")"
socat -t 5 - "UNIX-CONNECT:$ctl" <"$tmp/longest" | jq -e '.result.protocol == 1' >/dev/null
{ pad 1048577; echo "$line"; } >"$tmp/longer"
same '[-32600,null] [null,7]' "$(socat -t 5 - "UNIX-CONNECT:$ctl" <"$tmp/longer" |
	jq -c '[.error.code, .id]' | paste -sd ' ')"
# The end of a line that was too long is no request of its own.
{ head -c 3000000 /dev/zero | tr '\0' ' '; echo "$line"; echo "$line"; } >"$tmp/longer"
same '[-32600,null] [null,7]' "$(socat -t 5 - "UNIX-CONNECT:$ctl" <"$tmp/longer" |
	jq -c '[.error.code, .id]' | paste -sd ' ')"

uvdpa dev show
