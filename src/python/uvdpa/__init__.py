# SPDX-License-Identifier: BSD-2-Clause
"""uvdpa: a vDPA bus in userspace, from Python

A Context is a bus. Devices are made by its parents (mgmtdev) and had by its bus drivers:

    import uvdpa

    with uvdpa.Context() as ctx:
        dev = ctx.add("d0", "blk", image="a.img")
        with dev.open_blk() as disk:            # use it in this process,
            disk.write(0, b"hello".ljust(512))
        dev.bind("vhost-user", socket="a.sock")  # hand it to a VM,
        print(dev.describe()["qemu"])
        for event in ctx.events(timeout=60):    # and watch what becomes of it
            print(event.event, event.name)

The options of parents and drivers, and what they mean, are in their manual pages:
uvdpa-parent-blk(7), uvdpa-driver-vhost-user(7) and so on; Context.mgmtdevs and Context.drivers list
them. What fails raises Error, an OSError: errno as in uvdpa(3), and the library's sentence.

In a loop of your own wait for Context.fileno(), and call Context.dispatch(0) when it is readable.
"""
from ._base import Error, Features, Value, Words, check, lib, text
from ._blk import Blk, Request
from ._context import Context, Event, Events, Watch
from ._device import Device
from ._net import Net
from ._opened import Opened
from ._rng import Rng

__all__ = ["Blk", "Context", "Device", "Error", "Event", "Events", "Features", "Net", "Request",
           "Rng", "Value", "Watch", "Words", "sigbus_guard", "__version__"]

__version__ = str(text(lib.uvdpa_version()))


def sigbus_guard() -> None:
    """Survive a peer that truncates the memory it shares, by a handler of SIGBUS for the process."""
    check(lib.uvdpa_sigbus_guard())


for _class in (Blk, Context, Device, Error, Event, Events, Net, Opened, Request, Rng, Watch):
    _class.__module__ = __name__  # where they are to be found
