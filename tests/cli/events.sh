#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Events: all of them, in their order, to who reads; who does not costs nothing and is told what it missed
. "$(dirname "$0")/cli.sh"
need python3

daemon_start
cat >"$tmp/watch.py" <<'END'
import json, socket, sys, threading, time

def connect():
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(120)
    s.connect(sys.argv[1])
    return s

def line(method, **params):
    return json.dumps(dict(jsonrpc="2.0", id=1, method=method, params=params)).encode() + b"\n"

class Client:
    def __init__(self, **params):
        self.s = connect()
        self.f = self.s.makefile("rb")
        self.s.sendall(line("events.subscribe", **params))
        answer = self.read()
        self.refused = answer.get("error")
        if not self.refused:
            self.seq, self.daemon = answer["result"]["seq"], answer["result"]["daemon"]
    def read(self):
        return json.loads(self.f.readline())
    def event(self):
        m = self.read()
        assert m["method"] == "event", m
        return m["params"]

def call(s, f, method, **params):
    s.sendall(line(method, **params))
    return json.loads(f.readline())

ctl = connect()
answers = ctl.makefile("rb")
def do(method, **params):
    a = call(ctl, answers, method, **params)
    assert "result" in a, a

# ---- what there is to tell of each
w = Client()
assert w.seq == 0, w.seq
do("dev.add", name="d0", mgmtdev="sim-blk", driver="vhost-user",
   driver_attrs={"socket": sys.argv[1] + ".d0"})
do("dev.unbind", name="d0")
do("dev.del", name="d0")
seen = [w.event() for i in range(5)]
assert [e["event"] for e in seen] == ["added", "ready", "bound", "unbound", "removed"], seen
assert [e["seq"] for e in seen] == [1, 2, 3, 4, 5], seen
assert all(e["dev"] == "d0" and e["time"].endswith("Z") for e in seen)
assert seen[0]["mgmtdev"] == "sim-blk" and seen[1]["type"] == "block"
assert seen[2]["driver"] == "vhost-user", seen[2]

# ---- from a number on; one that this daemon never gave is another's
assert [Client(since=3).event()["seq"] for i in range(2)] == [4, 4]
assert Client(since=1 << 40).event()["seq"] == 1
late = Client(since=5)
assert late.seq == 5
assert late.daemon == w.daemon and len(w.daemon) == 16

# ---- events for so many clients that others still find a place; who has them may ask for them again
watchers = [Client() for i in range(46)]
assert not watchers[-1].refused
one_more = Client()
assert one_more.refused["data"]["name"] == "EBUSY", one_more.refused
assert call(late.s, late.f, "events.subscribe", since=5)["result"]["seq"] == 5
do("version")
del watchers, one_more

# ---- ten thousand changes: none is missing, and none comes twice
deaf = Client()
got = []
def listen():
    while len(got) < 10002:
        got.append(w.event())
t = threading.Thread(target=listen)
t.start()
do("dev.add", name="d1", mgmtdev="sim-blk", attrs={"capacity": "64K"})
for i in range(5000):
    do("dev.bind", name="d1", driver="vhost-user", attrs={"socket": sys.argv[1] + ".d1"})
    do("dev.unbind", name="d1")
t.join(100)
assert not t.is_alive(), len(got)
assert [e["seq"] for e in got] == list(range(6, 10008)), (got[0], got[-1])
assert [e["event"] for e in got[:4]] == ["added", "ready", "bound", "unbound"]
assert late.event()["seq"] == 6

# ---- one that did not read has them, too, as far as they are kept: here, all
n = 0
while n < 10002:
    assert deaf.event()["seq"] == 6 + n
    n += 1
END
timeout 240 python3 "$tmp/watch.py" "$ctl" || fail "events"

# ---- refused
for since in -1 1.5 '"1"' null '[]'; do
	rpc '{"jsonrpc":"2.0","id":1,"method":"events.subscribe","params":{"since":'"$since"'}}' |
		jq -e '.error.code == -32602 and (.error.message | test("since"))' >"$tmp/out" ||
		fail "since $since: $(cat "$tmp/out")"
done

# ---- the end of the daemon is the end of the connection
(
	printf '{"jsonrpc":"2.0","id":1,"method":"events.subscribe"}\n'
	sleep 20
) | socat - "UNIX-CONNECT:$ctl" >"$tmp/last" &
watcher=$!
wait_for 10 grep -q seq "$tmp/last"
daemon_stop
wait_for 10 test ! -d "/proc/$watcher" || true
grep -q '"seq":10007' "$tmp/last" || fail "$(cat "$tmp/last")"
