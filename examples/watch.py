#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""watch.py - a disk for a VM in an asyncio program, and who comes and goes there

usage: watch.py IMAGE SOCKET [SECONDS]

The bus is one descriptor in the program's loop. The disk is served at SOCKET; the program prints what
becomes of it until it is interrupted.
"""
import asyncio
import contextlib
import sys

import uvdpa


def told(event):
    state = "" if event.event == "removed" else " ".join(event.device.status)
    print(event.event, event.name, state, flush=True)


async def main(image, socket, seconds=None):
    with uvdpa.Context() as ctx:
        loop = asyncio.get_running_loop()
        loop.add_reader(ctx.fileno(), ctx.dispatch, 0)
        ctx.watch(told)
        dev = ctx.add("disk", "blk", image=image, driver="vhost-user", socket=socket)
        print("qemu-system-x86_64", dev.describe()["qemu"], flush=True)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(float(seconds) if seconds else 1e9)
        loop.remove_reader(ctx.fileno())


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(*sys.argv[1:]))
