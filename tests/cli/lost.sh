#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Subscribers that do not read: told how many events they have missed, and dropped when others need the place
. "$(dirname "$0")/cli.sh"
need python3

daemon_args=(--log-level control=info)
daemon_start
cat >"$tmp/lost.py" <<'END'
import json, socket, sys

KEPT = 65536	# events

def connect():
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(60)
    s.connect(sys.argv[1])
    return s

def line(method, id=None, **params):
    return json.dumps(dict(jsonrpc="2.0", method=method, params=params, **({"id": id} if id else {}))).encode() + b"\n"

def call(s, method, **params):
    s.sendall(line(method, id=1, **params))
    answer = json.loads(s.makefile("rb").readline())
    assert "result" in answer, answer
    return answer["result"]

class Client:
    def __init__(self, **params):
        self.s = connect()
        self.f = self.s.makefile("rb")
        self.s.sendall(line("events.subscribe", id=1, **params))
        self.seq = json.loads(self.f.readline())["result"]["seq"]
    def read(self):
        m = json.loads(self.f.readline())
        return m["method"], m["params"]
    def all(self, last):
        """What comes up to number last: [first, last] of each row of events, and how many are lost between."""
        rows, lost = [], []
        while not rows or rows[-1][1] < last:
            method, params = self.read()
            if method == "events.lost":
                lost.append(params["count"])
                continue
            if not rows or params["seq"] != rows[-1][1] + 1:
                rows.append([params["seq"], params["seq"]])
            rows[-1][1] = params["seq"]
        return rows, lost

ctl = connect()
DEVS = 256
for i in range(DEVS):
    call(ctl, "dev.add", name="d%d" % i, mgmtdev="sim-blk", attrs={"capacity": "64K"})
deaf, never = Client(since=0), Client(since=0)
# An event each, but that what happens to one device at once is one; and nobody answers.
turn, last = 0, 0
while last < KEPT + 4000:
    turn += 1
    for i in range(20):
        ctl.sendall(b"".join(line("dev.override", name="d%d" % k, driver="a") for k in range(DEVS)))
    call(ctl, "version")
    last = Client().seq
    assert turn < 100, last

# ---- what is kept comes, and between is said how much is not: for who began to read late, and who was away
rows, lost = deaf.all(last)
assert len(rows) == 2 and rows[0][0] == 1 and rows[1] == [last - KEPT + 1, last], rows
assert lost == [rows[1][0] - rows[0][1] - 1], (rows, lost)
away = Client(since=2)
rows, lost = away.all(last)
assert rows == [[last - KEPT + 1, last]] and lost == [last - KEPT - 2], (rows, lost)

# ---- who has not taken what there is for two seconds makes place for who waits; who has, stays
crowd = [connect() for i in range(70)]
assert call(crowd[-1], "version")["protocol"] == 1
call(crowd[-1], "dev.override", name="d0", driver="b")
for client in deaf, away:
    assert client.read()[1]["seq"] == last + 1
got = b""
while data := never.s.recv(1 << 20):
    got += data
assert 0 < got.count(b"\n") < KEPT, got.count(b"\n")
END
timeout 150 python3 "$tmp/lost.py" "$ctl" || fail "lost"
grep -q 'client dropped: idle for' "$tmp/daemon.log" || fail "nobody was dropped"
