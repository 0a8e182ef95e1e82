# SPDX-License-Identifier: BSD-2-Clause
"""A block device, used from this process."""
from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Optional

from ._base import Error, check, deadline, ffi, lib, sentence
from ._opened import Opened

if TYPE_CHECKING:
    from ._device import Device

PIECE = 1 << 20  # bytes that a blocking call moves in one request, at most
SECTOR = 512
ID_LEN = 20
DATA = ("read", "write", "get_id")
RANGE = ("discard", "write_zeroes", "secure_erase")
OPS = {name: getattr(lib, f"UVDPA_BLK_{name.upper()}") for name in (*DATA, *RANGE, "flush")}


class Request:
    """A request that was submitted: done or not, and what became of it."""

    def __init__(self, op: str, what: str, callback: Optional[Callable[[Request], Any]]) -> None:
        #: "read", "write", ...
        self.op = op
        #: whether it is back
        self.done = False
        self._what = what
        self._callback = callback
        self._buf = ffi.NULL
        self._iov: Any = None
        self._c: Any = None
        self._len = 0
        self._data = b""
        self._res = 0

    def result(self) -> bytes:
        """What it read; b"" for the others. Raises the Error if it failed."""
        if not self.done:
            raise Error(errno.EINPROGRESS, f"{self._what}: not done yet")
        if self._res:
            raise Error(-self._res, f"{self._what}: {os.strerror(-self._res)}")
        return self._data


class Blk(Opened):
    """A block device that is open: Device.open_blk().

    Offsets and lengths are bytes, multiples of block_size. Blocking calls dispatch the context while
    they wait.
    """

    def __init__(self, dev: Device, *, queue_size: int = 0, mem: int = 0, features_off: int = 0,
                 packed: bool = False) -> None:
        super().__init__(dev, "blk", queues=1, queue_size=queue_size, mem=mem,
                         features_off=features_off, packed=packed)
        self._inflight: dict[int, Request] = {}
        self._q = lib.uvdpa_blk_queue(self._c, 0)
        self._done = ffi.new("struct uvdpa_blk_req *[]", 32)

    # ---- what it is

    def _info(self) -> Any:
        with self._guard:
            return lib.uvdpa_blk_info(self._opened())[0]

    @property
    def size(self) -> int:
        """Bytes, at the moment."""
        return int(self._info().capacity_sectors) * SECTOR

    def __len__(self) -> int:
        return self.size

    def __bool__(self) -> bool:
        return True

    @property
    def block_size(self) -> int:
        """What every offset and length is a multiple of."""
        return int(self._info().block_size)

    @property
    def info(self) -> dict[str, Any]:
        """Everything known of it; the fields of struct uvdpa_blk_info."""
        i = self._info()
        return {f: getattr(i, f) for f in dir(i)}

    @property
    def readonly(self) -> bool:
        """Whether it refuses writes."""
        return bool(self._info().readonly)

    @property
    def writeback(self) -> bool:
        """Whether a write is durable only after flush(); can be set, if it has such a cache."""
        return bool(self._info().writeback)

    @writeback.setter
    def writeback(self, on: bool) -> None:
        with self._guard:
            check(lib.uvdpa_blk_set_writeback(self._opened(), on))

    @property
    def id(self) -> str:
        """Its serial number, "" if it has none."""
        data = self._run("get_id", 0, ID_LEN)
        return data.split(b"\0")[0].decode(errors="replace")

    # ---- requests that are waited for

    def read(self, offset: int, length: int) -> bytes:
        """Read bytes."""
        data = bytearray(length)
        self.readinto(offset, data)
        return bytes(data)

    def readinto(self, offset: int, buffer: Any) -> int:
        """Read as many bytes as the buffer has. Return: how many that is."""
        view = memoryview(buffer).cast("B")
        if view.readonly:
            raise TypeError("the buffer is read-only")
        at, piece = 0, self._piece()
        while at < len(view):
            n = min(piece, len(view) - at)
            view[at:at + n] = self._run("read", offset + at, n)
            at += n
        return len(view)

    def write(self, offset: int, data: Any) -> int:
        """Write the bytes of a buffer. Return: how many."""
        view = memoryview(data).cast("B")
        at, piece = 0, self._piece()
        while at < len(view):
            n = min(piece, len(view) - at)
            self._run("write", offset + at, n, data=view[at:at + n])
            at += n
        return len(view)

    def flush(self) -> None:
        """What was written before is durable now."""
        self._run("flush")

    def discard(self, offset: int, length: int) -> None:
        """The data is not needed: it reads as anything afterwards."""
        self._range("discard", offset, length)

    def write_zeroes(self, offset: int, length: int, *, unmap: bool = False) -> None:
        """As a write of zeros; with unmap the range may lose its space."""
        self._range("write_zeroes", offset, length, unmap)

    def secure_erase(self, offset: int, length: int) -> None:
        """The data, and its copies, cannot be got at any more."""
        self._range("secure_erase", offset, length)

    def _piece(self) -> int:
        """Bytes of one request: whole blocks, in as many segments as there may be."""
        i = self._info()
        most = i.size_max * i.seg_max or PIECE
        return int(max(min(PIECE, most) // i.block_size * i.block_size, i.block_size))

    def _range(self, op: str, offset: int, length: int, unmap: bool = False) -> None:
        most = int(getattr(self._info(), f"{op}_max_sectors")) * SECTOR or length
        at = 0
        while at < length:
            n = min(most, length - at)
            self._run(op, offset + at, n, unmap=unmap)
            at += n

    def _run(self, op: str, offset: int = 0, length: int = 0, *, data: Any = None,
             unmap: bool = False) -> bytes:
        with self._guard:
            req = self.submit(op, offset, length, data=data, unmap=unmap)
            self.wait(req)
        return req.result()

    # ---- requests that are not

    def submit(self, op: str, offset: int = 0, length: int = 0, *, data: Any = None,
               unmap: bool = False, callback: Optional[Callable[[Request], Any]] = None) -> Request:
        """Begin a request: "read", "write" (of data), "flush", "discard", "write_zeroes",
        "secure_erase", "get_id". callback(request) is called by poll() when it is back, and what it
        raises, poll() raises.

        Raises an Error with EAGAIN if no more fit into the queue, or its memory, at the moment.
        """
        if op not in OPS:
            raise ValueError(f"op: one of {', '.join(OPS)}")
        if callback is not None and not callable(callback):
            raise TypeError("callback: a function of a request")
        if (op == "write") != (data is not None):
            raise TypeError(f"{op}: data is what a write has, and nothing else")
        if data is not None:
            data = memoryview(data).cast("B")
            length = len(data)
        what = f"{self._name}: {op}" + (f" of {length} bytes at {offset}" if length else "")
        if offset < 0 or length < 0 or offset % SECTOR or (op != "get_id" and length % SECTOR):
            raise Error(errno.EINVAL, f"{what}: not in multiples of {SECTOR}")
        req = Request(op, what, callback)
        with self._guard:
            self._opened()
            req._c = ffi.new("struct uvdpa_blk_req *", {
                "op": OPS[op], "sector": offset // SECTOR, "unmap": unmap})
            if op in RANGE:
                req._c.nsectors = length // SECTOR
            elif op in DATA:
                self._fill(req, length, data)
            self._put(req)
        return req

    def _fill(self, req: Request, length: int, data: Any) -> None:
        req._buf = lib.uvdpa_blk_alloc(self._c, length or 1)
        if req._buf == ffi.NULL:
            raise Error(errno.EAGAIN if self._inflight else errno.ENOMEM, sentence())
        if data is not None:
            ffi.memmove(req._buf, data, length)
        req._len = length
        req._iov = ffi.new("struct iovec *", (req._buf, length))
        req._c.iov, req._c.niov = req._iov, 1

    def _put(self, req: Request) -> None:
        one = ffi.new("struct uvdpa_blk_req *[]", [req._c])
        at = int(ffi.cast("uintptr_t", req._c))
        self._inflight[at] = req
        n = lib.uvdpa_blkq_submit(self._q, one, 1)
        if n == 1:
            return
        del self._inflight[at]
        lib.uvdpa_blk_free(self._c, req._buf)
        err = -n if n else errno.EAGAIN
        raise Error(err, f"{req._what}: {reason(err)}")

    def poll(self) -> list[Request]:
        """Requests that came back since, after their callbacks. Never waits."""
        back = []
        with self._guard:
            self._opened()
            while True:
                n = lib.uvdpa_blkq_poll(self._q, self._done, len(self._done))
                back += [self._back(self._done[i]) for i in range(n)]
                if not n and not (self._inflight and lib.uvdpa_blkq_arm(self._q)):
                    break
        raised: Optional[BaseException] = None
        for req in back:
            try:
                if req._callback:
                    req._callback(req)
            except BaseException as e:  # pylint: disable=broad-exception-caught
                raised = raised or e  # the others are told all the same
        if raised:
            raise raised
        return back

    def _back(self, c: Any) -> Request:
        req = self._inflight.pop(int(ffi.cast("uintptr_t", c)))
        req._res = c.res
        if req.op in ("read", "get_id") and not c.res:
            req._data = ffi.buffer(req._buf, req._len)[:]
        lib.uvdpa_blk_free(self._c, req._buf)
        req._buf = req._iov = None
        req.done = True
        return req

    def wait(self, req: Request, timeout: Optional[float] = None) -> bool:
        """Dispatch until a request is back. Return: whether it is, after timeout seconds."""
        due = deadline(timeout)
        while not req.done:
            self.poll()
            if not req.done and not self._ctx._turn(due, self.fileno()):
                self.poll()
                break
        return req.done

    @property
    def inflight(self) -> int:
        """Requests that are not back."""
        return len(self._inflight)

    def fileno(self) -> int:
        """The descriptor for a loop of your own: readable when poll() may have something, from
        each poll() to the next."""
        with self._guard:
            self._opened()
            return int(lib.uvdpa_blkq_fd(self._q))


def reason(err: int) -> str:
    """Why a request was not taken."""
    return {errno.EAGAIN: "the queue is full",
            errno.EROFS: "read-only",
            errno.EINVAL: "no such request, a length that is no multiple of 512, or beyond a limit",
            errno.EOPNOTSUPP: "the device does not offer it",
            errno.ENODEV: "the device was taken away",
            errno.EIO: "the device is broken"}.get(err) or os.strerror(err)
