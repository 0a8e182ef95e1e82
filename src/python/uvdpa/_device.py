# SPDX-License-Identifier: BSD-2-Clause
"""A device on the bus."""
from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, Optional

from . import _context
from ._base import (Attrs, Error, Value, Words, check, emitted, encode, feature_names, ffi, lib,
                    local, options_of, text)

if TYPE_CHECKING:
    from ._blk import Blk
    from ._context import Context
    from ._net import Net
    from ._rng import Rng


class Device:
    """A device: what it is, who has it, and how it stands.

    Context.add() and Context.find() give them. When the device has been removed every call raises
    an Error with ENODEV; name stays.
    """

    def __init__(self, ctx: Context, dev: Any) -> None:
        self._ctx = ctx
        self._guard: _context.Guard = ctx._guard
        self._dev = dev
        #: its name
        self.name: str = str(text(lib.uvdpa_dev_name(dev)))

    def __repr__(self) -> str:
        return f"<uvdpa.Device {self.name}{' (gone)' if self.gone else ''}>"

    @property
    def context(self) -> Context:
        """Where it is."""
        return self._ctx

    @property
    def gone(self) -> bool:
        """True when it has been removed."""
        return bool(self._dev == ffi.NULL)

    @property
    def _c(self) -> Any:
        if self._dev == ffi.NULL:
            raise Error(errno.ENODEV, f"{self.name}: the device is gone")
        return self._dev

    # ---- what it is

    @property
    def info(self) -> Words:
        """What it is: device_id, vendor_id, features (a number), nvqs, vq_num_max, vq_num_min,
        config_size, ngroups, nas, iova_first, iova_last."""
        with self._guard:
            i = lib.uvdpa_dev_info(self._c)
            return {f: getattr(i, f) for f in dir(i) if f != "reserved"}

    @property
    def type(self) -> str:
        """ "block", "network", ..."""
        device_id = self.info["device_id"]
        return text(lib.uvdpa_type_name(device_id)) or str(device_id)

    @property
    def mgmtdev(self) -> str:
        """The parent that made it."""
        with self._guard:
            return str(text(lib.uvdpa_parent_name(lib.uvdpa_dev_parent(self._c))))

    @property
    def offered(self) -> list[str]:
        """The features that it offers."""
        info = self.info
        return feature_names(info["device_id"], info["features"])

    @property
    def features(self) -> list[str]:
        """The features that were negotiated; none before FEATURES_OK."""
        with self._guard:
            return feature_names(lib.uvdpa_dev_info(self._c).device_id,
                                 lib.uvdpa_dev_features(self._c))

    # ---- how it stands

    @property
    def ready(self) -> bool:
        """False while what is behind it is away."""
        with self._guard:
            return bool(lib.uvdpa_dev_ready(self._c))

    @property
    def status(self) -> list[str]:
        """The bits of its status: "ACKNOWLEDGE", "DRIVER", "FEATURES_OK", "DRIVER_OK", ..."""
        with self._guard:
            status = lib.uvdpa_dev_status(self._c)
        names = (text(lib.uvdpa_status_name(status, n)) for n in range(8))
        return [name for name in names if name]

    def show(self) -> Words:
        """What its parent has to tell of it now."""
        with self._guard:
            return emitted(lib.uvdpa_dev_show, self._c)

    def config(self) -> Words:
        """Its configuration space in words."""
        with self._guard:
            return emitted(lib.uvdpa_dev_config_show, self._c)

    def stats(self, queue: int) -> Words:
        """Counters of one queue."""
        with self._guard:
            return emitted(lib.uvdpa_dev_stats, self._c, queue)

    def export(self) -> Words:
        """What makes the same device again, here or elsewhere: Context.add(**exported).

        What it was made with, with what set() and bind() have changed since.
        """
        with self._guard:
            dev = self._c
            again: Words = {"name": self.name, "mgmtdev": self.mgmtdev}
            mask = lib.uvdpa_dev_features_mask(dev)
            if mask:
                again["features"] = mask
            again.update(emitted(lib.uvdpa_dev_attrs, dev))
            found: list[Any] = []
            options = emitted(lambda e: found.append(lib.uvdpa_dev_driver_attrs(dev, e)))
            if found[0] != ffi.NULL:
                again["driver"] = text(lib.uvdpa_driver_name(found[0]))
                again["driver_options"] = options
            if self.override is not None:
                again["driver_override"] = self.override
            return again

    # ---- who has it

    @property
    def driver(self) -> Optional[str]:
        """The bus driver that has it, or None."""
        with self._guard:
            d = lib.uvdpa_dev_driver(self._c)
            return None if d == ffi.NULL else text(lib.uvdpa_driver_name(d))

    def describe(self) -> Words:
        """How to attach to it where it is now."""
        with self._guard:
            return emitted(lib.uvdpa_dev_describe, self._c)

    @property
    def override(self) -> Optional[str]:
        """The bus driver that alone may have it, or None. Setting it neither binds nor unbinds."""
        with self._guard:
            return text(lib.uvdpa_dev_override(self._c))

    @override.setter
    def override(self, driver: Optional[str]) -> None:
        c = ffi.NULL if driver is None else ffi.new("char[]", encode(driver))
        with self._guard:
            check(lib.uvdpa_dev_set_override(self._c, c))

    def _do(self, wait: bool, timeout: Optional[float], fn: Any, *args: Any) -> None:
        if wait and local.depth:
            raise RuntimeError("nothing waits in a callback: wait=False")
        with self._guard:
            w = _context.Wait(self._ctx._waits)
            w.begun(fn(self._c, *args, w.c))
            if wait:
                w.finish(self._ctx, self.name, timeout)

    def bind(self, driver: str, *, wait: bool = True, timeout: Optional[float] = None,
             **options: Value) -> None:
        """Hand it to a bus driver, away from the one that has it. As for wait and timeout, see
        Context.add()."""
        attrs = Attrs(options)
        self._do(wait, timeout, lib.uvdpa_dev_bind, encode(driver), attrs.c, attrs.n)

    def unbind(self, *, wait: bool = True, timeout: Optional[float] = None) -> None:
        """Take it from its bus driver."""
        self._do(wait, timeout, lib.uvdpa_dev_unbind)

    def delete(self, *, wait: bool = True, timeout: Optional[float] = None) -> None:
        """Take it away from whoever has it, and end it."""
        self._do(wait, timeout, lib.uvdpa_dev_del)

    # ---- what can be changed

    def set(self, **options: Value) -> None:
        """Change options of it, whoever has it and whatever it does."""
        attrs = Attrs(options)
        with self._guard:
            check(lib.uvdpa_dev_set(self._c, attrs.c, attrs.n))

    @property
    def set_options(self) -> dict[str, Words]:
        """The options that can be changed."""
        with self._guard:
            return options_of(lib.uvdpa_dev_settable(self._c))

    # ---- use it in this process

    def open_blk(self, **options: Any) -> Blk:
        """Use a block device in this process. It is bound to "virtio" if it is bound to nothing.

        Options: queue_size, mem (bytes of requests in flight), features_off, packed.
        """
        from ._blk import Blk  # pylint: disable=import-outside-toplevel

        return Blk(self, **options)

    def open_net(self, **options: Any) -> Net:
        """Use a network device in this process. Options: queue_size, mem, features_off, packed."""
        from ._net import Net  # pylint: disable=import-outside-toplevel

        return Net(self, **options)

    def open_rng(self, **options: Any) -> Rng:
        """Use an entropy device in this process. Options: queue_size, mem, features_off, packed."""
        from ._rng import Rng  # pylint: disable=import-outside-toplevel

        return Rng(self, **options)
