# SPDX-License-Identifier: BSD-2-Clause
"""A device that is used from this process: what those of each type have in common."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from ._base import check, ffi, lib, local

if TYPE_CHECKING:
    from ._device import Device

T = TypeVar("T", bound="Opened")


class Opened:
    """A device that is open in this process, until close(), the end of a with statement, or the end
    of its context. It stays bound afterwards."""

    def __init__(self, dev: Device, kind: str, **options: Any) -> None:
        if local.depth:
            raise RuntimeError("nothing is opened in a callback")
        self._ctx, self._guard, self._name = dev.context, dev._guard, dev.name
        with self._guard:
            o = ffi.new(f"struct uvdpa_{kind}_opts *", options)
            o.size = ffi.sizeof(o[0])
            ret = ffi.new(f"struct uvdpa_{kind} **")
            check(getattr(lib, f"uvdpa_{kind}_open")(dev._c, o, ret))
            self._c = ret[0]
            self._key = self._guard.own(getattr(lib, f"uvdpa_{kind}_close"), self._c)

    @property
    def closed(self) -> bool:
        """True after close()."""
        return self._key not in self._guard.opened

    def close(self) -> None:
        """Give the device back to the bus. What is under way never comes back."""
        self._guard.release(self._key)

    def __enter__(self: T) -> T:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_key"):
            self._guard.bury(self._key)

    def _opened(self) -> Any:
        """The handle. The caller has entered."""
        if self.closed:
            raise ValueError(f"{self._name} is closed")
        return self._c
