#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# qemu.sh - run a script in a stock kernel under QEMU, with vhost-user devices; see guest.sh
#
# Emulated (TCG), so it runs everywhere: some five seconds of CPU to the script. The kernel is in
# the cache, where scripts/setup put it, and so is the QEMU of another suite, if $GUEST_QEMU names
# one. Properties of -d are those of QEMU's device: "-d /x.sock:2,packed=on,num-queues=2"; but
# reconnect=SECONDS and server=on are of the socket, queues=PAIRS of a NIC's netdev, and ports=N says that
# a console has that many by its control queue. ARGs after "--" go to QEMU as they are.
set -euo pipefail
# shellcheck source=guest.sh
. "$(dirname "${BASH_SOURCE[0]}")/guest.sh"

guest_mib=256 guest_seconds=180
guest_options "$@"
qemu=(qemu-system-x86_64)
[ -z "${GUEST_QEMU:-}" ] || qemu=("$(dirname "${BASH_SOURCE[0]}")/suite.sh" "$GUEST_QEMU" "${qemu[@]}")
"${qemu[@]}" --version >/dev/null || { echo "guest: no qemu-system-x86_64" >&2; exit 77; }
kernel=${UVDPA_CACHE:-${XDG_CACHE_HOME:-${HOME:-/var/tmp}/.cache}/uvdpa}/linux-image-6.12-cloud-amd64
[ -e "$kernel/vmlinux" ] || { echo "guest: no kernel in $kernel (scripts/setup kernel)" >&2; exit 77; }
modules=$(echo "$kernel"/lib/modules/*)
guest_modules+=(virtio_pci)
guest_initrd "$modules"

args=()
n=0
for d in "${guest_devices[@]}"; do
	properties='' socket='' queues='' ports=0
	IFS=, read -ra words <<<"$d"
	for w in "${words[@]:1}"; do
		case $w in
		reconnect=*)	socket+=,$w ;;
		server=*)	socket+=,$w,wait=off ;;
		queues=*)	queues=$w ;;
		ports=*)	ports=${w#*=} ;;
		*)		properties+=,$w ;;
		esac
	done
	d=${d%%,*}
	args+=(-chardev "socket,id=c$n,path=${d%:*}$socket")
	case ${d##*:} in
	1)	args+=(-netdev "vhost-user,id=n$n,chardev=c$n${queues:+,$queues}")
		type=virtio-net-pci
		properties=,netdev=n$n${queues:+,mq=on}$properties
		# QEMU 7.2 that emulates comes to grief when it unmasks the vector of such a NIC.
		[ -n "${GUEST_QEMU:-}" ] || properties+=,vectors=0 ;;
	2)	type=vhost-user-blk-pci
		properties=,chardev=c$n$properties ;;
	3)	# Its generic device, since 10.2, needs to be told what others know. It does not
		# survive that the back-end goes and comes again.
		type=vhost-user-test-device-pci
		properties=,chardev=c$n,virtio-id=3,config_size=12,num_vqs=$((2 * ports + 2))$properties ;;
	4)	type=vhost-user-rng-pci
		properties=,chardev=c$n$properties ;;
	*)	echo "guest: QEMU has no vhost-user device for virtio id ${d##*:} here" >&2
		exit 2 ;;
	esac
	args+=(-device "$type,id=d$n$properties")
	n=$((n + 1))
done

# cx16 and la57 cost the emulation time and give a guest nothing.
guest_run "${qemu[@]}" -accel tcg -cpu max,-cx16,-la57 -smp "$guest_cpus" \
	-object "memory-backend-memfd,id=mem0,size=${guest_mib%%,*}M,share=on" -m "$guest_mib" \
	-M q35,memory-backend=mem0 -nodefaults -no-user-config -display none -no-reboot -serial stdio \
	-kernel "$kernel/vmlinux" -initrd "$guest_tmp/initrd" \
	-append "console=ttyS0 quiet loglevel=4 panic=-1 $guest_append" "${guest_args[@]}" "${args[@]}"
