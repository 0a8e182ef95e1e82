# SPDX-License-Identifier: BSD-2-Clause
"""Rings of nonsense, and memory that goes, for a program that serves one device at a socket.

usage: example.py PROGRAM SOCKET SECONDS
"""
import mmap, os, random, struct, subprocess, sys, time
from vu import *

program, path, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
seed = random.randrange(1 << 32)
rnd = random.Random(seed)
PLACES = (0, GPA - 8, GPA, GPA + DATA, GPA + SIZE - 8, GPA + SIZE, (1 << 64) - 8)
LENGTHS = (0, 1, 15, 16, 17, 512, 4096, SIZE, 0xffffffff)


def nonsense(f):
    """Descriptors that mean something now and then, and an index that comes after them."""
    for i in range(NUM):
        addr = rnd.choice(PLACES) if rnd.randrange(4) == 0 else GPA + DATA + rnd.randrange(SIZE - DATA)
        size = rnd.choice(LENGTHS) if rnd.randrange(2) else rnd.randrange(2048)
        flags = rnd.choice((0, 1, 2, 3, 3, 1, 4, 5, 6, 7))
        struct.pack_into("<QIHH", f.mem, DESC + i * 16, addr, size, flags, rnd.randrange(NUM + 2))
        struct.pack_into("<H", f.mem, AVAIL + 4 + i * 2, rnd.randrange(NUM + 2))
    f.idx[0] = f.idx[0] + rnd.choice((1, 1, 3, 32, NUM, NUM + 1)) & 0xffff
    f.mem[AVAIL + 2:AVAIL + 4] = struct.pack("<H", f.idx[0])
    f.notify()


def rings(features):
    with Frontend(path, features) as f:
        f.start()
        for _ in range(rnd.randrange(1, 6)):
            nonsense(f)
            time.sleep(0.0005)
        if rnd.randrange(2):
            f.stop()


def goes():
    """The memory is cut while requests are under way."""
    with Frontend(path) as f:
        f.start()
        for _ in range(8):
            f.put(0, length=4096)
        f.mem.close()
        os.ftruncate(f.mem_fd, rnd.choice((0, 0x1000, 0x3000, DATA, DATA + 0x1000)))
        for _ in range(5):
            f.notify()
            time.sleep(0.001)
        f.stop()
        os.ftruncate(f.mem_fd, SIZE)
        f.mem = mmap.mmap(f.mem_fd, SIZE)


def good():
    """A read in three pieces: header, data, status. A source of entropy fills the second."""
    with Frontend(path) as f:
        f.start()
        at = DATA + 0x1000
        f.mem[at:at + 512] = b"\xa5" * 512
        f.io()
        assert f.mem[at:at + 512] != b"\xa5" * 512, "nothing was written"


with subprocess.Popen([program, path]) as server:
    try:
        while not os.path.exists(path):
            assert server.poll() is None, "it has not started"
            time.sleep(0.01)
        good()
        end, n = time.monotonic() + seconds, 0
        while time.monotonic() < end or n < 20:
            for step in (lambda: rings(V1 | PF), lambda: rings(V1 | PF | INDIRECT | EVENT_IDX), goes):
                try:
                    step()
                except Gone:
                    pass	# it may hang up on us, and not more
                assert server.poll() is None, "it ended with %s" % server.returncode
            n += 1
        good()
    except BaseException:
        print("seed %d" % seed, file=sys.stderr)
        raise
    finally:
        server.kill()
