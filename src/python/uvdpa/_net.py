# SPDX-License-Identifier: BSD-2-Clause
"""A network device, used from this process: whole frames, by the first pair of queues."""
from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any, Optional

from ._base import Error, deadline, ffi, lib, sentence
from ._opened import Opened

if TYPE_CHECKING:
    from ._device import Device

HDR = 12  # bytes before a frame that are the device's
SLOT = 2048  # bytes of a buffer, unless the device or its frames want larger ones
ROOM = 128  # bytes of a frame besides what MTU counts
SLOTS = 256
MEM = 64 << 20
MORE, BAD = lib.UVDPA_NET_MORE, lib.UVDPA_NET_BAD


class Net(Opened):
    """A network device that is open: Device.open_net(). Frames are bytes, from the destination
    address to the last byte of the payload."""

    def __init__(self, dev: Device, *, queue_size: int = 0, mem: int = MEM, features_off: int = 0,
                 packed: bool = False) -> None:
        super().__init__(dev, "net", pairs=1, queue_size=queue_size, mem=mem,
                         features_off=features_off, packed=packed)
        with self._guard:
            self._q = lib.uvdpa_net_queue(self._c, 0)
            self._begin()

    def _begin(self) -> None:
        i = lib.uvdpa_net_info(self._c)
        n = min(SLOTS, i.queue_size)
        self._bufs = ffi.new("struct uvdpa_net_buf[]", n)
        self._sent = ffi.new("uint8_t *[]", n)
        self._frame = bytearray()  # what there is of one that is not complete
        self._slot = max(SLOT, i.mtu + ROOM)
        self._free = self._alloc(n, self._slot)
        self._rx_len = max(SLOT, i.rx_buf_min)
        for k, mem in enumerate(self._alloc(n, self._rx_len)):
            self._bufs[k].mem, self._bufs[k].len = mem, self._rx_len
        self._post(n)

    def _alloc(self, n: int, size: int) -> list[Any]:
        mem = lib.uvdpa_net_alloc(self._c, n * size)
        if mem == ffi.NULL:
            raise Error(errno.ENOMEM, sentence())
        p = ffi.cast("uint8_t *", mem)
        return [p + k * size for k in range(n)]

    def _post(self, n: int) -> None:
        """The first n of self._bufs are the device's. Those that it does not take, a device that goes
        has no use for either."""
        lib.uvdpa_netq_rx_post(self._q, self._bufs, n)

    def _failed(self, err: int) -> Error:
        return Error(err, f"{self._name}: {os.strerror(err)}")

    # ---- what it is

    @property
    def info(self) -> dict[str, Any]:
        """What is known of it; the fields of struct uvdpa_net_info, but mac."""
        with self._guard:
            i = lib.uvdpa_net_info(self._opened())
            return {f: getattr(i, f) for f in dir(i) if f != "mac"}

    @property
    def mac(self) -> str:
        """Its address; zeros if it has none."""
        with self._guard:
            return ":".join(f"{b:02x}" for b in lib.uvdpa_net_info(self._opened()).mac)

    # ---- frames

    def send(self, frame: Any, timeout: Optional[float] = None) -> None:
        """Send a frame; dispatch until there is room for it."""
        data = memoryview(frame).cast("B")
        if len(data) > self._slot - HDR:
            raise self._failed(errno.EMSGSIZE)
        due = deadline(timeout)
        with self._guard:
            while not self._try_send(data):
                if not (lib.uvdpa_netq_tx_arm(self._q) or
                        self._ctx._turn(due, lib.uvdpa_netq_tx_fd(self._q))):
                    raise self._failed(errno.ETIMEDOUT)

    def _try_send(self, data: memoryview) -> bool:
        self._opened()
        n = lib.uvdpa_netq_tx_done(self._q, self._sent, len(self._sent))
        if n < 0:
            raise self._failed(-n)
        self._free += [self._sent[k] for k in range(n)]
        if not self._free:
            return False
        b = ffi.new("struct uvdpa_net_buf *", {"mem": self._free[-1], "off": HDR, "len": len(data)})
        ffi.memmove(b.mem + HDR, data, len(data))
        n = lib.uvdpa_netq_tx(self._q, b, 1)
        if n < 0:
            raise self._failed(-n)
        if n:
            self._free.pop()
        return bool(n)

    def recv(self, timeout: Optional[float] = None) -> bytes:
        """The next frame; dispatch until there is one."""
        due = deadline(timeout)
        with self._guard:
            while True:
                frame = self._try_recv()
                if frame is not None:
                    return frame
                if not (lib.uvdpa_netq_rx_arm(self._q) or
                        self._ctx._turn(due, lib.uvdpa_netq_rx_fd(self._q))):
                    raise self._failed(errno.ETIMEDOUT)

    def _try_recv(self) -> Optional[bytes]:
        """A frame, if there is one; None if not."""
        while True:
            self._opened()
            n = lib.uvdpa_netq_rx(self._q, self._bufs, 1)
            if n < 0:
                raise self._failed(-n)
            if not n:
                return None
            b = self._bufs[0]
            flags = b.flags
            self._frame += ffi.buffer(b.mem + b.off, b.len)[:]
            b.len = self._rx_len
            self._post(1)
            if flags & MORE:
                continue
            frame, self._frame = bytes(self._frame), bytearray()
            if not flags & BAD:
                return frame

    def fileno(self) -> int:
        """The descriptor for a loop of your own: readable when recv(0) may have a frame, after
        one that had none."""
        with self._guard:
            self._opened()
            return int(lib.uvdpa_netq_rx_fd(self._q))
