# SPDX-License-Identifier: BSD-2-Clause
"""backend.py SOCKET SECONDS [block|console|rng]: a back-end that agrees to everything, then lies in rings and answers"""
import sys
from vu import *

path, seconds = sys.argv[1], float(sys.argv[2])
rnd = random.Random(int(os.environ.get("SEED", "1")))
# Features of the type: FLUSH, BLK_SIZE; SIZE, MULTIPORT. Queues; the configuration.
FEATURES, QUEUES, CONFIG = {
    "block": (1 << 9 | 1 << 6, 1, struct.pack("<QIIHBBI", 32768, 0, 126, 0, 0, 0, 512)),
    "console": (1 << 0 | 1 << 1, 8, struct.pack("<HHII", 80, 25, 3, 0)),
    "rng": (0, 1, b""),
}[sys.argv[3] if len(sys.argv) > 3 else "block"]
REPLY, FEATURES = 4 | 1, FEATURES | V1 | PF | EVENT_IDX | INDIRECT
counts = dict(connections=0, messages=0, flips=0, lies=0)


def answer(request, payload):
    u64 = lambda v: struct.pack("<Q", v)
    if request == GET_FEATURES:
        return u64(FEATURES)
    if request == GET_PROTOCOL_FEATURES:
        return u64(PROTOCOL)
    if request == GET_QUEUE_NUM:
        return u64(QUEUES)
    if request == GET_MAX_MEM_SLOTS:
        return u64(32)
    if request == GET_VRING_BASE:
        return payload
    if request == GET_CONFIG:
        off, size, flags = struct.unpack_from("<III", payload)
        return payload[:12] + (CONFIG + bytes(300))[off:off + size]
    return None


class Backend:
    def __init__(self, s, lie):
        self.s, self.lie = s, lie
        self.maps, self.fds, self.calls, self.buf = [], [], [], b""

    def close(self):
        for m in self.maps:
            m.close()
        for fd in self.fds:
            os.close(fd)
        self.s.close()

    def read(self):
        """Return: false when the connection has ended."""
        try:
            data, anc, flags, addr = self.s.recvmsg(4096, 4096)
        except (ConnectionError, socket.timeout):
            return False
        new = array.array("i")
        for level, kind, d in anc:
            new.frombytes(d[:len(d) // 4 * 4])
        self.fds += new
        for fd in new:
            try:
                self.maps.append(mmap.mmap(fd, os.fstat(fd).st_size))
            except (ValueError, OSError):
                self.calls.append(fd)
        self.buf += data
        while len(self.buf) >= 12:
            request, flags, size = struct.unpack_from("<III", self.buf)
            if len(self.buf) < 12 + size:
                break
            self.handle(request, flags, self.buf[12:12 + size])
            self.buf = self.buf[12 + size:]
        return bool(data)

    def handle(self, request, flags, payload):
        counts["messages"] += 1
        reply = answer(request, payload)
        if reply is None and flags & 8:
            reply = bytes(8)
        if reply is None:
            return
        flags = REPLY
        if rnd.random() < self.lie:
            counts["lies"] += 1
            how = rnd.randrange(7)
            if how == 0:
                request = rnd.randrange(64)
            elif how == 1:
                reply = os.urandom(len(reply))
            elif how == 2:
                reply = reply[:rnd.randrange(len(reply) + 1)]
            elif how == 3:
                flags = rnd.getrandbits(4)
            elif how == 4:
                reply = struct.pack("<Q", rnd.choice((0, 1, (1 << 64) - 1, 1 << 63, 65536, 257)))
            elif how == 5:
                self.s.sendall(os.urandom(rnd.randrange(1, 30)))
            else:
                return	# nothing
        self.s.sendall(struct.pack("<III", request, flags, len(reply)) + reply)

    def flip(self):
        for m in self.maps:
            for n in range(200):
                at = rnd.randrange(min(len(m), 0x8000))
                m[at] = rnd.choice((0, 1, 2, 3, 0x80, 0xff, rnd.randrange(256)))
            counts["flips"] += 1
        for fd in self.calls:
            try:
                os.eventfd_write(fd, 1)
            except OSError:
                pass


listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen(8)
listener.settimeout(0.2)
end = time.monotonic() + seconds
while time.monotonic() < end:
    try:
        s, addr = listener.accept()
    except socket.timeout:
        continue
    counts["connections"] += 1
    b = Backend(s, 0 if counts["connections"] % 2 else 0.2)
    last = min(end, time.monotonic() + rnd.choice((0.1, 0.3, 0.6)))
    s.settimeout(1)
    try:
        while time.monotonic() < last:
            if select.select([s], [], [], 0.005)[0] and not b.read():
                break
            b.flip()
    except OSError:
        pass
    b.close()
print(counts)
