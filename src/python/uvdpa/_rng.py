# SPDX-License-Identifier: BSD-2-Clause
"""An entropy device, used from this process."""
from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Optional

from ._base import Error, deadline, ffi, lib
from ._opened import Opened

if TYPE_CHECKING:
    from ._device import Device


class Rng(Opened):
    """An entropy device that is open: Device.open_rng()."""

    def __init__(self, dev: Device, *, queue_size: int = 0, mem: int = 0, features_off: int = 0,
                 packed: bool = False) -> None:
        super().__init__(dev, "rng", queue_size=queue_size, mem=mem, features_off=features_off,
                         packed=packed)

    def read(self, length: int, timeout: Optional[float] = None) -> bytes:
        """Read bytes, and dispatch the context while they are waited for.

        Fewer come if timeout seconds are over or the device goes meanwhile; if it is none at all,
        that is an Error, with ETIMEDOUT say.
        """
        due = deadline(timeout)
        buf, at = ffi.new("uint8_t[]", length), 0
        with self._guard:
            self._opened()
            while at < length:
                n = lib.uvdpa_rng_read(self._opened(), buf + at, length - at, 0)
                if n > 0:
                    at += n
                elif n not in (-errno.ETIMEDOUT, -errno.EINTR):
                    if not at:
                        raise Error(-n, f"{self._name}: {os.strerror(-n)}")
                    break
                elif not (lib.uvdpa_rng_arm(self._c) or
                          self._ctx._turn(due, lib.uvdpa_rng_fd(self._c))):
                    break
        if not at and length:
            raise Error(errno.ETIMEDOUT, f"{self._name}: no byte in {timeout} seconds")
        return bytes(ffi.buffer(buf, at))
