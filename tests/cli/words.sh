#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The grammar: abbreviations, help at each level, exit codes, and what is said about wrong words.
. "$(dirname "$0")/cli.sh"

# Without a daemon: the hint names the socket and how to get one.
refused "Error: uvdpa: cannot reach uvdpad at $ctl: No such file.*is it running\? \(uvdpad --socket" \
	uvdpa dev show
refused '1 to 107 bytes' "$UVDPA" -s "$(printf '%0200d' 0)" dev show

# Help needs none and goes to standard output.
for words in '' help 'mgmtdev help' 'dev help' 'driver help' 'run help' 'dev config help' \
	'dev vstats help' 'help dev' 'help run' 'help help' --help -h 'h' 'dev h' blk 'blk help' rng \
	'dev add help' 'dev del help' 'dev set help' 'dev del --help' 'help dev add' 'help dev config show' \
	'dev add name d0 mgmtdev blk help' 'dev bind d0 vhost-user help' 'bind help' 'describe --help' \
	'run mgmtdev blk image x driver vhost-user help' 'dev add name d0 -h' 'rng read help'; do
	# shellcheck disable=SC2086 # words
	uvdpa $words >"$tmp/out" 2>"$tmp/err" || fail "\"$words\" failed"
	grep -q '^Usage: uvdpa' "$tmp/out" || fail "\"$words\" printed no usage"
	[ ! -s "$tmp/err" ] || fail "\"$words\" wrote to standard error"
done
uvdpa -V | grep -Eq '^uvdpa [0-9]+\.[0-9]+'
uvdpa --Version >/dev/null

# Options of a parent are known without a daemon; the same in JSON.
# Where options may follow, help says where they are to be found.
for words in 'dev add' run bind 'dev bind' 'dev set'; do
	read -ra words <<<"$words"
	uvdpa "${words[@]}" help | grep -q '^KEY is  .*"uvdpa .* help.* lists$' || fail "${words[*]} help"
done
uvdpa mgmtdev help sim-blk | grep -Eq '^sim-blk: '
uvdpa -j mgmtdev help sim-blk | jq -e '.mgmtdev["sim-blk"].options | type == "object"' >/dev/null
uvdpa mgmtdev help sim-blk | grep -q '^  capacity size .*; default 128M; 512 to 64T$'
uvdpa mgmtdev help blk | grep -q '^  readonly bool .*; default off$'
uvdpa mgmtdev help blk | grep -q '^  poll_us uint .*; default 0; 0 to 1000000$'
refused 'capacity is 1, not from 512 to 64T' uvdpa run mgmtdev sim-blk capacity 1 driver virtio
uvdpa driver help vhost-user | grep -Eq '^  socket path '
refused 'Fail to find the specified mgmt device: "nothing"' uvdpa mgmtdev help nothing
refused 'bus driver "nothing" not found' uvdpa driver help nothing

daemon_start
same '{"dev":{}}' "$(uvdpa -j dev show)"
same '' "$(uvdpa dev show)"

# With -j a listing that is refused is empty, whatever it lists.
for words in 'dev show' 'dev config show' 'dev vstats show' 'dev export' describe 'mgmtdev show' 'driver show'; do
	read -ra words <<<"$words"
	what=${words[*]} what=${what% show} what=${what##* }
	refused . uvdpa -j "${words[@]}" nothing
	same "{\"$what\":{}}" "$(cat "$tmp/refused.out")" "${words[*]}"
done

# Any beginning of a word is the word.
for words in 'dev show' 'd s' 'de list' 'd' 'dev' 'dev sh'; do
	# shellcheck disable=SC2086
	same '{"dev":{}}' "$(uvdpa -j $words)" "$words"
done
for words in 'mgmtdev show' 'm s' 'm' 'mg list'; do
	# shellcheck disable=SC2086
	uvdpa -j $words | jq -e .mgmtdev >/dev/null || fail "$words"
done
uvdpa -j dr s | jq -e .driver >/dev/null

# What iproute2's says, and what may have been meant.
refused 'Object "nothing" not found; try "uvdpa help"' uvdpa nothing
refused 'Object "mgmtdve" not found; did you mean "mgmtdev"\?$' uvdpa mgmtdve show
refused 'Command "shox" not found; did you mean "show"\?$' uvdpa dev shox
refused 'Command "showx" not found' uvdpa dev showx
refused 'Command "nothing" not found; try "uvdpa dev config help"' uvdpa dev config nothing
refused 'Command "" not found' uvdpa dev ''
refused 'Usage: uvdpa' uvdpa --nothing
refused '"mgmtdev" needs a value' uvdpa dev add name d0 mgmtdev
refused '"name" is there twice' uvdpa dev add name d0 name d1
refused '"capacity" is there twice' uvdpa dev add name d0 mgmtdev sim-blk capacity 1M capacity 1M
refused '"driver" is there twice' uvdpa dev add name d0 mgmtdev m driver a driver b
refused 'device name is not set; usage: uvdpa dev add name NAME mgmtdev MGMTDEV .*\]\.\.\. \]$' uvdpa dev add mgmtdev sim-blk
refused 'management device handle not set; usage: uvdpa dev add name NAME' uvdpa dev add name d0
refused 'usage: uvdpa dev add name NAME' uvdpa dev add
refused 'usage: uvdpa dev del DEV' uvdpa dev del
refused 'usage: uvdpa dev vstats show DEV \[ qidx QUEUE \]$' uvdpa dev vstats
refused 'usage: uvdpa dev del DEV' uvdpa dev del a b
refused 'usage: uvdpa dev bind DEV DRIVER .*[^.]\.\.\.$' uvdpa dev bind a
refused '"socket=a" needs a value; the words are pairs: KEY VALUE\.$' uvdpa dev bind a vhost-user socket=a
refused '"sim-blk" needs a value; the words are pairs: .*[^.]\.\.\.$' uvdpa dev add d0 mgmtdev sim-blk
refused 'd0: Fail to find the specified management device: "simblk"; did you mean "sim-blk"\?$' uvdpa dev add name d0 mgmtdev simblk
refused 'd0: no bus driver "vhostuser"; did you mean "vhost-user"\?$' \
	uvdpa dev add name d0 mgmtdev sim-blk driver vhostuser
refused 'd0: no bus driver "vhost"; did you mean "vhost-user"\?$' \
	uvdpa dev add name d0 mgmtdev sim-blk driver vhost
refused 'Fail to find the specified mgmt device: "blc"; did you mean "blk"\?$' uvdpa mgmtdev show blc
refused 'driver "virtoi" not found; did you mean "virtio"\?$' uvdpa driver help virtoi
refused '"something-else"\.$' uvdpa mgmtdev show something-else
refused 'qidx "x" is not a number' uvdpa dev vstats show d0 qidx x
refused 'parameter "qidx": not a number 0 to 65535' uvdpa dev vstats show d0 qidx -1
refused 'parameter "features": "0x0y", not a string of 64 bits' uvdpa dev add name d0 mgmtdev sim-blk device_features 0y
refused 'usage: uvdpa run ' uvdpa run mgmtdev sim-blk

# What was misspelt: keys, parents, drivers, devices, choices, and the words of the command itself.
uvdpa dev add name disk0 mgmtdev sim-blk
truncate -s 1M "$tmp/img"
refused 'Unknown option "nmae"; did you mean "name"\?$' uvdpa dev add nmae d0 mgmtdev sim-blk
refused 'Unknown option "mgmtdv"; did you mean "mgmtdev"\?$' uvdpa dev add name d0 mgmtdv sim-blk
refused 'Unknown option "drvier"; did you mean "driver"\?$' \
	uvdpa dev add name d0 mgmtdev blk image "$tmp/img" drvier virtio
refused 'Unknown option "device_feature"; did you mean "device_features"\?$' \
	uvdpa dev add name d0 mgmtdev blk image "$tmp/img" device_feature 1
refused 'Unknown option "imgae"; did you mean "image"\?$' uvdpa dev add name d0 mgmtdev blk imgae "$tmp/img"
refused 'Unknown option "sokcet"; did you mean "socket"\?$' \
	uvdpa dev add name d0 mgmtdev sim-blk driver vhost-user sokcet "$tmp/s"
refused 'engine is "io_urign", not one of .*; did you mean "io_uring"\?$' \
	uvdpa dev add name d0 mgmtdev blk image "$tmp/img" engine io_urign
refused 'device not found: "dsik0"; did you mean "disk0"\?$' uvdpa dev show dsik0
refused 'device not found: "disk"; did you mean "disk0"\?$' uvdpa dev del disk
refused 'device not found: "other"\.$' uvdpa dev del other
refused 'Unknown option "sise"; did you mean "size"\?$' uvdpa dev set disk0 sise 1M

# The second line has the errno, as the kernel's answers have; and JSON has its shape.
refused '^uvdpad answers: No such device$' uvdpa dev show other
refused '^uvdpad answers: File exists$' uvdpa dev add name disk0 mgmtdev sim-blk
for words in 'dev show' 'dev config show' 'dev vstats show' 'mgmtdev show' 'driver show'; do
	what=${words% show}
	# shellcheck disable=SC2086
	refused other uvdpa -j $words other
	same "{\"${what#dev }\":{}}" "$(cat "$tmp/refused.out")" "$words"
done

# Options may stand behind the words.
same "$(uvdpa -j dev show)" "$(uvdpa dev show -j)"
same "$(uvdpa -jp dev show)" "$(uvdpa dev show disk0 -jp)"
same "$(uvdpa -jp dev show)" "$(uvdpa dev --json show --pretty)"

# A device may be called as the beginning of a word of iproute2's.
uvdpa dev add name n mgmtdev sim-blk
uvdpa dev set n size 1M shrink on
uvdpa dev set name n size 2M
same 2097152 "$(json .dev.n.size dev show)"

# As iproute2 has it: "name" and "mgmtdev" may be abbreviated, features are hexadecimal.
uvdpa dev add na short mg sim-blk device_features 100000004
same '["SEG_MAX","VERSION_1"]' "$(json .dev.short.device_features dev show)"
same '"0x100000004"' "$(uvdpa -j dev export short | jq .export.short.features)"
uvdpa dev del short
refused 'parameter "features": "0x1000000000000000g"' uvdpa dev add name d0 mgmtdev sim-blk device_features 1000000000000000g

# bind, unbind, override and describe stand alone, too.
uvdpa bind disk0 vhost-user socket "$tmp/s"
same "$(uvdpa dev describe disk0)" "$(uvdpa describe disk0)"
uvdpa unbind disk0
uvdpa override disk0 none
refused none uvdpa bind disk0 vhost-user socket "$tmp/s"
refused 'usage: uvdpa override DEV DRIVER$' uvdpa override disk0

# What cannot be said in JSON is refused before it is said.
refused 'byte 0xff is not UTF-8' uvdpa dev add name d1 mgmtdev blk image $'/tmp/\xff'
refused 'byte 0xe4 is not UTF-8' uvdpa dev show $'\xe4'
refused 'image has byte 0xff, which is not UTF-8' uvdpa run mgmtdev blk image $'/tmp/\xff' driver virtio

# Output that cannot be written is not a success.
# shellcheck disable=SC2016 # for that shell
refused 'standard output' sh -c '"$1" -s "$2" -j mgmtdev show >/dev/full' sh "$UVDPA" "$ctl"
