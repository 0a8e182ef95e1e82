#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What went over a control socket (uvdpad --record) is what the schema says.

usage: protocol.py SCHEMA RECORD

Each line that a client is told is valid: an answer, with the result of the method that was asked for,
or an event. What the daemon took was a valid request, and what it refused as none was no valid one."""
import collections
import json
import re
import sys

from jsonschema import Draft202012Validator
from jsonschema.validators import extend

INVALID, NO_METHOD, BAD_PARAMS = -32600, -32601, -32602
KINDS = ["request", "answer", "event", "events.lost"]

# To JSON Schema 1.0 is an integer, to the daemon it is none.
integer = Draft202012Validator.TYPE_CHECKER.redefine(
    "integer", lambda checker, v: isinstance(v, int) and not isinstance(v, bool))
Validator = extend(Draft202012Validator, type_checker=integer)


class Record:
    def __init__(self, path):
        with open(path) as f:
            schema = json.load(f)
        Validator.check_schema(schema)
        self.defs = schema["$defs"]
        self.validators = {}
        self.seen = set()
        self.asked = collections.defaultdict(list)  # (client, id): its requests
        self.bad = []
        self.count = collections.Counter()

    def why(self, what, value):
        """None if the value is a valid one of what."""
        if what not in self.validators:
            ref = {"$ref": "#/$defs/" + what, "$defs": self.defs}
            self.validators[what] = Validator(ref)
        return next((f"{'/'.join(map(str, e.absolute_path))}: {e.message[:300]}"
                     for e in self.validators[what].iter_errors(value)), None)

    def complain(self, line, text):
        self.bad.append(f"{line[:300]}: {text}")

    def request(self, client, line):
        try:
            o = json.loads(line)
        except (ValueError, RecursionError):
            return  # the daemon says so, in an answer without id
        if isinstance(o, dict) and "id" in o and isinstance(o["id"], (str, int, float, type(None))):
            self.asked[client, repr(o["id"])].append((o, line))

    def accepted(self, request, answer):
        """Did the daemon take the request for a valid one?"""
        return answer.get("error", {}).get("code") not in (INVALID, NO_METHOD, BAD_PARAMS)

    def fits(self, request, answer):
        """Why this is no answer to that request; None if it is."""
        why = self.why("request", request)
        if self.accepted(request, answer) != (why is None):
            # Whether a number has 64 bits no pattern can say.
            if "64 bits" in answer.get("error", {}).get("message", ""):
                return None
            return f"the daemon took {request}" if why else f"refused, but valid: {request}"
        if "result" in answer:
            return self.why("results/" + request["method"], answer["result"])
        return None

    def told(self, client, line):
        o = json.loads(line)
        kind = o.get("method", "answer")
        kind = {"event": "event", "events.lost": "events.lost"}.get(kind, "answer")
        # Of what is alike but for when it happened, one is enough.
        same = re.sub(r'"(seq|time)":("[-0-9T:.]+Z"|\d+)', r'"\1"', line) if kind == "event" else None
        if same in self.seen:
            self.count[kind] += 1
            return
        self.seen.add(same)
        self.seen.discard(None)
        self.count[kind] += 1
        why = self.why(kind, o)
        if why:
            self.complain(line, why)
        if kind == "answer" and not why:
            self.answer(client, line, o)

    def answer(self, client, line, o):
        requests = self.asked.get((client, repr(o["id"])), [])
        if o["id"] is None and "error" in o:
            return  # to what was no request, unless one has this id
        if not requests:
            self.complain(line, "nobody asked")
            return
        whys = []
        for i, (request, _) in enumerate(requests):  # more than one if a client uses an id twice
            whys.append(self.fits(request, o))
            if whys[-1] is None:
                self.count[request.get("method", "?")] += 1
                del requests[i]
                return
        self.complain(line, whys[0])

    def read(self, path):
        with open(path, "rb") as f:
            for raw in f:
                if not raw.endswith(b"\n"):
                    return  # the daemon was killed within a line
                head, _, line = raw.decode("utf-8", "replace").rstrip("\n").partition(" ")
                if head[-1:] == ">":
                    self.request(head[:-1], line)
                elif head[-1:] == "<":
                    self.told(head[:-1], line)


record = Record(sys.argv[1])
record.read(sys.argv[2])
print(f"{sys.argv[2]}: {sum(record.count[k] for k in KINDS)} lines:",
      ", ".join(f"{k} {n}" for k, n in sorted(record.count.items())))
for text in record.bad[:10]:
    print("not as the schema says:", text)
sys.exit(1 if record.bad else 0)
