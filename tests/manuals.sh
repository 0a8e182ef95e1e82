#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What the manual pages show under EXAMPLES is run, as it stands there.
#
# usage: manuals.sh [PAGE.scd...]
#
# Each page has a daemon, a folder and a namespace of network and mounts of its own, in which /run, /srv
# and /mnt are empty. Lines that begin with a prompt are commands, what else is in such a block is what
# they print, but for numbers; in a block without a prompt all are commands. A line with " ..." leaves
# something out, and is not run. Comments of scdoc before a block say more:
#
#	; before: COMMANDS		what must be there for it; runs first
#	; shown: WHY			it is not run
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if [ "${1:-}" != --in ]; then
	need unshare jq
	unshare -nm true 2>/dev/null || skip "no namespaces"
	[ $# -gt 0 ] || set -- "$tests"/../doc/*.scd
	blocks=0
	for page in "$@"; do
		grep -q '^# EXAMPLE' "$page" || continue
		[ "${page##*.3.scd}" ] || continue	# in C: install.sh
		name=$(basename "$page" .scd)
		timeout 120 unshare -nm --propagation private "$BASH" "${BASH_SOURCE[0]}" --in "$page" >"$tmp/$name" 2>&1 ||
			{ cat "$tmp/$name"; fail "$name"; }
		grep '^example\|^shown' "$tmp/$name" || true
		blocks=$((blocks + $(grep -c ^example "$tmp/$name" || true)))
	done
	[ "$blocks" -gt 15 ] || fail "only $blocks examples"
	exit 0
fi

page=$(realpath "$2") name=$(basename "$2" .scd)
# The programs, by their names; what needs somebody who types is looked for, not run.
mkdir "$tmp/bin" "$tmp/work"
ln -s "${UVDPAD:?}" "$tmp/bin/uvdpad"
cat >"$tmp/bin/uvdpa" <<E
#!/bin/bash
[ "\$1" = run ] || exec ${UVDPA:?} "\$@"
timeout -s INT 2 $UVDPA "\$@" </dev/null || [ \$? = 124 ]
E
for p in picocom screen; do
	# shellcheck disable=SC2016 # its own argument
	printf '#!/bin/sh\nexec test -c "$1"\n' >"$tmp/bin/$p"
done
chmod +x "$tmp"/bin/*
PATH=$tmp/bin:$PATH
mount -t tmpfs none /run
for dir in /srv /mnt; do
	mount -t tmpfs none $dir
done
ip link set lo up
ctl=/run/uvdpa/uvdpad.sock	# where programs look for it
cd "$tmp/work"

# What the examples leave behind goes before the daemon, and the daemon before the namespace.
take_back() {
	local m

	umount /mnt 2>/dev/null || true
	for m in $(losetup -nl -O NAME,BACK-FILE 2>/dev/null | awk '$2 ~ "^/run/" { print $1 }'); do
		losetup -d "$m" || true
	done
	if [ -d "$tmp/work" ] && [ -s "$tmp/left" ]; then
		xargs -r kill <"$tmp/left" 2>/dev/null || true
	fi
	ip -all netns delete 2>/dev/null || true
}

# run NUMBER: the block in $tmp/block, after $before
run() {
	local script=$tmp/script prompt='^(\$|#|[a-z]+#) '

	if [ "${name##*.conf.[0-9]}" = '' ]; then
		sed 's/\\\\$/\\/' "$tmp/block" >"$tmp/conf"
		echo "uvdpad --check --config $tmp/conf" >"$script"
	elif grep -qE "$prompt" "$tmp/block"; then
		awk -v prompt="$prompt" '
			!more && $0 !~ prompt { print >expected; next }
			{ sub(prompt, ""); more = /\\$/; sub(/\\\\$/, "\\"); lines = lines $0 "\n" }
			!more { if (lines !~ / \.\.\./) printf "%s", lines; lines = "" }
		' expected="$tmp/expected" "$tmp/block" >"$script"
	else
		grep -v ' \.\.\.' "$tmp/block" >"$script" || true
	fi
	printf '%s\n' "$before" | cat - "$script" >"$script.all"
	# shellcheck disable=SC2016 # it expands there
	echo 'jobs -p >>"$LEFT"' >>"$script.all"
	if ! LEFT=$tmp/left timeout 60 bash -euxo pipefail "$script.all" >"$tmp/out" 2>"$tmp/err" </dev/null; then
		cat "$script" "$tmp/out" "$tmp/err"
		fail "$name, example $1"
	fi
	[ -s "$tmp/expected" ] || return 0
	while read -r line; do
		line=$(sed -E 's/[][(){}.*+?^$|\\]/\\&/g; s/[0-9]+/[0-9]+/g' <<<"$line")
		grep -qxE "$line" "$tmp/out" || { cat "$tmp/out"; fail "$name, example $1, does not print: $line"; }
	done <"$tmp/expected"
}

daemon_args=()
"$UVDPAD" >>"$tmp/daemon.log" 2>&1 &
daemon_pid=$!
wait_for 20 uvdpa dev show

n=0 inside='' section='' before='' shown=''
while IFS= read -r line; do
	case $line in
	'```')	if [ -z "$inside" ]; then
			inside=yes
			: >"$tmp/block"
			rm -f "$tmp/expected"
			continue
		fi
		inside=''
		case $section in EXAMPLE*) ;; *) continue ;; esac
		n=$((n + 1))
		if [ -n "$shown" ]; then
			echo "shown: $name, example $n: $shown"
		else
			run $n
			echo "example $n of $name"
		fi
		before='' shown='' ;;
	*)	if [ -n "$inside" ]; then
			printf '%s\n' "$line" >>"$tmp/block"
		else
			case $line in
			'# '*)	section=${line#\# } ;;
			'; before: '*) before+=${line#; before: }$'\n' ;;
			'; shown: '*) shown=${line#; shown: } ;;
			esac
		fi ;;
	esac
done <"$page"
