# SPDX-License-Identifier: BSD-2-Clause
"""frontend.py CONTROL-SOCKET PID VICTIM-SOCKET NEIGHBOUR-SOCKET [SECONDS [NAME...]]

Each function is a front-end that attacks the victim; afterwards the victim serves an honest one.
"""
import sys
from vu import *  # its names are those of the specification

ctl, pid, victim, neighbour = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
seconds = float(sys.argv[5]) if len(sys.argv) > 5 else 0.5
patience = float(os.environ.get("PATIENCE", "1"))	# where much else runs
rnd = random.Random(int(os.environ.get("SEED", "1")))


def until():
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield


def cve_2020_14375_ring_contents_flip():
    """Everything in the rings changes all the time while they run: CVE-2015-8550, CVE-2026-5763."""
    for features in (V1 | PF, V1 | PF | EVENT_IDX | INDIRECT, V1 | PF | PACKED):
        with Frontend(victim, features, 2) as f:
            f.start()
            for x in until():
                for i in range(2):
                    f.put(rnd.choice((0, 1, 4, 8, 11, 13)), i, rnd.choice((0, 1, 1 << 63)), 512)
                for x in range(20):
                    at = rnd.choice((rnd.randrange(0xc000), rnd.randrange(0xc000), DATA + rnd.randrange(64)))
                    f.mem[at] = rnd.choice((0, 1, 2, 4, 0x80, 0xff, rnd.randrange(256)))
                if rnd.randrange(20) == 0:	# rings break: begin anew
                    for i in range(2):
                        f.stop(i)
                        f.mem[f.base(i):f.base(i) + 0x6000] = bytes(0x6000)
                        f.idx[i] = 0
                    f.ack(RESET_DEVICE)
                    f.ack(SET_FEATURES, struct.pack("<Q", features))
                    for i in range(2):
                        f.ring(i)


def memory_is_cut_off():
    """ftruncate() of the memory under load: the rest reads as zeros, nobody dies."""
    for keep in (0, 0x1000, 0x3000, DATA):
        with Frontend(victim) as f:
            f.start()
            for x in until():
                for n in range(4):
                    f.put(0)
                with_io = rnd.randrange(2)
                if with_io:
                    time.sleep(0.002)
                break
            f.mem.close()
            os.ftruncate(f.mem_fd, keep)
            for n in range(20):
                f.notify()
                time.sleep(0.001)
            f.stop()
            os.ftruncate(f.mem_fd, SIZE)
            f.mem = mmap.mmap(f.mem_fd, SIZE)
            f.idx[0] = 0


def cve_2018_1059_regions_that_cannot_be():
    big = 1 << 63
    with Frontend(victim) as f:
        f.handshake()
        for bad in ((0, 0, UVA, 0), (GPA, 1 << 64 - 1, UVA, 0), (GPA, big, UVA, 0), (GPA, big, big, big),
                    ((1 << 64) - 0x1000, 0x2000, UVA, 0), (GPA, 0x2000, (1 << 64) - 0x1000, 0),
                    (GPA, 0x1000, UVA, (1 << 64) - 0x1000), (GPA, 0x1000, UVA, SIZE), (GPA, SIZE + 1, UVA, 0),
                    (GPA, 0x1000, UVA, 1), ((1 << 64) - 0x1000, 0x1000, UVA, 0)):
            f.table(f.region(*[x & (1 << 64) - 1 for x in bad]))
        assert not f.table(f.region(), f.region(GPA + 0x1000, 0x1000, UVA + SIZE))
        assert not f.table(f.region(), f.region(GPA + SIZE, SIZE, UVA + 0x1000))
        assert f.table(f.region(), f.region(GPA + SIZE, SIZE, UVA + SIZE))	# the same file twice
        edges = [0, 1, 0x1000, SIZE, 1 << 31, 1 << 32, big, (1 << 64) - SIZE, (1 << 64) - 1]
        for x in until():
            f.table(*[f.region(*rnd.choices(edges + [GPA, UVA], k=4)) for n in range(rnd.randrange(8))])
        assert f.table(f.region())
        assert f.ring() and f.io() == 0


def memory_changes_while_it_runs():
    for x in range(1):
        with Frontend(victim) as f:
            f.start()
            for x in until():
                for n in range(4):
                    f.put(0)
                how = rnd.randrange(5)
                if how == 0:
                    f.table(f.region())
                elif how == 1:
                    f.table(f.region(), f.region(GPA + SIZE, SIZE, UVA + SIZE))
                elif how == 2:
                    f.ack(REM_MEM_REG, bytes(8) + f.region())	# the ring's own
                    f.ack(ADD_MEM_REG, bytes(8) + f.region(), [f.mem_fd])
                elif how == 3:
                    f.table()
                    f.table(f.region())
                else:
                    f.table(f.region(GPA + 0x100000))	# elsewhere
                    f.table(f.region())


def call_full_and_blocking():
    with Frontend(victim) as f:
        f.start()
        for x in range(3):
            try:
                os.eventfd_read(f.call[0])
            except BlockingIOError:
                pass
            os.eventfd_write(f.call[0], (1 << 64) - 2)
            os.set_blocking(f.call[0], True)
            for n in range(4):
                f.put(0)
            time.sleep(0.05)
            f.stop()
            os.set_blocking(f.call[0], False)
            os.eventfd_read(f.call[0])
            f.ring(avail=f.idx[0])


def cve_2020_10942_descriptors_of_other_kinds():
    a, b = socket.socketpair()
    r, w = os.pipe()
    null, folder, ep = os.open("/dev/null", os.O_RDWR), os.open("/", os.O_RDONLY), select.epoll()
    dgram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    kinds = [a.fileno(), r, w, null, folder, ep.fileno(), dgram.fileno()]
    for fd in kinds:
        for request in (SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR, SET_BACKEND_REQ_FD, ADD_MEM_REG,
                        SET_MEM_TABLE):
            with Frontend(victim) as f:
                f.start()
                payload = {SET_BACKEND_REQ_FD: b"", ADD_MEM_REG: bytes(8) + f.region(GPA + SIZE),
                           SET_MEM_TABLE: struct.pack("<II", 1, 0) + f.region()}.get(request, bytes(8))
                try:
                    f.ack(request, payload, [fd])
                    f.put(0)
                    f.put(0)
                    f.stop()
                except Gone:
                    pass	# not even to be closed here
    for fd in (r, w, null, folder):
        os.close(fd)


def kick_storm():
    """A counting eventfd that is never empty, and one that is the ring's own call."""
    with Frontend(victim) as f:
        f.start()
        fd = os.eventfd(0, os.EFD_SEMAPHORE | os.EFD_NONBLOCK)
        os.eventfd_write(fd, 1 << 62)
        f.ack(SET_VRING_KICK, bytes(8), [fd])
        assert f.io() == 0
        f.ack(SET_VRING_KICK, bytes(8), [f.call[0]])
        f.put(0)
        for x in until():
            f.put(0)
        os.close(fd)


def start_and_stop_storm():
    """GET_VRING_BASE, ENABLE, RESET_DEVICE, other features, at speed and with requests in flight:
    CVE-2018-14625, CVE-2023-1838, CVE-2026-5747."""
    with Frontend(victim, V1 | PF, 2) as f:
        f.start()
        for x in until():
            for i in range(2):
                for n in range(3):
                    f.put(0, i)
            how, i = rnd.randrange(6), rnd.randrange(2)
            if how == 0:
                f.idx[i] = f.stop(i)
                f.ring(i, f.idx[i])
            elif how == 1:
                for n in range(8):
                    f.ack(SET_VRING_ENABLE, struct.pack("<II", i, n & 1))
            elif how == 2:
                f.ack(RESET_DEVICE)
                f.ack(SET_FEATURES, struct.pack("<Q", V1 | PF))
                for i in range(2):
                    f.ring(i, f.idx[i])
            elif how == 3:
                f.ack(SET_FEATURES, struct.pack("<Q", V1 | PF | EVENT_IDX))
            elif how == 4:
                f.ack(SET_VRING_CALL, struct.pack("<Q", i), [f.call[i]])
                f.ack(SET_VRING_KICK, struct.pack("<Q", i), [f.kick[i]])
            else:
                for n in range(20):
                    f.send(GET_VRING_BASE, struct.pack("<II", i, 0))
                for n in range(20):
                    f.reply()
                f.ring(i, f.idx[i])


def cve_2020_10723_indices():
    with Frontend(victim) as f:
        f.start()
        for idx in (1 << 8, 1 << 16, (1 << 32) - 1, 0x10000, 0xff, 0x7fffffff, 200):
            for request in (SET_VRING_NUM, SET_VRING_BASE, SET_VRING_ENABLE):
                assert not f.ack(request, struct.pack("<II", idx, 1))
            assert not f.ack(SET_VRING_ADDR, struct.pack("<IIQQQQ", idx, 0, UVA, UVA, UVA, 0))
            for request in (SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR):
                try:
                    assert not f.ack(request, struct.pack("<Q", idx & ~0x100 | (idx << 32)), [f.call[0]])
                except Gone:
                    return


def cve_2017_17381_sizes():
    with Frontend(victim) as f:
        f.start()
        f.stop()
        for num in (0, 3, 65, 32769, 65535, 65536, 1 << 31, (1 << 32) - 1):
            f.ack(SET_VRING_NUM, struct.pack("<II", 0, num))
            for addr in (0, 1, UVA + 1, UVA + 8, UVA + SIZE - 1, UVA + SIZE, (1 << 64) - 1):
                f.ack(SET_VRING_ADDR, struct.pack("<IIQQQQ", 0, 0, addr, addr, addr, 0))
                f.ack(SET_VRING_KICK, bytes(8), [f.kick[0]])
                f.stop()


def cve_2023_3301_unplugged():
    """The device is deleted with requests in flight: CVE-2024-4693, CVE-2026-63323."""
    path = victim + ".3"
    for x in until():
        r = control.call("dev.add", name="third", mgmtdev="sim-blk", attrs={"capacity": "1M"},
                         driver="vhost-user", driver_attrs={"socket": path})
        assert "result" in r, r
        with Frontend(path) as f:
            f.start()
            for n in range(rnd.randrange(12)):
                f.put(rnd.choice((0, 1, 4)))
            assert "result" in control.call("dev.del", name="third")
            try:
                f.get(GET_FEATURES)
                assert False, "it is still there"
            except Gone:
                pass


def cve_2024_0340_replies_hold_nothing_else():
    """No byte of a reply is what memory held before: CVE-2018-1118."""
    with Frontend(victim) as f:
        f.handshake()
        f.ack(SET_CONFIG, struct.pack("<III", 0, 256, 0) + b"\xaa" * 256)
        for offset, size in ((60, 196), (255, 1), (0, 256), (1 << 20, 256)):
            reply = f.get(GET_CONFIG, struct.pack("<III", offset, size, 0) + b"\xaa" * size)
            assert len(reply) == 12 + size and 0xaa not in reply, reply
            assert offset < 96 or not any(reply[12:]), reply
        assert f.get(GET_VRING_BASE, bytes(8)) == bytes(8)


def come_and_go():
    for x in until():
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(victim)
            if rnd.randrange(2):
                s.send(os.urandom(rnd.randrange(40)))


def leaves_in_the_middle():
    for x in until():
        with Frontend(victim, V1 | PF | INDIRECT, 2) as f:
            f.start()
            for n in range(rnd.randrange(12)):
                f.put(rnd.randrange(2), rnd.randrange(2))


def never_reads():
    with Frontend(victim) as f:
        f.start()
        f.s.setblocking(False)
        m = struct.pack("<III", GET_CONFIG, 1, 12 + 256) + struct.pack("<III", 0, 256, 0) + bytes(256)
        try:
            for x in until():
                f.s.send(m)
        except (BlockingIOError, ConnectionError):
            pass
        time.sleep(0.1)


def byte_by_byte():
    with Frontend(victim) as f:
        for c in struct.pack("<III", GET_FEATURES, 1, 0):
            f.s.send(bytes([c]))
            time.sleep(0.02)
        f.reply()


def cve_2019_14818_descriptors():
    """With each message every number of descriptors, wanted or not."""
    for request in range(1, 42):
        for n in (1, 2, 7, 8, 32, 253):
            with Frontend(victim) as f:
                try:
                    f.send(request, bytes(8), [f.mem_fd] * n, 9)
                    f.s.settimeout(0.0)
                    f.s.recv(100)
                except (Gone, OSError):
                    pass


def lingering():
    """A TCP socket whose last close() waits until the other end is closed."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        s = socket.create_connection(listener.getsockname())
        reader = listener.accept()[0]
    s.setblocking(False)
    try:
        while True:
            s.send(bytes(65536))
    except BlockingIOError:
        pass
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 1000))
    return s, reader


def rights(*fds):
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]


def descriptors_that_linger():
    """The daemon has the last one, and drops it without having seen it: with more than a message may bring, out of
    band, in the queue of a socket that it was given, or of one that it hangs up on."""
    for how in ("many", "oob", "in a socket", "behind"):
        last, reader = lingering()
        with Frontend(victim) as f, reader:
            owner = struct.pack("<III", SET_OWNER, 1, 0)
            if how == "many":
                f.s.sendmsg([owner], rights(*[f.call[0]] * 100, last.fileno()))
            elif how == "oob":
                f.s.sendmsg([b"x"], rights(last.fileno()), socket.MSG_OOB)
                f.s.sendall(owner)
            elif how == "in a socket":
                x, y = socket.socketpair()
                with x, y:
                    y.sendmsg([b"x"], rights(last.fileno()))
                    f.send(SET_VRING_CALL, bytes(8), [x.fileno()])
            else:
                try:
                    f.s.sendmsg([struct.pack("<III", 99, 1, 0)])	# which nobody knows
                    f.s.sendmsg([owner], rights(last.fileno()))
                except BrokenPipeError:
                    pass	# it was faster
            last.close()
            f.s.close()
            control.call("dev.show")


def two_at_once():
    with Frontend(victim) as f, Frontend(victim) as g:
        f.start()
        g.send(GET_FEATURES)
        for x in until():
            assert f.io() == 0
        f.s.close()
        g.reply()


def noise():
    """Valid messages in no order, with any contents."""
    sizes = {SET_MEM_TABLE: 72, SET_VRING_ADDR: 40, ADD_MEM_REG: 40, REM_MEM_REG: 40, GET_CONFIG: 44,
             SET_CONFIG: 44, GET_FEATURES: 0, SET_OWNER: 0, RESET_OWNER: 0, GET_PROTOCOL_FEATURES: 0,
             GET_QUEUE_NUM: 0, GET_MAX_MEM_SLOTS: 0, GET_STATUS: 0, RESET_DEVICE: 0, SET_BACKEND_REQ_FD: 0}
    with_fd = {SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR, ADD_MEM_REG, SET_BACKEND_REQ_FD}
    requests = [r for r in range(1, 41) if r not in (6, 7, 19, 20, 22, 23, 26, 27, 28, 29, 30, 31, 32, 33)]
    for x in until():
        with Frontend(victim) as f:
            f.start()
            try:
                for n in range(50):
                    r = rnd.choice(requests)
                    words = rnd.choices((0, 0, 0, 1, 2, 64, UVA, GPA, SIZE, 0x1000, UVA + AVAIL, PF | V1,
                                         rnd.getrandbits(64)), k=9)
                    payload = struct.pack("<9Q", *words)[:sizes.get(r, 8)]
                    f.send(r, payload, [rnd.choice((f.mem_fd, f.kick[0], f.call[0]))] if r in with_fd
                           else (), 9)
                    f.put(0)
                    f.s.settimeout(0.0)
                    f.s.recv(1000)
            except (Gone, OSError):
                pass


def honest():
    with Frontend(victim, V1 | PF, 2) as f:
        f.start()
        for n in range(5):
            assert f.io(0) == 0 and f.io(1) == 0


attacks = [fn for name, fn in list(globals().items()) if callable(fn) and getattr(fn, "__module__", "") ==
           "__main__" and name not in ("until", "honest", "lingering", "rights")]
honest()
control = Control(ctl, pid, neighbour)
sys.exit(run(attacks, honest, control, patience, sys.argv[6:]))
