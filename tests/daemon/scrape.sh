#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Metrics of 1,000 devices, some of which have had requests: all of them are in each scrape, and it holds no
# other client up.
. "$(dirname "$0")/../cli/cli.sh"
need python3

daemon_args=(--metrics 127.0.0.1:9100)
daemon_start
for i in {0..999}; do
	echo "dev add name d$i mgmtdev sim-blk capacity 64K"
done >"$tmp/batch"
for i in {0..999..50}; do
	echo "blk fill d$i random 1"
done >>"$tmp/batch"
uvdpa -q -b "$tmp/batch" >"$tmp/filled"
cat >"$tmp/scrape.py" <<'END'
import json, socket, sys, threading, time, urllib.request

s = socket.socket(socket.AF_UNIX)
s.settimeout(60)
s.connect(sys.argv[1])
f = s.makefile("rb")
took = []
done = threading.Event()
def ask():
    while not done.wait(0.002):
        begin = time.monotonic()
        s.sendall(b'{"jsonrpc":"2.0","id":1,"method":"version"}\n')
        assert json.loads(f.readline())["result"]["protocol"] == 1
        took.append(time.monotonic() - begin)
asker = threading.Thread(target=ask)
asker.start()
while not took:
    time.sleep(0.01)
begin = time.monotonic()
for i in range(10):
    with urllib.request.urlopen("http://127.0.0.1:9100/metrics", timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    assert sum(1 for l in lines if l.startswith("uvdpa_device_info{")) == 1000
    counted = sum(1 for l in lines if l.startswith("uvdpa_queue_request_duration_seconds_count{")
                  and 'kind="write"' in l and not l.endswith(" 0"))
    assert counted == 20, counted
scrape = (time.monotonic() - begin) / 10
done.set()
asker.join()
print(f"a scrape took {scrape * 1000:.0f} ms, an answer meanwhile {max(took) * 1000:.0f} ms at most, of {len(took)}")
assert scrape < 2 and max(took) < 1
END
python3 "$tmp/scrape.py" "$ctl" || fail "scrape"
