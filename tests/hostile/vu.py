# SPDX-License-Identifier: BSD-2-Clause
"""A vhost-user front-end that can be told to misbehave, and what watches the daemon meanwhile."""
import array, json, mmap, os, random, select, socket, struct, threading, time

(GET_FEATURES, SET_FEATURES, SET_OWNER, RESET_OWNER, SET_MEM_TABLE, SET_LOG_BASE, SET_LOG_FD, SET_VRING_NUM,
 SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR,
 GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, GET_QUEUE_NUM, SET_VRING_ENABLE) = range(1, 19)
SET_BACKEND_REQ_FD, GET_CONFIG, SET_CONFIG = 21, 24, 25
RESET_DEVICE, GET_MAX_MEM_SLOTS, ADD_MEM_REG, REM_MEM_REG, SET_STATUS, GET_STATUS = 34, 36, 37, 38, 39, 40

V1, PF, EVENT_IDX, INDIRECT, PACKED = 1 << 32, 1 << 30, 1 << 29, 1 << 28, 1 << 34
PROTOCOL = 1 << 0 | 1 << 3 | 1 << 5 | 1 << 9 | 1 << 13 | 1 << 15	# MQ REPLY_ACK BACKEND_REQ CONFIG RESET SLOTS
GPA, UVA, SIZE, NUM = 0x100000, 0x7f0000000000, 1 << 20, 64
DESC, AVAIL, USED, DATA = 0, 0x2000, 0x4000, 0x10000


class Gone(Exception):
    pass


class Frontend:
    """One connection, with a megabyte of memory and up to two rings."""

    def __init__(self, path, features=V1 | PF, rings=1):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.connect(path)
        self.s.settimeout(5)
        self.features, self.rings = features, rings
        self.mem_fd = os.memfd_create("guest", 0)
        os.ftruncate(self.mem_fd, SIZE)
        self.mem = mmap.mmap(self.mem_fd, SIZE)
        self.kick = [os.eventfd(0, os.EFD_NONBLOCK) for i in range(rings)]
        self.call = [os.eventfd(0, os.EFD_NONBLOCK) for i in range(rings)]
        self.idx = [0] * rings
        self.features_agreed = False

    def close(self):
        self.s.close()
        self.mem.close()
        for fd in [self.mem_fd] + self.kick + self.call:
            os.close(fd)

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.close()

    def send(self, request, payload=b"", fds=(), flags=1):
        m = struct.pack("<III", request, flags, len(payload)) + payload
        try:
            self.s.sendmsg([m], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
                           if fds else [])
        except OSError as e:
            raise Gone(e)

    def reply(self):
        h = self.take(12)
        return self.take(struct.unpack("<III", h)[2])

    def take(self, n):
        data = b""
        while len(data) < n:
            try:
                got = self.s.recv(n - len(data))
            except ConnectionError as e:
                raise Gone(e)
            if not got:
                raise Gone("closed")
            data += got
        return data

    def get(self, request, payload=b""):
        self.send(request, payload)
        return self.reply()

    def ack(self, request, payload=b"", fds=()):
        """Return: whether the back-end agrees."""
        self.send(request, payload, fds, 1 | 8)
        return self.reply() == bytes(8)

    def region(self, gpa=GPA, size=SIZE, uva=UVA, offset=0):
        return struct.pack("<QQQQ", gpa, size, uva, offset)

    def table(self, *regions, fds=None):
        return self.ack(SET_MEM_TABLE, struct.pack("<II", len(regions), 0) + b"".join(regions),
                        fds or [self.mem_fd] * len(regions))

    def handshake(self):
        self.send(SET_OWNER)
        self.get(GET_FEATURES)
        self.get(GET_PROTOCOL_FEATURES)
        self.send(SET_PROTOCOL_FEATURES, struct.pack("<Q", PROTOCOL))
        assert self.ack(SET_FEATURES, struct.pack("<Q", self.features))

    def base(self, i):
        return i * 0x6000

    def ring(self, i=0, avail=0):
        b = UVA + self.base(i)
        assert self.ack(SET_VRING_NUM, struct.pack("<II", i, NUM))
        assert self.ack(SET_VRING_BASE, struct.pack("<II", i, avail))
        assert self.ack(SET_VRING_ADDR, struct.pack("<IIQQQQ", i, 0, b + DESC, b + USED, b + AVAIL, 0))
        assert self.ack(SET_VRING_CALL, struct.pack("<Q", i), [self.call[i]])
        assert self.ack(SET_VRING_KICK, struct.pack("<Q", i), [self.kick[i]])
        return self.ack(SET_VRING_ENABLE, struct.pack("<II", i, 1))

    def start(self):
        self.handshake()
        assert self.table(self.region())
        for i in range(self.rings):
            assert self.ring(i)
        return self

    def stop(self, i=0):
        return struct.unpack("<II", self.get(GET_VRING_BASE, struct.pack("<II", i, 0)))[1]

    def put(self, request, i=0, sector=0, length=512, notify=True):
        """A request of three descriptors in a split ring; not more than NUM / 4 at once."""
        b, slot = self.base(i), self.idx[i] % (NUM // 4)
        head, at = slot * 3, DATA + slot * 0x2000
        struct.pack_into("<IIQ", self.mem, at, request, 0, sector)
        self.mem[at + 16] = 0xff
        for n, (addr, size, flags) in enumerate((
                (at, 16, 1), (at + 0x1000, length, 1 | (0 if request == 1 else 2)), (at + 16, 1, 2))):
            struct.pack_into("<QIHH", self.mem, b + DESC + (head + n) * 16, GPA + addr, size, flags,
                             head + n + 1)
        struct.pack_into("<H", self.mem, b + AVAIL + 4 + self.idx[i] % NUM * 2, head)
        self.idx[i] = self.idx[i] + 1 & 0xffff
        at_once = struct.pack("<H", self.idx[i])	# pack_into() makes it zero first
        self.mem[b + AVAIL + 2:b + AVAIL + 4] = at_once
        if notify:
            self.notify(i)
        return at + 16

    def notify(self, i=0):
        try:
            os.eventfd_write(self.kick[i], 1)
        except BlockingIOError:
            pass

    def used(self, i=0):
        return struct.unpack_from("<H", self.mem, self.base(i) + USED + 2)[0]

    def io(self, i=0, seconds=5, **how):
        """One read, to its end. Return: the status byte."""
        at = self.put(0, i, **how)
        end = time.monotonic() + seconds
        while self.used(i) != self.idx[i]:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError("request")
            select.select([self.call[i]], [], [], min(left, 0.05))
            try:
                os.eventfd_read(self.call[i])
            except BlockingIOError:
                pass
        return self.mem[at]


class Control:
    """Asks the daemon, over and over, how it is; and reads beside it all the while."""

    def __init__(self, ctl, pid, neighbour):
        self.ctl, self.pid, self.neighbour = ctl, pid, neighbour
        self.slowest = {"dev show": 0, "neighbour": 0}
        self.times = {"dev show": [], "neighbour": []}
        self.error = None
        self.stopping = False

    def call(self, method, timeout=10, **params):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(timeout)
            s.connect(self.ctl)
            s.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method,
                                  "params": params}).encode() + b"\n")
            return json.loads(s.makefile("rb").readline())

    def footprint(self):
        p = "/proc/%d/" % self.pid
        with open(p + "maps") as f:
            maps = sum("memfd:guest" in line for line in f)
        with open(p + "status") as f:
            rss = [int(line.split()[1]) for line in f if line.startswith("VmRSS")][0]
        threads = 0
        for task in os.listdir(p + "task"):	# the kernel's own, of io_uring, come and go
            with open(p + "task/" + task + "/comm") as f:
                threads += not f.read().startswith("iou-")
        return {"fds": len(os.listdir(p + "fd")), "threads": threads,
                "guest maps": maps, "rss": rss}

    def timed(self, what, fn):
        begin = time.monotonic()
        fn()
        took = time.monotonic() - begin
        self.times[what].append(took)
        self.slowest[what] = max(self.slowest[what], took)

    def watch(self):
        try:
            with Frontend(self.neighbour) as f:
                f.start()
                while not self.stopping:
                    self.timed("dev show", lambda: self.call("dev.show"))
                    self.timed("neighbour", f.io)
                    time.sleep(0.01)
        except Exception as e:
            self.error = e

    def __enter__(self):
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def __exit__(self, *args):
        self.stopping = True
        self.thread.join()


def run(attacks, honest, control, patience, only=()):
    """Each attack, and an honest front-end after it, while control looks. Return: whether anything failed."""
    failed = False
    with Frontend(control.neighbour) as f:	# its front-end is there at both times
        f.start()
    time.sleep(0.2)
    before = control.footprint()
    with control:
        for fn in attacks:
            if only and fn.__name__ not in only:
                continue
            begin = time.monotonic()
            try:
                fn()
            except (Gone, TimeoutError) as e:
                print("%s: ended with %r" % (fn.__name__, e))
            took = time.monotonic() - begin
            try:
                honest()
            except Exception as e:
                print("FAIL: after %s: %r" % (fn.__name__, e))
                failed = True
            if control.error:
                print("FAIL: neighbour or control at %s: %r" % (fn.__name__, control.error))
                return True
            print("%-40s %5.2f s  %s" % (fn.__name__, took,
                  {k: "%.1f ms" % (1e3 * v) for k, v in control.slowest.items()}), flush=True)
            control.slowest = dict.fromkeys(control.slowest, 0)
    for i in range(100):
        after = control.footprint()
        if all(after[k] <= before[k] for k in ("fds", "threads", "guest maps")):
            break
        time.sleep(0.05)
    else:
        failed = True
        print("FAIL: something is left")
    print("before %s, after %s" % (before, after))
    if after["rss"] > before["rss"] + (32 << 10):
        failed = True
        print("FAIL: %u KiB more memory" % (after["rss"] - before["rss"]))
    for what, t in control.times.items():
        t.sort()
        print("%s: %d times, median %.2f ms, p99 %.2f ms, max %.2f ms" % (what, len(t), 1e3 * t[len(t) // 2],
              1e3 * t[len(t) * 99 // 100], 1e3 * t[-1]))
    if max(t[-1] for t in control.times.values()) > 2 * patience:
        failed = True
        print("FAIL: somebody had to wait for it")
    return failed
