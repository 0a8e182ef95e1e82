#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The command when the daemon, its socket or the output is not as it should be: a sentence, and status 1.
. "$(dirname "$0")/cli.sh"

# ---- sockets
sock=$tmp/s
at() { "$UVDPA" -s "$sock" "$@"; }
refused "cannot reach uvdpad at $sock: No such file or directory; is it running\? \(uvdpad --socket $sock\)\.$" at dev show
: >"$sock"
refused "cannot reach uvdpad at $sock: Connection refused; is it running" at dev show
rm "$sock"
mkdir "$sock"
refused "cannot reach uvdpad at $sock: Connection refused" at dev show
rmdir "$sock"
refused "cannot reach uvdpad at $sock/s: No such file" "$UVDPA" -s "$sock/s" dev show
: >"$sock"
refused "cannot reach uvdpad at $sock/s: Not a directory\.$" "$UVDPA" -s "$sock/s" dev show
rm "$sock"
refused '1 to 107 bytes' "$UVDPA" -s '' dev show
background socat -u "UNIX-RECV:$sock" /dev/null
wait_for 10 test -S "$sock"
refused "cannot reach uvdpad at $sock: Protocol wrong type for socket" at dev show

daemon_start
chmod 711 "$tmp"
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	# The program itself may be where others may not look.
	cp "$UVDPA" "$tmp/uvdpa"
	mkdir "$tmp/lib"
	cp "$(ldd "$UVDPA" | awk '/libuvdpa/ { print $3 }')" "$tmp/lib"
	chmod -R a+rX "$tmp/uvdpa" "$tmp/lib"
	refused "cannot reach uvdpad at $ctl: Permission denied" env LD_LIBRARY_PATH="$tmp/lib" \
		setpriv --reuid 65534 --clear-groups "$tmp/uvdpa" -s "$ctl" dev show
fi

# ---- answers
# serve COMMAND - what stands at the socket does it for each client
serving=''
serve() {
	[ -z "$serving" ] || { kill "$serving"; wait "$serving" || true; }
	rm -f "$tmp/fake"
	echo "read -r line; $1" >"$tmp/answer"
	socat "UNIX-LISTEN:$tmp/fake,fork" "SYSTEM:sh $tmp/answer" 2>/dev/null &
	serving=$!
	pids+=("$serving")
	wait_for 10 test -S "$tmp/fake"
}
# answer TEXT
answer() {
	echo "$1" >"$tmp/text"
	serve "cat $tmp/text"
}
fake() { "$UVDPA" -s "$tmp/fake" "$@"; }
serve 'exit 0'
refused 'uvdpad closed the connection: no answer\.$' fake dev show
answer '{"jsonrpc":"2.0","id":1,"result":{"dev":{"d0":{"type":'
refused 'uvdpad closed the connection: no answer\.$' fake dev show
refused 'uvdpad closed the connection: no answer\.$' fake dev add name d0 mgmtdev sim-blk
answer 'HTTP/1.1 400 Bad Request'
refused "uvdpad's answer is not JSON\.$" fake dev show
for text in '[1,2]' '{"id":1}' '{"id":1,"error":7}' '{"id":1,"error":{"message":7}}' null 7; do
	answer "$text"
	refused "uvdpad's answer (has neither result nor error|is not JSON)\.$" fake dev show
done
for result in 7 null '[]' '{}' '{"dev":7}' '{"dev":{"d0":7}}' '{"dev":{"d0":{"type":null}}}' \
	'{"vstats":{"d0":{"queues":7}}}' '{"vstats":{"d0":{"queues":[7]}}}' '{"mgmtdev":{"a":{"options":7}}}' \
	'{"settable":{"d0":{"options":7}}}' '{"settable":{"d0":{"options":{"x":7}}}}' '{"export":{"d0":7}}'; do
	answer "{\"id\":1,\"result\":$result}"
	for words in 'dev show' 'dev show -j' 'mgmtdev show' 'dev vstats show d0' 'describe' \
		'dev config show' 'dev set d0 help' 'complete -- dev del x' 'complete -- dev set d0 x'; do
		rc=0
		# shellcheck disable=SC2086
		timeout 20 "$UVDPA" -s "$tmp/fake" $words >"$tmp/out" 2>"$tmp/err" || rc=$?
		[ $rc -lt 2 ] || fail "$words, $result: status $rc: $(cat "$tmp/err")"
	done
done

# A daemon that does not answer keeps nobody who completes a word.
serve 'sleep 60'
in_time 10000 "$UVDPA" complete -- -s "$tmp/fake" dev del x

# ---- the daemon ends in the middle of a request
# shellcheck disable=SC2016 # for that shell
serve 'kill -KILL $PPID'	# that of the connection
refused 'uvdpad closed the connection: (no answer|Connection reset by peer)\.$' fake dev show

# ---- output
uvdpa dev add name d0 mgmtdev sim-blk
# shellcheck disable=SC2016 # for that shell
for words in 'dev show' 'dev show -j' 'dev show -jp' 'mgmtdev show' 'dev config show' 'dev vstats show d0' \
	'dev export' 'help' 'dev help' 'mgmtdev help blk' 'dev add help' '-V' '-h'; do
	refused 'standard output: No space left on device\.$' \
		sh -c 'exec "$1" -s "$2" $3 >/dev/full' sh "$UVDPA" "$ctl" "$words"
	refused 'standard output: Bad file descriptor\.$' \
		sh -c 'exec "$1" -s "$2" $3 >&-' sh "$UVDPA" "$ctl" "$words"
done
