# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
# transcript.sh - run the commands of a file and write down what they say; in the guest and here
#
# Who includes it has the functions "vdpa", "bind NAME DRIVER" (virtio_vdpa or vhost_vdpa) and "unbind NAME", and
# says in $bus where the bus's directory is. A line that begins with "-" only clears up. Of each other command
# there is, in this order, the command after "$", its standard output after "|", its standard error after "!", its
# exit status after "=".

# put WORD FILE: as an administrator writes to an attribute
put() {
	echo "$1" >"$2"
}

# link FILE: the last part of where a link points to
link() {
	basename "$(readlink "$1")"
}

# transcript TMP: of the commands on stdin
transcript() {
	while IFS= read -r line; do
		case $line in
		'' | '#'*)
			printf '%s\n' "$line"
			continue ;;
		'- '*)
			(eval "${line#- }") >/dev/null 2>&1 </dev/null || true
			continue ;;
		esac
		printf '$ %s\n' "$line"
		status=0
		(eval "$line") >"$1/out" 2>"$1/err" </dev/null || status=$?
		sed 's/^/| /' "$1/out"
		# What a shell says of itself before it says what is wrong, is the shell's own.
		sed 's/^.*: \(write error: \|can.t create \)/\1/; s/^/! /' "$1/err"
		echo "= $status"
	done
}
