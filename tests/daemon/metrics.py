# SPDX-License-Identifier: BSD-2-Clause
"""What is scraped is what the command says, in the format; and the board of the examples knows no other names.

usage: metrics.py URL COMMAND SOCKET BOARD PATH [PROMETHEUS]
	PATH		of a disk as a file, hostile to who forgets to escape
	PROMETHEUS	its address: each question of the board is asked there, too
"""
import json
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request

url, command, ctl, board, path, *prometheus = sys.argv[1:]
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')
LINE = re.compile(r"(%s)(?:\{(.*)\})? (\S+)" % NAME)
# Of a queue, and no counter: which it is; and what is made of a histogram.
OTHER = re.compile(r"qidx|port|.*_took_(p50|p99|p999|max|sum)_ns")


def unescape(value):
    return re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], value)


def labels_of(text):
    labels, at = {}, 0
    while at < len(text):
        m = LABEL.match(text, at)
        assert m and m[1] not in labels, text
        labels[m[1]] = unescape(m[2])
        at = m.end()
    return labels


def scrape():
    """name: {labels: value}; the format is checked on the way."""
    with urllib.request.urlopen(url, timeout=60) as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8", answer.headers
        text = answer.read().decode()
    samples, family, kind, seen = {}, None, None, set()
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            family = line.split(" ")[2]
            assert family not in seen, "two texts of " + family
            seen.add(family)
        elif line.startswith("# TYPE "):
            kind = line.split(" ")[3]
            assert line.split(" ")[2] == family and kind in ("counter", "gauge", "histogram"), line
            assert (kind == "counter") == family.endswith("_total"), line
        else:
            m = LINE.fullmatch(line)
            assert m, line
            plain = re.sub("_(bucket|sum|count)$", "", m[1]) if kind == "histogram" else m[1]
            assert plain == family, line
            labels = tuple(sorted(labels_of(m[2] or "").items()))
            assert labels not in samples.setdefault(m[1], {}), line
            samples[m[1]][labels] = float(m[3])
    return samples


def value(samples, name, **labels):
    return samples[name][tuple(sorted(labels.items()))]


def uvdpa(*args):
    return json.loads(subprocess.run([command, "-s", ctl, "-j", *args], check=True, capture_output=True).stdout)


def check_histograms(samples):
    name = "uvdpa_queue_request_duration_seconds"
    for labels, count in samples[name + "_count"].items():
        buckets = sorted((float(dict(key)["le"]), n) for key, n in samples[name + "_bucket"].items()
                         if tuple(x for x in key if x[0] != "le") == labels)
        assert len(buckets) > 20 and buckets[-1] == (float("inf"), count), (labels, buckets)
        assert all(a[1] <= b[1] for a, b in zip(buckets, buckets[1:])), buckets
        # The sum is between what the bounds of the buckets allow.
        low = high = before = 0
        for i, (bound, n) in enumerate(buckets[:-1]):
            low += (n - before) * (buckets[i - 1][0] if i else 0)
            high += (n - before) * bound
            before = n
        total = samples[name + "_sum"][labels]
        assert low <= total and (before < count or total <= high), (labels, low, total, high)


def check_counters(samples):
    """Whatever a queue counts is there. Nothing moves while this is asked."""
    compared = 0
    for dev in uvdpa("dev", "show")["dev"]:
        for queue in uvdpa("dev", "vstats", "show", dev)["vstats"][dev]["queues"]:
            where = {"device": dev, "queue": str(queue["qidx"])}
            kinds = [k[:-len("_took_ns")] for k in queue if k.endswith("_took_ns")]
            for key, n in queue.items():
                if not isinstance(n, int) or OTHER.fullmatch(key):
                    continue
                kind = key[:-len("_requests")] if key.endswith("_requests") else None
                if kind in kinds:
                    got = value(samples, "uvdpa_queue_request_duration_seconds_count", kind=kind, **where)
                else:
                    name = {"bytes_in": "in_bytes", "bytes_out": "out_bytes"}.get(key, key.replace(" ", "_"))
                    got = value(samples, "uvdpa_queue_" + re.sub("^cvq_", "control_", name) + "_total", **where)
                assert got == n, (dev, key, got, n)
                compared += 1
    assert compared > 50, compared


def check_devices(samples):
    devs = uvdpa("dev", "show")["dev"]
    infos = {dict(key)["device"]: dict(key) for key in samples["uvdpa_device_info"]}
    assert set(devs) == set(infos) and samples["uvdpa_devices"][()] == len(devs)
    for name, dev in devs.items():
        info = infos[name]
        assert (info["type"], info["mgmtdev"], info["driver"]) == (dev["type"], dev["mgmtdev"], dev.get("driver", ""))
        assert value(samples, "uvdpa_device_ready", device=name) == dev["ready"]
        assert value(samples, "uvdpa_device_running", device=name) == ("DRIVER_OK" in dev["status"])
        assert value(samples, "uvdpa_device_broken", device=name) == 0
    # Whatever is in a path comes through.
    assert infos["hostile"]["endpoint"] == path, infos["hostile"]
    assert value(samples, "uvdpa_device_events_total", event="added") == len(devs)
    for name in ("resident_memory_bytes", "virtual_memory_bytes", "open_fds", "max_fds", "threads"):
        assert samples["process_" + name][()] > 0, name
    assert abs(samples["process_start_time_seconds"][()] - time.time()) < 1000


def questions():
    """The board's expressions."""
    with open(board, encoding="utf-8") as f:
        for panel in json.load(f)["panels"]:
            for target in panel["targets"]:
                yield panel["title"], target["expr"]


def check_board(samples):
    names = set()
    for _, expr in questions():
        names |= set(re.findall(r"\b(?:uvdpa|process)_[a-z_]+", expr))
    assert len(names) > 15
    assert names <= set(samples), names - set(samples)


def ask(expr):
    query = urllib.parse.urlencode({"query": expr})
    with urllib.request.urlopen("http://%s/api/v1/query?%s" % (prometheus[0], query), timeout=30) as answer:
        data = json.load(answer)
    assert data["status"] == "success", data
    return data["data"]["result"]


def ask_board():
    """Until there are enough samples for rates, there is no answer to most."""
    end = time.monotonic() + 60
    for title, expr in questions():
        for name, text in (("$device", ".*"), ("$__rate_interval", "15s"), ("$job", "uvdpa")):
            expr = expr.replace(name, text)
        assert "$" not in expr, expr
        while not ask(expr):
            assert time.monotonic() < end, "no answer for \"%s\": %s" % (title, expr)
            time.sleep(0.2)


got = scrape()
if prometheus:
    ask_board()
else:
    check_devices(got)
    check_counters(got)
    check_histograms(got)
    check_board(got)
