# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2016,SC2034,SC2154 # who includes this uses what it sets
# line.sh - whoever is at a console, and a guest where they can log in; for a test that has lib.sh already

# ---- lines: whoever is at the other end of a port, here
#
#	line_open NAME ADDRESS	what comes from there (an address of socat) goes to $tmp/NAME.out
#	say NAME WORDS		a line of text
#	heard NAME PATTERN	has a line like that come since the last "line_new NAME"?

declare -A line_in line_pid line_from

line_open() {
	local fd

	rm -f "$tmp/$1.in"
	mkfifo "$tmp/$1.in"
	exec {fd}<>"$tmp/$1.in"
	: >"$tmp/$1.out"
	socat -b 65536 STDIO "$2" <"$tmp/$1.in" >>"$tmp/$1.out" {fd}>&- &
	pids+=($!)
	line_in[$1]=$fd line_pid[$1]=$! line_from[$1]=0
}

# At a terminal of the host, such as the parent's pty, as it is. It is not opened here: it would be the terminal of this
# session, whose end is the end of all.
line_open_tty() {
	local fd

	rm -f "$tmp/$1.in"
	mkfifo "$tmp/$1.in"
	exec {fd}<>"$tmp/$1.in"
	cat <"$2" >"$tmp/$1.out" 2>/dev/null {fd}>&- &
	line_pid[$1]=$!
	cat <"$tmp/$1.in" >"$2" 2>/dev/null {fd}>&- &
	line_pid[$1]+=" $!"
	# shellcheck disable=SC2206 # words
	pids+=(${line_pid[$1]})
	line_in[$1]=$fd line_from[$1]=0
	wait_for 5 test -e "$tmp/$1.out"
}

line_close() {
	local fd=${line_in[$1]}

	# shellcheck disable=SC2086 # words
	kill ${line_pid[$1]} 2>/dev/null || true
	# shellcheck disable=SC2086
	wait ${line_pid[$1]} 2>/dev/null || true
	exec {fd}>&-
	unset "line_in[$1]" "line_pid[$1]"
	rm "$tmp/$1.out"
}

say() { printf '%s\n' "$2" >&"${line_in[$1]}"; }
line_new() { line_from[$1]=$(stat -c %s "$tmp/$1.out"); }
line_text() { tail -c "+$((line_from[$1] + 1))" "$tmp/$1.out" | tr -d '\r\0'; }
heard() { grep -aqE -- "$2" < <(line_text "$1"); }

# hear NAME PATTERN [SECONDS]
hear() {
	local end=$((SECONDS + ${3:-60}))

	until heard "$1" "$2"; do
		if [ $SECONDS -ge $end ]; then
			line_text "$1" | cat -v | cut -c -200 | head -n 40 >&2
			cat "$tmp/guest.out" >&2; fail "line $1: \"$2\" does not come"
		fi
		sleep 0.05
	done
}

# run NAME COMMAND: by the shell at the other end; its output, and its status. What is typed is
# echoed, so the words that begin and end the answer are not in it as they are.
run() {
	local text

	line_new "$1"
	say "$1" "echo 'be''gin'; { $2
}; r=\$?; echo; echo 'sta''tus' \$r"
	hear "$1" '^status [0-9]+$'
	text=$(line_text "$1" | sed -n '/^begin$/,/^status [0-9]*$/{/^begin$/!p}')
	printf '%s' "${text%$'\n'status *}" | sed '1{/^$/d}'
	return "${text##*status }"
}

# Bytes of every value, to a program there, and from one; the terminal leaves them alone meanwhile. But for ^O:
# at its boot console Linux takes that for the beginning of a command to the kernel.
bytes_in() {
	tr -d '\017' <"$2" >"$2.in"
	set -- "$1" "$2.in"
	line_new "$1"
	say "$1" "stty raw -echo; echo rea''dy; head -c $(stat -c %s "$2") | md5sum; stty sane"
	hear "$1" '^ready$'
	cat "$2" >&"${line_in[$1]}"
	hear "$1" '^[0-9a-f]{32} '
	heard "$1" "^$(md5 "$2") " || fail "line $1: the bytes that came in are others"
}

# bytes_out NAME BYTES
bytes_out() {
	local want at

	want=$(run "$1" "head -c $2 /dev/urandom >/bytes; md5sum /bytes")
	line_new "$1"
	say "$1" "stty raw -echo; echo rea''dy; cat /bytes; stty sane"
	hear "$1" '^ready$'
	at=$((line_from[$1] + $(tail -c "+$((line_from[$1] + 1))" "$tmp/$1.out" | grep -abo '^ready' | sed 's/:.*//;q') + 6))
	wait_for 60 eval "[ \$(stat -c %s '$tmp/$1.out') -ge $((at + $2)) ]"
	[ "$(tail -c "+$((at + 1))" "$tmp/$1.out" | head -c "$2" | md5 -)" = "${want%% *}" ] ||
		fail "line $1: the bytes that came out are others"
}

# ---- a guest with a console, where one can log in

password='Virtio-3'

# guest_start KIND[,PROPERTIES] [OPTION...]: with the device at $tmp/c0.sock, to which its kernel writes, too;
# what comes from the script stays with the console that is named last
guest_start() {
	local kind=${1%%,*} properties='' console='console=hvc0 console=tty0 loglevel=7'

	[ "$kind" = "$1" ] || properties=,${1#*,}
	[ "$kind" = uml ] || console='console=hvc0 console=ttyS0 loglevel=7'
	shift
	script guest <<-E2
	echo 'a word of the kernel' >/dev/kmsg
	mkdir -p /etc
	echo "root:\$(mkpasswd -m sha256 '$password'):0:0:root:/:/bin/sh" >/etc/passwd
	while :; do getty -L 0 hvc0 vt100; sleep 0.1; done &
	until [ -e /end ]; do sleep 0.2; done
	E2
	background "$kind" -t 200 -o "$tmp/o" -a "$console" -d "$tmp/c0.sock:3$properties" "$@" \
		"$tmp/guest" >"$tmp/guest.out" 2>&1
	guest_pid=$!
}

# log_in NAME
log_in() {
	hear "$1" 'login: $' 120
	line_new "$1"
	say "$1" root
	hear "$1" 'Password: $'
	say "$1" "$password"
	hear "$1" '# '
}

# The guest ends by itself.
guest_stop() {
	run "$1" 'touch /end' >/dev/null
	wait "$guest_pid" || { cat "$tmp/guest.out" >&2; fail "the guest ended with an error"; }
}
