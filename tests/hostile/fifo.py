# SPDX-License-Identifier: BSD-2-Clause
"""fifo.py CONTROL-SOCKET PID LINK WINDOW PTY NEIGHBOUR-SOCKET [SECONDS [NAME...]]

Each function is a host that attacks a card at the other end of its FIFO: LINK, a socket at which the card
listens, or WINDOW, memory that both share. The card's network device is an interface with 192.0.2.1, its console
a terminal at PTY. Afterwards they serve an honest host.
"""
import fcntl, tty
import sys
from vu import *

ctl, pid, link, window, pty, neighbour = sys.argv[1], int(sys.argv[2]), *sys.argv[3:7]
seconds = float(sys.argv[7]) if len(sys.argv) > 7 else 0.5
patience = float(os.environ.get("PATIENCE", "1"))	# where much else runs
rnd = random.Random(int(os.environ.get("SEED", "1")))
NET, CONSOLE, CTRL_REQ = 1, 3, 0xfd


def until():
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield


def header(kind, length, extra=bytes(4)):
    h = struct.pack(">BH", kind, length) + extra
    return h + bytes([-sum(h) & 0xff])


def message(kind, payload):
    return header(kind, len(payload)) + payload + bytes(-len(payload) % 8)


ARP = bytes.fromhex("ffffffffffff 001acaffff02 0806 0001 0800 06 04 0001 001acaffff02 c0000202 000000000000 c0000201")


class Host:
    """One connection, as soon as the card has one to give."""

    def __init__(self):
        end = time.monotonic() + 10
        while True:
            self.s = socket.socket(socket.AF_UNIX)
            self.s.settimeout(5)
            try:
                self.s.connect(link)
                return
            except (BlockingIOError, socket.timeout, ConnectionError):
                self.s.close()
                if time.monotonic() > end:
                    raise Gone("nobody listens")
                time.sleep(0.01)

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.s.close()

    def send(self, data):
        """Return: false when the card has had enough."""
        try:
            self.s.sendall(data)
            return True
        except OSError:
            return False

    def take(self, n):
        data = b""
        while len(data) < n:
            got = self.s.recv(n - len(data))
            if not got:
                raise Gone("closed")
            data += got
        return data

    def next(self, kind, want):
        """Wait for a message that has these bytes."""
        end = time.monotonic() + 10
        text = b""
        while time.monotonic() < end:
            k, length = struct.unpack(">BH", self.take(8)[:3])
            payload = self.take(length + -length % 8)[:length]
            text = payload if k == NET else text + payload if k == kind else text
            if k == kind and want in text:
                return
        raise TimeoutError("message %u" % kind)


def honest():
    with Host() as h:
        fd = os.open(pty, os.O_RDWR | os.O_NOCTTY)
        try:
            tty.setraw(fd)
            word = b"%08x" % rnd.getrandbits(32)
            end = time.monotonic() + 10
            seen = b""
            while word not in seen:	# the card may not know yet who is there
                h.send(message(CONSOLE, word))
                if select.select([fd], [], [], 0.2)[0]:
                    seen += os.read(fd, 65536)
                if time.monotonic() > end:
                    raise TimeoutError("console")
            word = b"%08x" % rnd.getrandbits(32)
            os.write(fd, word)
            h.next(CONSOLE, word)
        finally:
            os.close(fd)
        h.send(message(NET, ARP))
        h.next(NET, ARP[28:32])	# who has asked is answered


def frames(n=8):
    return b"".join(message(NET, ARP + os.urandom(rnd.randrange(1400))) for i in range(n))


# ---- the socket

def random_bytes():
    for x in until():
        with Host() as h:
            for n in range(20):
                if not h.send(os.urandom(rnd.randrange(1, 20000))):
                    break


def headers_of_all_kinds():
    for x in until():
        with Host() as h:
            for n in range(200):
                length = rnd.choice((0, 1, 7, 8, 13, 14, 60, 1514, 1518, 1519, 4096, 4097, 65528, 65535))
                kind = rnd.choice((0, 1, 1, 3, 3, 4, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff))
                if rnd.randrange(2):
                    h.send(header(kind, length))
                else:
                    h.send(struct.pack(">BH", kind, length) + os.urandom(5))
                if rnd.randrange(3):
                    h.send(bytes(length + -length % 8))


def parts_of_messages():
    for x in until():
        with Host() as h:
            data = frames() + message(CONSOLE, os.urandom(100))
            h.send(data[rnd.randrange(100):rnd.randrange(100, len(data))])


def comes_and_goes():
    for x in until():
        for n in range(20):
            Host().s.close()


def never_reads():
    """And asks all the while: what is answered has nowhere to go."""
    for x in until():
        with Host() as h:
            h.s.settimeout(0.2)
            for n in range(200):
                if not h.send(header(CTRL_REQ, 0) * 100 + message(NET, ARP) * 50):
                    break


def byte_by_byte():
    for x in until():
        with Host() as h:
            for b in frames(1)[:300]:
                h.send(bytes([b]))


def console_flood():
    """Nobody reads from the terminal."""
    for x in until():
        with Host() as h:
            h.s.settimeout(0.5)
            for n in range(100):
                h.send(message(CONSOLE, os.urandom(4096).replace(b"\0", b"x")))


def nothing_but_padding():
    for x in until():
        with Host() as h:
            h.send(bytes(1 << 20))
            h.send(header(NET, 0) * 10000)


# ---- the window; the card has another pair of devices there

REGS = [base + reg for base in (0x100, 0x200) for reg in (0, 8, 0x10, 0x18, 0x40, 0x48, 0x50)]


class Window:
    def __init__(self):
        self.fd = os.open(window, os.O_RDWR)
        fcntl.lockf(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 1)
        self.size = os.fstat(self.fd).st_size
        self.map = mmap.mmap(self.fd, self.size)
        self.own = os.open(window + ".host", os.O_RDWR | os.O_NONBLOCK) if os.path.exists(window + ".host") else None
        if self.own is None:
            os.mkfifo(window + ".host", 0o600)
            self.own = os.open(window + ".host", os.O_RDWR | os.O_NONBLOCK)
        self.bell = os.open(window + ".card", os.O_WRONLY | os.O_NONBLOCK)

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.map.close()
        os.unlink(window + ".host")
        for fd in self.own, self.bell, self.fd:
            os.close(fd)

    def get(self, reg):
        return struct.unpack_from("<Q", self.map, reg)[0]

    def set(self, reg, value):
        self.map[reg:reg + 8] = struct.pack("<Q", value & (1 << 64) - 1)

    def ring(self, n=1):
        try:
            os.write(self.bell, bytes(n))
        except BlockingIOError:
            pass

    def begin(self):
        """As the card expects it."""
        time.sleep(0.06)
        self.set(0x208, self.get(0x200))
        self.set(0x210, self.get(0x248))


    def put(self, data):
        """Whole words; there is room."""
        at = self.get(0x200)
        for i in range(0, len(data), 8):
            off = 0x1000 + 8192 * 8 + (at + i // 8) % 8192 * 8
            self.map[off:off + 8] = data[i:i + 8]
        self.set(0x200, at + len(data) // 8)
        self.ring()


def honest_window():
    """A word for the terminal there."""
    fd = os.open(pty + "1", os.O_RDWR | os.O_NOCTTY)
    try:
        tty.setraw(fd)
        with Window() as w:
            word, seen = b"%08x" % rnd.getrandbits(32), b""
            end = time.monotonic() + 10
            while word not in seen:
                w.begin()
                w.put(message(CONSOLE, word))
                if select.select([fd], [], [], 0.2)[0]:
                    seen += os.read(fd, 65536)
                if time.monotonic() > end:
                    raise TimeoutError("console of the window")
    finally:
        os.close(fd)


def registers_of_all_kinds():
    near = (0, 1, 2, 8191, 8192, 8193, 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
    for x in until():
        with Window() as w:
            w.begin()
            for n in range(300):
                reg = rnd.choice(REGS)
                w.set(reg, rnd.choice(near) if rnd.randrange(2) else w.get(reg) + rnd.choice(near))
                w.ring(rnd.choice((1, 1, 100)))
                if n % 50 == 0:
                    time.sleep(0.002)


def words_of_all_kinds():
    for x in until():
        with Window() as w:
            w.begin()
            for n in range(100):
                w.map[0x1000:w.size] = os.urandom(w.size - 0x1000)
                w.set(0x200, w.get(0x240) + rnd.randrange(8193))
                w.ring()
                time.sleep(0.001)


def bell_without_end():
    for x in until():
        with Window() as w:
            for n in range(2000):
                w.ring(4096)


def memory_is_cut_off():
    with Window() as w:
        w.begin()
        w.map.close()
        size = w.size
        for keep in (0, 0x1000, 0x2000):
            os.ftruncate(w.fd, keep)
            for n in range(20):
                w.ring()
                time.sleep(0.001)
            os.ftruncate(w.fd, size)
        os.pwrite(w.fd, b"uvdpfifo" + struct.pack("<II", 1, 8192), 0)
        w.map = mmap.mmap(w.fd, size)


attacks = [random_bytes, headers_of_all_kinds, parts_of_messages, comes_and_goes, never_reads, byte_by_byte,
           console_flood, nothing_but_padding, registers_of_all_kinds, words_of_all_kinds, bell_without_end,
           memory_is_cut_off]
def both():
    honest()
    honest_window()


both()
control = Control(ctl, pid, neighbour)
sys.exit(run(attacks, both, control, patience, sys.argv[8:]))
