#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What may come next: the programs say it, and bash, zsh and fish ask them.
#
# usage: complete.sh BUILD	where the shells' files are
. "$(dirname "$0")/cli.sh"
build=$1

# offers WORD... - the candidates for the last word, in one line
offers() {
	"$UVDPA" complete -- "$@" | cut -f 1 | tr '\n' ' '
}
# offered WANTED WORD... - among others
offered() {
	local wanted=$1 found

	shift
	found=$(offers "$@")
	case " $found" in
	*" $wanted "*) ;;
	*) fail "no $wanted for \"$*\": $found" ;;
	esac
}

# ---- every verb that help has, and its keys
for words in '' dev mgmtdev driver log blk rng 'dev config' 'dev vstats'; do
	read -ra before <<<"$words"
	while read -r verb; do
		# shellcheck disable=SC2086
		uvdpa $words "$verb" --help >"$tmp/help" || fail "no help of $words $verb"
		offered "$verb" "${before[@]}" "${verb:0:1}"
	done < <("$UVDPA" complete -- "${before[@]}" '' | cut -f 1 | grep -vx help)
done
same 'show ' "$(offers dev sh)"
same 'mgmtdev ' "$(offers dev add name d0 m)"
same 'name driver device_features ' "$(offers dev add mgmtdev nothing '' | tr ' ' '\n' | sort -r |
	grep -v '^$' | sed -n '/name/p; /driver/p; /device_features/p' | tr '\n' ' ')"
same 'read randread randwrite ' "$(offers blk bench ./a rw r)"
same '' "$(offers blk bench ./a depth '')"
same 'on off ' "$(offers blk bench ./a depth 1 poll '')"
same 'overwrite ' "$(offers blk bench ./a poll on over)"
same '' "$(offers blk bench ./a overwrite over)"
same 'overwrite ' "$(offers blk bench ./a o)"
same 'debug default ' "$(offers log set de)"
same '' "$(offers log set debug d0 '')"
same 'qidx ' "$(offers dev vstats show d0 '')"
same '' "$(offers dev show d0 '')"
same '' "$(offers nothing '')"
same '--json ' "$(offers --j)"
same ':file ' "$(offers -s '')"
same 'dev driver describe ' "$(offers -j -s /x d)"

# ---- options of parents and drivers are those of their tables
"$UVDPA" -j mgmtdev help | jq -r '.mgmtdev | to_entries[] | .key as $p | .value.options | to_entries[] |
	[$p, .key, .value.type, (.value.choices // [] | join(" "))] | @tsv' >"$tmp/options"
[ "$(wc -l <"$tmp/options")" -gt 100 ]
for parent in sim-blk blk net-tap; do
	grep -P "^$parent\t" "$tmp/options" >"$tmp/some"
	while IFS=$'\t' read -r _ key type choices; do
		offered "$key" dev add mgmtdev "$parent" name d0 "${key:0:2}"
		found=$(offers run mgmtdev "$parent" "$key" '')
		case $type in
		enum) same "$choices " "$found" "$key" ;;
		bool) same 'on off ' "$found" "$key" ;;
		path) same ':file ' "$found" "$key" ;;
		*) same '' "$found" "$key" ;;
		esac
	done <"$tmp/some"
done
offered socket dev add mgmtdev blk image x driver vhost-user s
offered socket bind d0 vhost-user s
offered vhost-user dev override d0 v
same ':file ' "$(offers bind d0 vhost-user socket '')"

# ---- devices are the daemon's; without one there are none, and no word of it
"$UVDPA" complete -- -s "$ctl" dev del '' >"$tmp/out" 2>&1 || fail "without a daemon"
daemon_start
uvdpa dev add name disk0 mgmtdev sim-blk
uvdpa dev add name net0 mgmtdev sim-net
same 'disk0 net0 ' "$(offers -s "$ctl" dev del '')"
same 'disk0 ' "$(offers -s "$ctl" dev set d)"
same 'disk0 :file ' "$(offers -s "$ctl" blk info d)"

[[ " $(offers -s "$ctl" dev set disk0 '')" = *' size shrink '* ]] || fail "what can be set"
same 'on off ' "$(offers -s "$ctl" dev set disk0 size 1M shrink '')"
uvdpa dev set disk0 help | grep -q '^  shrink bool '
uvdpa dev set net0 --help | grep -q '^  mac string '

# ---- the daemon's own
for option in $("$UVDPAD" --help | grep -oE -- '--[a-z-]+'); do
	"$UVDPAD" complete -- "$option" | cut -f 1 | grep -Fqx -- "$option" || fail "uvdpad: no $option"
done
"$UVDPAD" complete -- --socket '' | grep -qx :file
levels() { "$UVDPAD" complete -- --log-level "$1" | cut -f 1 | tr '\n' ' '; }
same 'error warning info debug ' "$(levels '')"
same 'warning ' "$("$UVDPAD" complete -- -l w | cut -f 1 | tr '\n' ' ')"
same 'info,blk=debug ' "$(levels info,blk=d)"
same 'info,d0=error info,d0=warning info,d0=info info,d0=debug ' "$(levels info,d0=)"

# ---- shells
# tried SHELL COMMAND... - it finds the programs, and files of the working directory
PATH=$(dirname "$UVDPA"):$(dirname "$UVDPAD"):$PATH
export PATH
mkdir "$tmp/work"
cd "$tmp/work"
touch image-file
mkdir image-dir

if [ -e /usr/share/bash-completion/bash_completion ]; then
	cat >"$tmp/ask" <<-'BASH'
		. /usr/share/bash-completion/bash_completion
		. "$1/src/uvdpa/${2%% *}.bash"
		COMP_LINE=$2 COMP_POINT=${#2} COMP_TYPE=9
		read -ra COMP_WORDS <<<"$2"
		[ "${2: -1}" != ' ' ] || COMP_WORDS+=('')
		COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
		compopt() { :; }	# only within a completion that readline began
		function=$(complete -p "${2%% *}" | sed 's/.*-F \([^ ]*\) .*/\1/')
		$function "${COMP_WORDS[0]}" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
		printf '%s\n' "${COMPREPLY[@]}"
	BASH
	in_bash() { bash --norc "$tmp/ask" "$build" "$1" | sort | tr '\n' ' '; }
	same 'describe dev ' "$(in_bash 'uvdpa de')"
	same 'disk0 net0 ' "$(in_bash "uvdpa -s $ctl dev del ")"
	same 'image iops iops_burst ' "$(in_bash 'uvdpa dev add mgmtdev blk i')"
	same 'image-dir image-file ' "$(in_bash 'uvdpa dev add mgmtdev blk image i')"
	same '--log-level ' "$(in_bash 'uvdpad --l')"
	same 'info ' "$(in_bash 'uvdpad --log-level i')"
	same 'debug ' "$(in_bash 'uvdpad --log-level info,blk=d')"
	# In earnest: a terminal, and the key.
	printf '. /usr/share/bash-completion/bash_completion\n. %q\nPS1="> "\n' "$build/src/uvdpa/uvdpa.bash" >"$tmp/rc"
	{ printf 'uvdpa -s %q dev sho\tdis\t >%q\r' "$ctl" "$tmp/bash"; wait_for 30 test -s "$tmp/bash"; echo exit; } |
		timeout 60 script -qec "bash --rcfile $tmp/rc -i" /dev/null >"$tmp/out" 2>&1 || true
	grep -q '^disk0: type block' "$tmp/bash" || fail "bash: $(cat "$tmp/bash" "$tmp/out")"
else
	echo "no bash-completion"
fi

if command -v fish >/dev/null; then
	in_fish() {
		HOME=$tmp fish --no-config -c "source $build/src/uvdpa/${1%% *}.fish; complete -C '$1'" | sort |
			cut -f "${2:-1}" | tr '\n' ' '
	}
	same 'mgmtdev ' "$(in_fish 'uvdpa mg')"
	same 'parents, which make devices, and their options ' "$(in_fish 'uvdpa mg' 2)"
	same 'disk0 net0 ' "$(in_fish "uvdpa -s $ctl dev del ")"
	same 'image-dir/ image-file ' "$(in_fish 'uvdpa dev add mgmtdev blk image i')"
	same '--log-level ' "$(in_fish 'uvdpad --l')"
else
	echo "no fish"
fi

if command -v zsh >/dev/null; then
	# A shell in a terminal of its own; what it would add is printed instead.
	cat >"$tmp/ask.zsh" <<-'ZSH'
		zmodload zsh/zpty
		zpty z zsh -f -i
		zpty -w z "PS1= PS2= RPS1=; unsetopt zle_bracketed_paste; fpath=($1 \$fpath)"
		zpty -w z 'autoload -Uz compinit && compinit -u; bindkey "^I" complete-word'
		zpty -w z 'null-line() { BUFFER= }; zle -N null-line; compadd() {
			builtin compadd -O hits "$@" 2>/dev/null
			(( $#hits )) && print -rl -- "<"$^hits">"
			builtin compadd "$@"
		}'
		zpty -w z 'print "<rea""dy>"'
		zpty -r -m z line '*<ready>*' || exit 1
		zpty -w -n z "$2"$'\t'
		sleep_until=$((SECONDS + 20))
		while (( SECONDS < sleep_until )); do
			zpty -r -t z line && print -rn -- "$line" || sleep 0.1
			[[ $line = *"$3"* ]] && exit 0
		done
	ZSH
	# in_zsh LINE WANTED
	in_zsh() {
		HOME=$tmp timeout 60 zsh -f "$tmp/ask.zsh" "$tmp/fpath" "$1" "$2" >"$tmp/out" 2>&1 || true
		grep -Fq -- "$2" "$tmp/out" || fail "zsh: no $2 for \"$1\": $(cat "$tmp/out")"
	}
	mkdir "$tmp/fpath"
	cp "$tests/../src/uvdpa/shell/_uvdpa" "$tmp/fpath"
	in_zsh 'uvdpa dev desc' '<describe>'
	in_zsh "uvdpa -s $ctl dev del d" '<disk0>'
	in_zsh 'uvdpa dev add mgmtdev blk image image-f' '<image-file>'
	in_zsh 'uvdpad --log' '<--log-level>'
else
	echo "no zsh"
fi
