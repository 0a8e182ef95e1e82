# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034 # who includes this uses what it sets
# guest.sh - what uml.sh and qemu.sh share: their options, the initramfs, the result
#
#	usage: uml.sh | qemu.sh [OPTION...] SCRIPT [-- ARG...]
#		-d SOCKET:ID[,PROPERTY=VALUE...]  a vhost-user device and its virtio id; repeatable
#		-M MODULE	to load besides the devices' drivers; repeatable
#		-f FILE		a program for /bin of the guest, with its libraries; repeatable
#		-r DIR		a tree for the guest's root
#		-a WORDS	for the kernel's command line
#		-c CPUS		of the guest (1)
#		-m MIB		its memory (96, QEMU 256)
#		-t SECONDS	how long it may take (60)
#		-o DIR		where console.log and pid go; else a directory that is removed
#
# SCRIPT runs in the guest as root, by busybox, with nothing but the initramfs. What it writes
# comes out of the helper's stdout; its status is the helper's. 124: the time was over; 125: the
# guest ended without telling. Then the whole console goes to stderr. The file pid holds the
# guest's process group while it runs.

guest_devices=() guest_modules=() guest_files=() guest_tree='' guest_append='' guest_cpus=1 guest_mib=96
guest_seconds=60 guest_dir='' guest_script='' guest_args=()

guest_options() {
	local o OPTARG OPTIND=1

	while getopts d:M:f:r:a:c:m:t:o: o; do
		case $o in
		d)	guest_devices+=("$OPTARG") ;;
		M)	guest_modules+=("$OPTARG") ;;
		f)	guest_files+=("$OPTARG") ;;
		r)	guest_tree=$OPTARG ;;
		a)	guest_append=$OPTARG ;;
		c)	guest_cpus=$OPTARG ;;
		m)	guest_mib=$OPTARG ;;
		t)	guest_seconds=$OPTARG ;;
		o)	guest_dir=$OPTARG ;;
		*)	sed -n 's/^#\t//p' "${BASH_SOURCE[0]}" >&2
			exit 2 ;;
		esac
	done
	shift $((OPTIND - 1))
	guest_script=${1:?the script for the guest}
	shift
	[ "${1:-}" != -- ] || shift
	guest_args=("$@")

	guest_tmp=$(mktemp -d "${TMPDIR:-/tmp}/uvdpa-guest.XXXXXX")
	guest_dir=${guest_dir:-$guest_tmp}
	guest_pid='' guest_timer=''
	trap guest_end EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	mkdir -p "$guest_dir"
	rm -f "$guest_dir/console.log"
}

guest_end() {
	[ -z "$guest_pid" ] || kill -KILL -- "-$guest_pid" 2>/dev/null || true
	[ -z "$guest_timer" ] || kill "$guest_timer" 2>/dev/null || true
	rm -rf "$guest_tmp" "$guest_dir/pid"
}

# The driver of a virtio id.
guest_driver() {
	case $1 in
	1)	echo virtio_net ;;
	2)	echo virtio_blk ;;
	3)	echo virtio_console ;;
	4)	echo virtio_rng ;;
	*)	echo "guest: no driver known for virtio id $1" >&2
		return 1 ;;
	esac
}

# guest_module_files MODULES NAME...: paths below MODULES, in the order to load them; none for
# what the kernel has built in
guest_module_files() {
	local dir=$1

	shift
	awk -v want="$*" '
	function name(path) {
		sub(/.*\//, "", path)
		sub(/\.ko.*/, "", path)
		gsub(/-/, "_", path)
		return path
	}
	FILENAME ~ /builtin$/ { builtin[name($1)] = 1; next }
	{
		sub(/:/, "", $1)
		line[name($1)] = $0
	}
	END {
		n = split(want, w, " ")
		for (i = 1; i <= n; i++) {
			m = w[i]
			gsub(/-/, "_", m)
			if (m in builtin)
				continue
			if (!(m in line)) {
				print "guest: no module " m > "/dev/stderr"
				exit 1
			}
			for (k = split(line[m], f, " "); k > 0; k--)	# what it needs is named last first
				if (!done[f[k]]++)
					print f[k]
		}
	}' "$dir/modules.builtin" "$dir/modules.dep"
}

# guest_initrd MODULES: makes $guest_tmp/initrd
guest_initrd() {
	local root=$guest_tmp/root d f lib busybox

	busybox=$(command -v busybox) || { echo "guest: no busybox" >&2; return 1; }
	mkdir -p "$root"/{bin,proc,sys,dev,tmp,mnt,mods}
	cp "$busybox" "$root/bin/busybox"
	"$busybox" --list | sed "/^busybox$/d; s|^|$root/bin/|" | xargs -n 1 ln -s busybox 2>/dev/null || true
	for d in "${guest_devices[@]}"; do
		d=${d%%,*}
		guest_modules+=("$(guest_driver "${d##*:}")") || return 1
	done
	guest_module_files "$1" "${guest_modules[@]}" >"$guest_tmp/modules" || return 1
	while read -r f; do
		d=$(basename "${f%.xz}")
		case $f in
		*.xz)	xz -dc "$1/$f" >"$root/mods/$d" ;;
		*)	cp "$1/$f" "$root/mods/$d" ;;
		esac
		echo "$d" >>"$root/mods/order"
	done <"$guest_tmp/modules"
	for f in "${guest_files[@]}"; do
		cp --remove-destination "$f" "$root/bin/"	# not through a link to busybox
		ldd "$f" 2>/dev/null | grep -o '/[^ ]*' | while read -r lib; do
			install -D "$lib" "$root$lib"
		done
	done
	[ -z "$guest_tree" ] || cp -a "$guest_tree/." "$root/"
	cp "$guest_script" "$root/script"
	cat >"$root/init" <<-'INIT'
	#!/bin/busybox sh
	export PATH=/bin HOME=/
	/bin/busybox mount -t proc proc /proc
	mount -t sysfs sys /sys
	mount -t devtmpfs dev /dev
	[ ! -e /mods/order ] || while read -r m; do
		insmod "/mods/$m" || echo "guest: $m does not load"
	done </mods/order
	echo "guest: begin"
	sh /script </dev/null 2>&1
	echo "guest: exit $?"
	sleep 0.1	# the serial line's buffer
	poweroff -f
	INIT
	chmod +x "$root/init"
	(cd "$root" && find . | cpio --quiet -o -H newc) >"$guest_tmp/initrd"
}

# guest_once COMMAND...: start it, its stdout is the console; until it is gone, or has no more time
guest_once() {
	# A session of its own, before User Mode Linux makes itself one: then its many processes are
	# of the group that we know, and those that it leaves behind, too.
	setsid "$@" </dev/null >"$guest_dir/console.log" 2>"$guest_dir/stderr.log" &
	guest_pid=$!
	echo "$guest_pid" >"$guest_dir/pid"
	# In the background: else a signal for us would wait for the guest's end.
	timeout "$guest_seconds" tail -q -s 0.05 --pid="$guest_pid" -f /dev/null &
	guest_timer=$!
	wait "$guest_timer" || late=1
	kill -KILL -- "-$guest_pid" 2>/dev/null || true
	wait "$guest_pid" 2>/dev/null || true
	guest_pid='' guest_timer=''
	tr -d '\r\0' <"$guest_dir/console.log" >"$guest_tmp/console"
}

# The first process of User Mode Linux cannot fork, once in some hundred times, before anything is done.
guest_stillborn() {
	grep -q "^/init: line [0-9]*: can't fork" "$guest_tmp/console" &&
		! grep -q '^guest: begin' "$guest_tmp/console"
}

# guest_run COMMAND...: run it, and tell the result
guest_run() {
	local status late=0 tries=3

	guest_once "$@"
	while [ $((--tries)) -gt 0 ] && guest_stillborn; do
		echo "guest: its first process could not fork; again" >&2
		guest_once "$@"
	done
	sed -n '/^guest: begin/,/^guest: exit/{/^guest: /!p}' "$guest_tmp/console"
	status=$(sed -n 's/^guest: exit \([0-9]*\)$/\1/p' "$guest_tmp/console" | tail -n 1)
	if [ -n "$status" ]; then
		[ "$status" = 0 ] || guest_blame
		exit "$status"
	fi
	guest_blame
	[ "$late" = 0 ] || { echo "guest: not done in $guest_seconds s" >&2; exit 124; }
	exit 125
}

guest_blame() {
	{
		echo "--- console"
		cat "$guest_tmp/console"
		echo "--- stderr"
		cat "$guest_dir/stderr.log"
		echo "---"
	} >&2
}
