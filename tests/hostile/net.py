# SPDX-License-Identifier: BSD-2-Clause
"""net.py CONTROL-SOCKET PID VICTIM-SOCKET NEIGHBOUR-SOCKET [SECONDS [NAME...]]

Each function is a driver that attacks the victim, a network device that gives back what it is sent;
afterwards that serves an honest one.
"""
import sys
from vu import *  # its names are those of the specification

ctl, pid, victim, neighbour = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
seconds = float(sys.argv[5]) if len(sys.argv) > 5 else 0.5
patience = float(os.environ.get("PATIENCE", "1"))	# where much else runs
rnd = random.Random(int(os.environ.get("SEED", "1")))

CSUM, GUEST_CSUM, GUEST_OFFLOADS, MAC, MRG_RXBUF, STATUS = 1 << 0, 1 << 1, 1 << 2, 1 << 5, 1 << 15, 1 << 16
GUEST_TSO = 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 54 | 1 << 55
HOST_TSO = 1 << 11 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 56
CTRL_VQ, CTRL = 1 << 17, 1 << 17 | 1 << 18 | 1 << 19 | 1 << 20 | 1 << 21 | 1 << 23
MQ, HASH, RSS = 1 << 22, 1 << 57, 1 << 60
BASIC = V1 | PF | MAC | STATUS | CTRL
ALL = BASIC | MRG_RXBUF | CSUM | HOST_TSO | MQ | GUEST_OFFLOADS | GUEST_CSUM | GUEST_TSO
RX, TX, RX1, TX1, CVQ = range(5)
SLOTS, SLOT, AREA = 16, 0x800, 0x20000	# of a ring; bytes of one; where the first ring's are


class Nic(Frontend):
    """Two pairs and the control queue; requests of up to four descriptors."""

    def __init__(self, features=ALL):
        super().__init__(victim, features, 5)
        self.agree(features)

    def agree(self, features):
        self.features = features
        self.hdr = 20 if features & HASH else 12
        self.cvq = CVQ if features & (MQ | RSS) else RX1

    def at(self, i, slot):
        return AREA + (i * SLOTS + slot % SLOTS) * SLOT

    def add(self, i, pieces, head=None, notify=True):
        """pieces: (offset in memory, length, written by the device)"""
        if head is None:
            head = self.idx[i] % SLOTS * 4
        b = self.base(i)
        for n, (at, size, write) in enumerate(pieces):
            struct.pack_into("<QIHH", self.mem, b + DESC + (head + n) * 16, GPA + at, size,
                             (2 if write else 0) | (1 if n + 1 < len(pieces) else 0), head + n + 1)
        self.avail(i, head, notify)

    def avail(self, i, head, notify=True):
        b = self.base(i)
        struct.pack_into("<H", self.mem, b + AVAIL + 4 + self.idx[i] % NUM * 2, head)
        self.idx[i] = self.idx[i] + 1 & 0xffff
        self.mem[b + AVAIL + 2:b + AVAIL + 4] = struct.pack("<H", self.idx[i])
        if notify:
            self.notify(i)

    def post(self, i=RX, n=SLOTS - 1, size=SLOT):
        for x in range(n):
            self.add(i, [(self.at(i, self.idx[i]), size, True)])

    def tx(self, frame, header=b"", i=TX):
        at = self.at(i, self.idx[i])
        data = header.ljust(self.hdr, b"\0") + frame
        self.mem[at:at + len(data)] = data
        self.add(i, [(at, len(data), False)])

    def wait(self, i, idx=None, seconds=5):
        """Until all that was given is back, or so much of it."""
        idx = self.idx[i] if idx is None else idx & 0xffff
        end = time.monotonic() + seconds
        while self.used(i) != idx:
            if time.monotonic() > end:
                raise TimeoutError("ring %u: %u of %u" % (i, self.used(i), idx))
            time.sleep(0.0005)

    def command(self, data):
        """Return: the ack."""
        at = self.at(self.cvq, self.idx[self.cvq])
        self.mem[at:at + len(data)] = data
        self.mem[at + SLOT - 1] = 0xee
        self.add(self.cvq, [(at, len(data), False), (at + SLOT - 1, 1, True)])
        self.wait(self.cvq)
        return self.mem[at + SLOT - 1]

    def drain(self):
        """What came back on the receive queues is posted again."""
        for i in (RX, RX1):
            while self.used(i) != (self.idx[i] - SLOTS + 1 & 0xffff):
                self.add(i, [(self.at(i, self.idx[i]), SLOT, True)], notify=False)
            self.notify(i)

    def again(self):
        """As after a reset."""
        self.ack(RESET_DEVICE)
        self.ack(SET_FEATURES, struct.pack("<Q", self.features))
        for i in range(self.rings):
            self.mem[self.base(i):self.base(i) + 0x6000] = bytes(0x6000)
            self.idx[i] = 0
            self.ring(i)

    def echo(self):
        """One frame there and back, in order."""
        frame = b"\xff" * 6 + os.urandom(94)
        before = self.used(RX)
        self.tx(frame)
        self.wait(TX)
        self.wait(RX, before + 1)
        slot = struct.unpack_from("<II", self.mem, self.base(RX) + USED + 4 + before % NUM * 8)
        at = self.at(RX, slot[0] // 4) + self.hdr
        assert slot[1] == self.hdr + 100 and self.mem[at:at + 100] == frame, slot


def until():
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield


def honest():
    with Nic(BASIC | MRG_RXBUF) as f:
        f.start()
        time.sleep(0.02)	# each worker has its queues
        f.post()
        for n in range(5):
            f.echo()
        assert f.command(b"\0\0\1") == 0
        assert f.command(b"\0\0") == 1


def header():
    near = (0, 1, 2, 8, 12, 14, 20, 34, 54, 60, 100, 1000, 1448, 0xfff0, 0xffff)
    return struct.pack("<BBHHHHH", rnd.choice((0, 1, 1, 1, 2, 4, 0xff)),
                       rnd.choice((0, 1, 3, 4, 5, 0x81, 0x84, 2, 0xff)), *rnd.choices(near, k=4), 0)


def packet():
    """Something that may look like TCP or UDP over IP, tagged or not, and is wrong somewhere."""
    payload = os.urandom(rnd.randrange(1200))
    proto = rnd.choice((6, 17))
    l4 = bytearray(20 if proto == 6 else 8)
    if proto == 6:
        l4[12] = 0x50
    body = bytes(l4) + payload
    if rnd.randrange(2):
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 1, 0, 64, proto, 0, b"\n\0\0\1", b"\n\0\0\2")
        frame = b"\xff" * 12 + b"\x08\0" + ip + body
    else:
        ip = struct.pack(">IHBB", 6 << 28, len(body), proto, 64) + os.urandom(32)
        frame = b"\xff" * 12 + b"\x86\xdd" + ip + body
    frame = bytearray(frame)
    for x in range(rnd.randrange(3)):
        frame[min(12 + rnd.randrange(50), len(frame) - 1)] = rnd.randrange(256)
    return bytes(frame[:rnd.choice((len(frame), rnd.randrange(len(frame) + 1)))])


def cve_2024_11614_headers_and_frames():
    """Anything in the header, anything in the frame, to drivers that take all, some or none undone."""
    for features in (ALL, ALL & ~(GUEST_CSUM | GUEST_TSO), BASIC, ALL & ~MRG_RXBUF, ALL | HASH | RSS):
        with Nic(features) as f:
            f.start()
            f.post()
            f.post(RX1)
            for x in until():
                for n in range(8):
                    f.tx(packet(), header())
                f.wait(TX)
                f.drain()


def cve_2020_14375_contents_flip():
    """Rings, headers and frames change all the time while they are used."""
    with Nic() as f:
        f.start()
        for x in until():
            f.post(n=4)
            f.post(RX1, n=4)
            for n in range(4):
                f.tx(packet(), header(), rnd.choice((TX, TX1)))
                f.add(CVQ, [(f.at(CVQ, f.idx[CVQ]), rnd.randrange(1, 300), False),
                            (f.at(CVQ, f.idx[CVQ]) + SLOT - 1, 1, True)])
            for n in range(60):
                at = rnd.choice((rnd.randrange(5 * 0x6000), AREA + rnd.randrange(5 * SLOTS * SLOT),
                                 f.at(TX, n) + rnd.randrange(64), f.at(CVQ, n) + rnd.randrange(8)))
                f.mem[at] = rnd.choice((0, 1, 2, 4, 0x80, 0xff, rnd.randrange(256)))
            if rnd.randrange(10) == 0:
                f.again()


def chains_that_cannot_be():
    """Each breaks its own queue at most; the next driver's are whole."""
    at = AREA
    bad = [
        lambda f, i: f.add(i, [(at, 100, i % 2 == 1)]),	# the wrong way round
        lambda f, i: f.add(i, [(at, 0, i % 2 == 0)]),
        lambda f, i: f.add(i, [(at, 0xffffffff, i % 2 == 0)]),
        lambda f, i: f.add(i, [(SIZE - 10, 100, i % 2 == 0)]),
        lambda f, i: f.add(i, [(1 << 62, 100, i % 2 == 0)]),
        lambda f, i: f.add(i, [(at, 12, True), (at, 100, False)]),
        lambda f, i: f.add(i, [(at, 12, False), (at, 100, True)]),
        lambda f, i: f.add(i, [(at, 1, i % 2 == 0)] * 60),
        lambda f, i: f.avail(i, NUM),
        lambda f, i: f.avail(i, 0xffff),
        lambda f, i: [f.add(i, [(at, 100, i % 2 == 0)] * 2, 0), f.avail(i, 0)],	# twice the same
        lambda f, i: [struct.pack_into("<QIHH", f.mem, f.base(i) + DESC, GPA + at, 100,
                                       1 | (2 if i % 2 == 0 else 0), 0), f.avail(i, 0)],	# a circle
    ]
    for features in (ALL, BASIC):
        with Nic(features) as f:
            f.start()
            for how in bad:
                for i in range(5):
                    how(f, i)
                    f.tx(b"\xff" * 60)
                    f.tx(b"\xff" * 60, i=TX1)
                time.sleep(0.005)
                f.again()


def cve_2015_7295_buffers():
    """Too small for a header, just as large, in many pieces, and none at all for a long time."""
    for features in (ALL, BASIC, ALL | HASH):
        with Nic(features) as f:
            f.start()
            for x in until():
                for n in range(8):
                    at = f.at(RX, f.idx[RX])
                    size = rnd.choice((1, 2, 11, 12, 13, 19, 20, 21, 26, 60, 100, 1500))
                    if (f.idx[RX] - f.used(RX) & 0xffff) < SLOTS - 1:
                        f.add(RX, rnd.choice(([(at, size, True)], [(at, 1, True), (at + 1, size, True)],
                                              [(at, 5, True), (at + 5, 6, True), (at + 11, size, True)])))
                    f.tx(packet(), header())
                f.wait(TX)
                if f.used(RX) != f.idx[RX] and rnd.randrange(3) == 0:
                    f.again()
            f.again()
            for x in until():
                f.tx(b"\xff" * 60)	# and nowhere to put them
                f.wait(TX)
            f.post(n=1)
            f.echo()


def cve_2014_0150_commands():
    """Every class and command, of every length, with numbers that cannot be."""
    big = (0, 1, 2, 64, 65, 127, 128, 255, 0x2aaaaaab, 0x7fffffff, 0x80000000, 0xaaaaaaab, 0xffffffff)
    for features in (ALL | RSS | HASH, ALL, BASIC, V1 | PF | CTRL_VQ):
        with Nic(features) as f:
            f.start()
            f.post()
            f.post(RX1)
            cvq = f.cvq
            for x in until():
                data = bytes([rnd.choice((0, 1, 2, 3, 4, 5, 6, 255)), rnd.choice((0, 1, 2, 3, 5, 255))])
                data += rnd.choice((
                    b"".join(struct.pack("<I", rnd.choice(big)) for n in range(rnd.randrange(40))),
                    struct.pack("<I", rnd.choice(big)) + os.urandom(rnd.randrange(500)),
                    struct.pack("<IHH", rnd.choice((0, 1, 0x1ff, 0x200)), rnd.choice((0, 1, 3, 127, 128, 65535)),
                                rnd.choice((0, 1, 2, 65535))) + struct.pack("<H", rnd.choice((0, 1, 2, 9))) *
                    rnd.choice((1, 4, 128, 129)) + struct.pack("<HB", rnd.choice((0, 1, 2, 3)),
                                                               rnd.choice((0, 40, 41, 255))) + os.urandom(40),
                    os.urandom(rnd.randrange(12))))
                at = f.at(cvq, f.idx[cvq])
                f.mem[at:at + len(data)] = data
                how = rnd.randrange(6)
                pieces = [(at, len(data), False), (at + SLOT - 1, 1, True)]
                if how == 0:
                    pieces = pieces[:1]	# nowhere to say so
                elif how == 1:
                    pieces = [(at, 1, False), (at + 1, 1, False), (at + 2, max(len(data) - 2, 1), False),
                              pieces[1]]
                elif how == 2:
                    pieces = pieces[1:]
                f.add(cvq, pieces)
                f.wait(cvq)
                f.tx(packet())
                if features & MQ:
                    f.tx(packet(), i=TX1)
                    f.wait(TX1)
                f.wait(TX)
                f.drain() if features & MQ else None


def pairs_come_and_go():
    """Frames are steered to queues that stop, run again, or never ran."""
    rss = lambda a, b: struct.pack("<BBIHHHHHB", 4, 1, 0x3f, 1, 1, a, b, 2, 40) + bytes(range(40))
    with Nic(ALL | RSS) as f:
        f.start()
        f.post()
        f.post(RX1)
        assert f.command(rss(0, 1)) == 0
        assert f.command(rss(0, 2)) == 1
        for x in until():
            for n in range(4):
                f.tx(packet())
                f.tx(packet(), i=TX1)
            how, i = rnd.randrange(4), rnd.choice((RX, TX, RX1, TX1))
            if how == 0:
                f.idx[i] = f.stop(i)
                f.tx(packet(), i=TX1 if i < RX1 else TX)
                f.ring(i, f.idx[i])
            elif how == 1:
                f.ack(SET_VRING_ENABLE, struct.pack("<II", i, 0))
                f.command(rss(rnd.randrange(2), rnd.randrange(2)))
                f.ack(SET_VRING_ENABLE, struct.pack("<II", i, 1))
            elif how == 2:
                f.command(struct.pack("<BBH", 4, 0, rnd.choice((1, 2, 2))))
            elif rnd.randrange(4) == 0:
                f.again()
                f.post()
                f.post(RX1)
            f.drain()


def call_full_and_blocking():
    """Of the receive queue, while another pair's worker brings frames there."""
    with Nic() as f:
        f.start()
        f.post()
        for x in range(3):
            try:
                os.eventfd_read(f.call[RX])
            except BlockingIOError:
                pass
            os.eventfd_write(f.call[RX], (1 << 64) - 2)
            os.set_blocking(f.call[RX], True)
            for n in range(8):
                f.tx(b"\xff" * 60, i=TX1)
            f.wait(TX1)	# who brings them is not held up
            time.sleep(0.02)
            os.set_blocking(f.call[RX], False)
            os.eventfd_read(f.call[RX])
            f.drain()


def cve_2019_3900_floods():
    """Both transmit queues always full, no buffer ever."""
    with Nic() as f:
        f.start()
        for x in until():
            for i in (TX, TX1):
                while (f.idx[i] - f.used(i) & 0xffff) < SLOTS - 1:
                    f.add(i, [(f.at(i, f.idx[i]), 72, False)], notify=False)
                f.notify(i)
        assert f.command(b"\0\0\1") == 0


def memory_is_cut_off():
    for keep in (0, 0x1000, 0x6000, AREA, AREA + SLOT + 8):
        with Nic() as f:
            f.start()
            f.post()
            for x in until():
                for n in range(8):
                    f.tx(packet(), header())
                break
            f.mem.close()
            os.ftruncate(f.mem_fd, keep)
            for n in range(20):
                for i in range(5):
                    f.notify(i)
                time.sleep(0.001)
            for i in range(5):
                f.stop(i)
            os.ftruncate(f.mem_fd, SIZE)
            f.mem = mmap.mmap(f.mem_fd, SIZE)


def cve_2023_3301_unplugged():
    path = victim + ".3"
    for x in until():
        r = control.call("dev.add", name="third", mgmtdev="sim-net", attrs={"mode": "echo", "max_vqp": "2"},
                         driver="vhost-user", driver_attrs={"socket": path})
        assert "result" in r, r
        f = Nic()
        with f:
            f.s.close()
            f.s = socket.socket(socket.AF_UNIX)
            f.s.connect(path)
            f.s.settimeout(5)
            f.start()
            f.post()
            for n in range(rnd.randrange(12)):
                f.tx(packet(), header())
            assert "result" in control.call("dev.del", name="third")


def leaves_in_the_middle():
    for x in until():
        with Nic() as f:
            f.start()
            f.post()
            for n in range(rnd.randrange(12)):
                f.tx(packet(), header(), rnd.choice((TX, TX1)))


attacks = [fn for name, fn in list(globals().items()) if callable(fn) and getattr(fn, "__module__", "") ==
           "__main__" and name not in ("until", "honest", "header", "packet", "Nic")]
honest()
control = Control(ctl, pid, neighbour)
sys.exit(run(attacks, honest, control, patience, sys.argv[6:]))
