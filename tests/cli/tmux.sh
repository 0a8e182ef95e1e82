# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# tmux.sh - a terminal that nobody sits at, for the tests of what is drawn on one
#
# A server of its own, ended with the test.
. "$(dirname "${BASH_SOURCE[0]}")/cli.sh"

need tmux
export LC_ALL=C.UTF-8

tm() {
	tmux -S "$tmp/tmux" -f "$tmp/tmux.conf" "$@"
}

echo 'set -g default-terminal screen-256color' >"$tmp/tmux.conf"
background tmux -S "$tmp/tmux" -f "$tmp/tmux.conf" -D
tmux_answers() {
	tm show-options -g >/dev/null 2>&1
}
wait_for 20 tmux_answers

# terminal COLUMNS LINES COMMAND...: run it there; what it leaves is in $tmp/status, $tmp/err
terminal() {
	local size=("$1" "$2")

	shift 2
	rm -f "$tmp/status"
	printf '%q ' "$@" >"$tmp/command"
	cat >"$tmp/terminal" <<-END
	rc=0
	$(cat "$tmp/command") 2>"$tmp/err" || rc=\$?
	echo \$rc >"$tmp/status.new"
	mv "$tmp/status.new" "$tmp/status"
	exec sleep 1000
	END
	tm kill-session -t screen 2>/dev/null || true
	tm new-session -d -s screen -x "${size[0]}" -y "${size[1]}" bash "$tmp/terminal"
}

keys() {
	tm send-keys "$@"
}

# screen: what is on it, without blanks at the ends of lines
screen() {
	tm capture-pane -p
}

# shows PATTERN, lacks PATTERN: now
shows() {
	screen | grep -Eq -- "$1"
}

lacks() {
	! shows "$1"
}

# see PATTERN, gone PATTERN: sooner or later
see() {
	wait_screen shows "$1"
}

gone() {
	wait_screen lacks "$1"
}

wait_screen() {
	local end=$((SECONDS + 30))

	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || fail "waited for: $*; there is: $(screen; cat "$tmp/err")"
		sleep 0.05
	done
}

# line N PATTERN: the N-th line is sooner or later like that
line() {
	wait_screen is_line "$1" "$2"
}

is_line() {
	screen | sed -n "$1p" | grep -Eq -- "$2"
}

# ended STATUS: what runs there ends by itself
ended() {
	wait_for 30 test -e "$tmp/status"
	same "$1" "$(cat "$tmp/status")" "status"
}
