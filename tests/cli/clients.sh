#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Clients that behave badly do no harm: many, silent, not reading, gone in the middle
# (CVE-2019-14850, CVE-2019-14851, CVE-2024-7409).
. "$(dirname "$0")/cli.sh"
need python3

# What is freed shall count as free also with the sanitizer.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=1
daemon_start
fds() {
	find "/proc/$daemon_pid/fd" -mindepth 1 | wc -l
}
rss_kib() {
	awk '/VmRSS/ { print $2 }' "/proc/$daemon_pid/status"
}
fds_are() {
	[ "$(fds)" -le "$1" ]
}
# python NAME: what is on stdin, with connect() and the daemon's socket
python() {
	{
		cat <<-'END'
			import json, os, random, select, signal, socket, subprocess, sys, time
			def connect():
			    s = socket.socket(socket.AF_UNIX)
			    s.connect(sys.argv[1])
			    return s
			def request(method, params={}, **more):
			    r = dict(jsonrpc="2.0", method=method, params=params, **more)
			    return json.dumps(r).encode() + b"\n"
			def answer(s):
			    return json.loads(s.makefile("rb").readline())
		END
		cat
	} >"$tmp/$1.py"
	timeout 60 python3 "$tmp/$1.py" "$ctl" "$UVDPA" || fail "$1"
}
before=$(fds)

# ---- 200 connections that say nothing: the 201st is served in a bounded time, and the daemon
# holds no more than it has places for. One that has something to say is served among them.
python silent <<-'END'
	silent = [connect() for i in range(200)]
	begin = time.monotonic()
	s = connect()
	s.sendall(request("version", id=1))
	assert answer(s)["id"] == 1
	assert time.monotonic() - begin < 15
	closed = sum(1 for c in silent if select.select([c], [], [], 0)[0])
	assert closed >= 137, closed
END
wait_for 10 fds_are "$before"

# ---- a half line and silence holds nobody up, nor does its end
python half <<-'END'
	a, b = connect(), connect()
	line = request("version", id=1)
	a.sendall(line[:20])
	for i in range(100):
	    b.sendall(request("version", id=i))
	    assert answer(b)["id"] == i
	a.sendall(line[20:])
	assert answer(a)["id"] == 1
	a.sendall(line[:20])
	a.close()
END

# ---- one that asks and never reads: it is read no further, so nothing grows, and others are served
grown=$(rss_kib)
python deaf <<-'END'
	deaf = connect()
	deaf.setblocking(False)
	sent, line = 0, request("mgmtdev.show", id=1)
	end = time.monotonic() + 3
	while time.monotonic() < end:
	    try:
	        sent += deaf.send(line * 100)
	    except BlockingIOError:
	        time.sleep(0.01)
	assert sent < 2 << 20, sent	# what the buffers on the way hold
	other = connect()
	begin = time.monotonic()
	for i in range(100):
	    other.sendall(request("version", id=i))
	    assert answer(other)["id"] == i
	assert time.monotonic() - begin < 5
	# and when it reads after all, every answer is there and in one piece
	deaf.setblocking(True)
	deaf.shutdown(socket.SHUT_WR)
	whole = sent // len(line)
	assert sum(1 for l in deaf.makefile("rb") if json.loads(l)["id"] == 1) == whole
END
grown=$(($(rss_kib) - grown))
[ "$grown" -lt 16384 ] || fail "grew by $grown KiB"
echo "grew by $grown KiB with a client that does not read"

# ---- gone before the answer: what was asked for is done, to the end
python gone <<-'END'
	for i in range(100):
	    s = connect()
	    for k in range(12):
	        s.sendall(request("dev.add", dict(name=f"g{i}.{k}", mgmtdev="sim-blk",
	                                          attrs=dict(capacity="64K")), id=k))
	    s.close()
	    s = connect()
	    s.sendall(request("dev.show", id=1))
	    devices = answer(s)["result"]["dev"]
	    for name in devices:
	        s.sendall(request("dev.del", dict(name=name)))
	        if random.random() < 0.5:
	            s.close()
	            s = connect()
	    s.close()
	s = connect()
	while True:	# deletions without an answer
	    s.sendall(request("dev.show", id=1))
	    devices = answer(s)["result"]["dev"]
	    if not devices:
	        break
	    for name in devices:
	        s.sendall(request("dev.del", dict(name=name), id=2))
	        answer(s)
END

# ---- kill -9 of the command at any moment: the device is there or it is not, and works if so
python killed <<-'END'
	def uvdpa(*words, **more):
	    return subprocess.Popen([sys.argv[2], "-s", sys.argv[1], *words],
	                            stderr=subprocess.DEVNULL, **more)
	made = 0
	for i in range(60):
	    p = uvdpa("dev", "add", "name", "k", "mgmtdev", "sim-blk", "capacity", "64K",
	              "driver", "vhost-user", "socket", sys.argv[1] + ".k")
	    time.sleep(random.random() * 0.03)
	    p.kill()
	    p.wait()
	    s = connect()
	    end = time.monotonic() + 5
	    while True:
	        s.sendall(request("dev.show", id=1))
	        if "k" not in answer(s)["result"]["dev"]:
	            break
	        assert time.monotonic() < end
	        made += 1
	        assert uvdpa("dev", "del", "k").wait() in (0, 1)
	    s.close()
	print("made", made, "of 60")
END
wait_for 10 fds_are "$before"
uvdpa dev show
