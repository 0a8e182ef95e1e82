#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# With TLS: certificates and pre-shared keys; and not with a server that is not who it says, or a key
# that is not right.
# shellcheck source=nbd.sh
. "$(dirname "${BASH_SOURCE[0]}")/nbd.sh"
need certtool psktool jq
[ -w /dev/fuse ] || skip "/dev/fuse cannot be opened"
nbdkit --dump-config | grep '^tls=yes' >/dev/null || skip "nbdkit without TLS"

# make_ca DIR; make_cert DIR NAME WORD HOST: signed by it
make_ca() {
	mkdir -p "$1"
	certtool --generate-privkey --outfile "$1/ca-key.pem" 2>/dev/null
	printf 'cn = "ca"\nca\ncert_signing_key\n' >"$1/ca.info"
	certtool --generate-self-signed --load-privkey "$1/ca-key.pem" --template "$1/ca.info" \
		--outfile "$1/ca-cert.pem" 2>/dev/null
}
make_cert() {
	certtool --generate-privkey --outfile "$1/$2-key.pem" 2>/dev/null
	printf 'cn = "%s"\ndns_name = "%s"\nip_address = "127.0.0.1"\n%s\nsigning_key\nencryption_key\n' \
		"$4" "$4" "$3" >"$1/$2.info"
	certtool --generate-certificate --load-ca-certificate "$1/ca-cert.pem" \
		--load-ca-privkey "$1/ca-key.pem" --load-privkey "$1/$2-key.pem" \
		--template "$1/$2.info" --outfile "$1/$2-cert.pem" 2>/dev/null
}
make_ca "$tmp/pki"
make_cert "$tmp/pki" server tls_www_server localhost
make_cert "$tmp/pki" client tls_www_client client
make_ca "$tmp/others"
make_cert "$tmp/others" client tls_www_client client
psktool -u alice -p "$tmp/keys.psk" >/dev/null 2>&1
psktool -u bob -p "$tmp/bob.psk" >/dev/null 2>&1
sed 's/^bob/alice/' "$tmp/bob.psk" >"$tmp/wrong.psk"

# A port of the loopback that is free.
serve_tcp() {
	local port

	for port in $((RANDOM % 20000 + 20000)) $((RANDOM % 20000 + 20000)) $((RANDOM % 20000 + 20000)); do
		rm -f "$tmp/nbd.pid"
		background nbdkit -f -i 127.0.0.1 -p "$port" -P "$tmp/nbd.pid" "$@" 2>>"$tmp/nbdkit.log"
		nbd_pid=$!
		tcp=127.0.0.1:$port
		for _ in {1..100}; do
			[ ! -s "$tmp/nbd.pid" ] || return 0
			kill -0 "$nbd_pid" 2>/dev/null || break
			sleep 0.05
		done
	done
	fail "no server"
}

# add OPTION VALUE...
add() {
	uvdpa dev add name d mgmtdev nbd "$@" driver virtio file "$tmp/d"
}
refused() {
	! add "$@" 2>"$tmp/err" || fail "not refused: $*"
	cat "$tmp/err"
}
works() {
	add "$@"
	shown d tls true || fail "not encrypted"
	timeout 30 dd if="$tmp/data" of="$tmp/d" bs=1M oflag=direct conv=notrunc,fsync status=none
	timeout 30 cmp -n 8388608 "$tmp/d" "$tmp/data" || fail "not what was written"
	uvdpa dev del d
}

random "$tmp/data" $((8 << 20))
daemon_start

serve_tcp --tls=require --tls-certificates="$tmp/pki" --tls-verify-peer memory 8M
works uri "nbds://$tcp" tls_certificates "$tmp/pki"
works uri "nbd://$tcp" tls require tls_certificates "$tmp/pki"
works uri "nbds://$tcp?tls-certificates=$tmp/pki"
refused uri "nbd://$tcp" tls off
refused uri "nbds://$tcp" tls_certificates "$tmp/others"	# neither knows the other
cp "$tmp/pki"/client-*.pem "$tmp/others"
refused uri "nbds://$tcp" tls_certificates "$tmp/others"	# it does not know the server
works uri "nbds://$tcp" tls_certificates "$tmp/others" tls_verify off
nbd_kill

nbd_serve "$tmp/nbd" --tls=require --tls-psk="$tmp/keys.psk" memory 8M
works socket "$tmp/nbd" tls require tls_psk_file "$tmp/keys.psk" tls_username alice
works uri "nbds+unix://alice@/?socket=$tmp/nbd&tls-psk-file=$tmp/keys.psk"
refused uri "nbds+unix://alice@/?socket=$tmp/nbd&tls-psk-file=$tmp/wrong.psk"
! grep -q 'alice\|wrong' "$tmp/err" || fail "it repeats more of the uri than where the server is"
refused socket "$tmp/nbd" tls require tls_psk_file "$tmp/wrong.psk" tls_username alice
refused socket "$tmp/nbd" tls require tls_psk_file "$tmp/keys.psk" tls_username bob

# Killed in the middle of it, it is encrypted again.
nbd_kill
truncate -s 8M "$tmp/image"
serve_image() { nbd_serve "$tmp/nbd" --tls=on --tls-psk="$tmp/keys.psk" file "$tmp/image"; }
serve_image
add socket "$tmp/nbd" tls allow tls_psk_file "$tmp/keys.psk" tls_username alice server_cache kept
background timeout 60 dd if="$tmp/data" of="$tmp/d" bs=4k oflag=direct conv=notrunc,fsync status=none
writer=$!
for _ in 1 2 3; do
	sleep 0.1
	nbd_kill
	serve_image
done
wait "$writer" || fail "an error"
wait_for 10 shown d connected true
shown d tls true || fail "not encrypted any more"
timeout 30 cmp -n 8388608 "$tmp/d" "$tmp/data" || fail "not what was written"
uvdpa dev del d
