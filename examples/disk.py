#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""disk.py - how fast a disk of the bus is, many requests at once

usage: disk.py IMAGE		an image: read it
       disk.py SOCKET		what a vhost-user back-end serves: read it
"""
import os
import stat
import sys
import time

import uvdpa

PIECE = 256 << 10
DEPTH = 16


def read_all(ctx, disk):
    """Keeps DEPTH requests under way. Return: bytes read."""
    at = done = 0
    while done < disk.size:
        while at < disk.size and disk.inflight < DEPTH:
            disk.submit("read", at, min(PIECE, disk.size - at))
            at += min(PIECE, disk.size - at)
        back = disk.poll()
        done += sum(len(req.result()) for req in back)
        if not back:
            ctx.dispatch(0.001)
    return done


def main():
    if len(sys.argv) != 2:
        return __doc__
    path = sys.argv[1]
    with uvdpa.Context() as ctx:
        if stat.S_ISSOCK(os.stat(path).st_mode):
            dev = ctx.add("d0", "vhost-user", socket=path)
        else:
            dev = ctx.add("d0", "blk", image=path)
        with dev.open_blk() as disk:
            begin = time.monotonic()
            n = read_all(ctx, disk)
            print(f"{n} bytes, {n / (time.monotonic() - begin) / (1 << 20):.0f} MiB/s")


if __name__ == "__main__":
    sys.exit(main())
