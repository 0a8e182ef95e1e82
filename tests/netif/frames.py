#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# frames.py - send frames by an interface behind which somebody gives each of them back
#
# usage: frames.py INTERFACE COUNT [WINDOW | for SECONDS]
#
# Lengths go from the smallest to the MTU. Each frame has a number, and what follows from it. All of
# COUNT frames must come back, as they were; WINDOW of them are on their way at a time. With SECONDS: for so
# long, and COUNT of them at least, as the device is taken away meanwhile and the interface is gone at times.
import errno
import fcntl
import socket
import struct
import sys
import time

TYPE = 0x88b5   # for experiments
name, count = sys.argv[1], int(sys.argv[2])
window = int(sys.argv[3]) if len(sys.argv) == 4 else 16
seconds = float(sys.argv[4]) if len(sys.argv) == 5 else 0


def frame(i, longest):
    length = 60 + i * 131 % (longest - 60)
    head = b'\xff' * 6 + b'\x02\0\0\0\0\1' + struct.pack('>HI', TYPE, i)
    return head + bytes((i + k) & 0xff for k in range(length - len(head)))


def open_interface():
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(TYPE))
    so_rcvbufforce = 33
    s.setsockopt(socket.SOL_SOCKET, so_rcvbufforce, 16 << 20)
    s.bind((name, TYPE))
    s.settimeout(5)
    return s


def mtu(s):
    siocgifmtu = 0x8921
    answer = fcntl.ioctl(s, siocgifmtu, struct.pack('16si12x', name.encode(), 0))
    return struct.unpack('16xi12x', answer)[0]


def come_back(s):
    """The next frame that came in; what we sent is seen as well."""
    while True:
        data, where = s.recvfrom(65600)
        if where[2] != socket.PACKET_OUTGOING:
            return data


def all_of_them():
    s = open_interface()
    longest = mtu(s) + 14
    seen = set()
    for first in range(0, count, window):
        sent = {}
        for i in range(first, min(first + window, count)):
            sent[i] = frame(i, longest)
            s.send(sent[i])
        for _ in range(len(sent)):
            data = come_back(s)
            i = struct.unpack('>I', data[14:18])[0]
            if data != sent[i]:
                sys.exit(f'frame {i} is another one: {len(data)} bytes of {len(sent[i])}')
            if i in seen:
                sys.exit(f'frame {i} came twice')
            seen.add(i)
    if len(seen) != count:
        sys.exit(f'{len(seen)} frames of {count}')


def as_long_as_it_takes():
    end = time.monotonic() + seconds
    got = i = 0
    s = None
    while time.monotonic() < end:
        try:
            if s is None:
                s = open_interface()
                s.settimeout(0.05)
                longest = mtu(s) + 14
            want = frame(i, longest)
            i += 1
            s.send(want)
            data = come_back(s)
            # One that was late is no error; one that is broken is.
            if data != frame(struct.unpack('>I', data[14:18])[0], longest):
                sys.exit('a frame is another one')
            got += 1
        except TimeoutError:
            pass
        except OSError as e:
            if e.errno not in (errno.ENODEV, errno.ENXIO, errno.ENETDOWN, errno.ENOBUFS):
                raise
            if s is not None:
                s.close()
            s = None
            time.sleep(0.005)
    print(f'{got} of {i} frames')
    if got < count:
        sys.exit(f'only {got} frames came back')


if seconds:
    as_long_as_it_takes()
else:
    all_of_them()
