#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# 1,000 devices are listed, watched, exported, deleted and made again; two clients that race for the same
# names leave what both were told
. "$(dirname "$0")/cli.sh"
need python3

daemon_start
cat >"$tmp/many.py" <<'END'
import collections, json, random, socket, sys, threading

class Client:
    def __init__(self):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(120)
        self.s.connect(sys.argv[1])
        self.f = self.s.makefile("rb")
    def send(self, *requests):
        self.s.sendall(b"".join(json.dumps(
            dict(jsonrpc="2.0", id=i, method=m, params=p)).encode() + b"\n"
            for i, (m, p) in enumerate(requests)))
    def read(self):
        return json.loads(self.f.readline())
    def all(self, *requests):
        self.send(*requests)
        answers = [self.read() for r in requests]
        assert all("result" in a for a in answers), answers[0]
        return [a["result"] for a in sorted(answers, key=lambda a: a["id"])]
    def try_(self, method, **params):
        self.send((method, params))
        a = self.read()
        return a["error"]["data"]["name"] if "error" in a else None

def events(client, n):
    return [client.read()["params"] for i in range(n)]

a, watcher = Client(), Client()
seq = watcher.all(("events.subscribe", {}))[0]["seq"]
names = [f"d{i}" for i in range(1000)]

# ---- made, at once; each is told of, and listed
def add(params):
    a.all(*[("dev.add", p) for p in params])
    told = events(watcher, 2000)
    for what in ("added", "ready"):
        assert sorted(e["dev"] for e in told if e["event"] == what) == sorted(names)
def delete():
    a.all(*[("dev.del", dict(name=n)) for n in names])
    told = events(watcher, 1000)
    assert sorted(e["dev"] for e in told if e["event"] == "removed") == sorted(names)
    assert a.all(("dev.show", {}))[0] == {"dev": {}}
add([dict(name=n, mgmtdev="sim-blk", attrs=dict(capacity=f"{64 + i}K")) for i, n in enumerate(names)])
shown = a.all(("dev.show", {}))[0]["dev"]
assert list(shown) == names
assert [d["size"] for d in shown.values()] == [(64 + i) << 10 for i in range(1000)]
exported = a.all(("dev.export", {}))[0]["export"]
assert list(exported) == names

# ---- what was exported makes the same again
delete()
add(exported.values())
assert a.all(("dev.show", {}))[0]["dev"] == shown
assert a.all(("dev.export", {}))[0]["export"] == exported
if len(sys.argv) > 2:
    sys.exit()	# the command looks at them next
END
cat "$tmp/many.py" - >"$tmp/race.py" <<'END'
delete()

# ---- two clients and the same four names: who was told that it added has added
done = [collections.Counter(), collections.Counter()]
refusals = set()
def race(mine, seed):
    c, r = Client(), random.Random(seed)
    for i in range(600):
        name = f"r{r.randrange(4)}"
        method = r.choice(["dev.add", "dev.del", "dev.bind", "dev.unbind"])
        more = {"dev.add": dict(mgmtdev="sim-blk", attrs=dict(capacity="64K")),
                "dev.bind": dict(driver="vhost-user", attrs=dict(socket=f"{sys.argv[1]}.{name}"))}
        error = c.try_(method, name=name, **more.get(method, {}))
        if error:
            refusals.add((method, error))
        else:
            mine[method, name] += 1
racers = [threading.Thread(target=race, args=(done[i], i)) for i in range(2)]
for t in racers:
    t.start()
for t in racers:
    t.join(120)
    assert not t.is_alive()
done = done[0] + done[1]
assert refusals <= {("dev.add", "EEXIST"), ("dev.del", "ENODEV"), ("dev.del", "EALREADY"),
                    ("dev.bind", "ENODEV"), ("dev.bind", "EBUSY"),
                    ("dev.unbind", "ENODEV"), ("dev.unbind", "EBUSY")}, refusals
left = a.all(("dev.show", {}))[0]["dev"]
for name in ("r0", "r1", "r2", "r3"):
    assert done["dev.add", name] - done["dev.del", name] == (name in left), (name, done)

# ---- and so say the events, each in an order that makes sense
last = a.all(("events.subscribe", {}))[0]["seq"]
there, bound, count = set(), set(), collections.Counter()
e = dict(seq=0)
while e["seq"] < last:
    e = watcher.read()["params"]
    what, name = e["event"], e["dev"]
    count[what, name] += 1
    if what == "added":
        assert name not in there, e
        there.add(name)
    assert name in there, e
    if what == "bound":
        assert name not in bound, e
        bound.add(name)
    if what in ("unbound", "removed"):
        assert what == "removed" or name in bound, e
        bound.discard(name)
    if what == "removed":
        there.remove(name)
assert there == set(left)
assert bound == {n for n, d in left.items() if "driver" in d}
for name in ("r0", "r1", "r2", "r3"):
    assert count["added", name] == done["dev.add", name], (name, count, done)
    assert count["removed", name] == done["dev.del", name], (name, count, done)
print(sum(done.values()), "of 1200 done, the others:", sorted(refusals))
END
timeout 150 python3 "$tmp/many.py" "$ctl" stay || fail "many"

# ---- the command, too
same 1000 "$(json '.dev | length' dev show)"
same 1000 "$(uvdpa dev export | grep -c '^dev add name d')"
best=1000000
for _ in {1..5}; do
	begin=$(now_ms)
	uvdpa dev show >"$tmp/shown"
	took=$(($(now_ms) - begin))
	best=$((took < best ? took : best))
done
echo "dev show of 1,000 devices: $best ms, the best of 5"
same 1000 "$(grep -c '^d[0-9]*: ' "$tmp/shown")"
daemon_stop
daemon_start
timeout 150 python3 "$tmp/race.py" "$ctl" || fail "race"
