# SPDX-License-Identifier: BSD-2-Clause
"""A context, and the events of its devices."""
from __future__ import annotations

import atexit
import errno
import os
import select
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Optional

from ._base import (LEVELS, Attrs, Error, Features, Value, Words, check, deadline, encode,
                    feature_mask, feature_names, ffi, lib, local, options_of, text)
from ._device import Device

EVENTS = ("added", "ready", "lost", "bound", "unbound", "status", "config", "removed",
          "attrs")


class Event(NamedTuple):
    """Something that happened to a device."""

    #: "added", "ready", "lost", "bound", "unbound", "status", "config", "removed" or "attrs"
    event: str
    #: the device's name
    name: str
    #: the device; of "removed", what is left of it: its name
    device: Device


class Guard:
    """Of a context: "with guard as u" lets one thread in."""

    def __init__(self) -> None:
        self.u = ffi.NULL
        self.opened: dict[int, tuple[Callable[[Any], Any], Any, Any]] = {}  # what ends each, in order
        self.dead: deque[int] = deque()  # what the garbage collector could not end at once
        self.last_key = 0
        self._pid = os.getpid()
        self._lock = threading.RLock()

    def enter(self) -> bool:
        """Return: whether this thread may call the library now. If so, leave() follows."""
        # A child of fork() has none of the context's threads.
        return self._pid == os.getpid() and self._lock.acquire(blocking=False)

    def leave(self) -> None:
        """The end of enter()."""
        self._lock.release()

    def __enter__(self) -> Any:
        if self._pid != os.getpid():
            raise RuntimeError("the context belongs to another process")
        if local.logs:
            raise RuntimeError("a log function makes no calls")
        if not self.enter():
            raise RuntimeError("another thread is in this context")
        if self.u == ffi.NULL:
            self.leave()
            raise ValueError("the context is closed")
        while self.dead and not local.depth:
            self.end(self.dead.popleft())
        return self.u

    def __exit__(self, *exc: Any) -> None:
        self.leave()
        if local.raised and not local.depth:
            raised, local.raised = local.raised, None
            raise raised

    def own(self, fn: Callable[[Any], Any], c: Any, kept: Any = None) -> int:
        """fn(c) ends something that was opened; kept is what C has pointers to. Return: its key."""
        self.last_key += 1
        self.opened[self.last_key] = (fn, c, kept)
        return self.last_key

    def end(self, key: int) -> None:
        """End it, if it has not ended. The caller has entered."""
        if key in self.opened:
            fn, c, _ = self.opened.pop(key)
            fn(c)

    def release(self, key: int) -> None:
        """The same for who has not; not in a callback."""
        if key in self.opened:
            with self:
                self.end(key)

    def bury(self, key: int) -> None:
        """The same for the garbage collector, which comes at any time, in any thread."""
        if key not in self.opened:
            return
        if local.depth or not self.enter():
            self.dead.append(key)
            return
        try:
            self.end(key)
        finally:
            self.leave()


class Wait:
    """An operation that takes time. C has a pointer to it until it has ended."""

    def __init__(self, pending: set[Wait]) -> None:
        self._pending = pending
        self._text: Optional[str] = None
        self._c = ffi.new("struct py_wait *", ({"done": lib.py_done}, ffi.NULL))
        self._handle = self._c.self = ffi.new_handle(self)
        self.c = ffi.addressof(self._c.c)

    def ended(self, why: Optional[str]) -> None:
        """Called by C, with the sentence if it failed."""
        self._text = why
        self._pending.discard(self)

    def begun(self, r: int) -> None:
        """What the call returned: raise it if it failed."""
        if r == -errno.EINPROGRESS:
            self._pending.add(self)
        else:
            check(r)

    def finish(self, ctx: Context, what: str, timeout: Optional[float]) -> None:
        """Dispatch until it has ended."""
        due = deadline(timeout)
        while self.c.pending:
            if not ctx._turn(due) and self.c.pending:
                raise Error(errno.ETIMEDOUT, f"{what}: not done in {timeout} seconds; it goes on")
        if self.c.err:
            raise Error(-self.c.err, self._text)


class Watch:
    """Calls a function with each Event until close(); see Context.watch()."""

    def __init__(self, ctx: Context, fn: Callable[[Event], Any]) -> None:
        self._guard = ctx._guard
        self._key = ctx._watch(fn)

    def close(self) -> None:
        """No further calls."""
        self._guard.release(self._key)

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()


class Events(Iterator[Event]):
    """Events as they come: an iterator that dispatches its context while it waits.

    It ends when none came for timeout seconds (None: never), or with close() or its context.
    """

    def __init__(self, ctx: Context, timeout: Optional[float]) -> None:
        self._ctx = ctx
        self._queue: deque[Event] = deque()
        self._key = ctx._watch(self._queue.append)
        #: seconds that the next event is waited for, or None
        self.timeout = timeout

    def __iter__(self) -> Events:
        return self

    def __next__(self) -> Event:
        due = deadline(self.timeout)
        while not self._queue:
            if self._key not in self._ctx._guard.opened:
                raise StopIteration
            if not self._ctx._turn(due) and not self._queue:
                raise StopIteration
        return self._queue.popleft()

    def close(self) -> None:
        """No further events; those that came can still be taken."""
        self._ctx._guard.release(self._key)

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_key"):
            self._ctx._guard.bury(self._key)


class Context:
    """A bus with its devices; several live side by side in one process.

    log(level, line) receives messages. It is called by any thread, and a call of this module that
    it makes is a RuntimeError; None writes them to standard error. log_level is the highest that is passed on: "err",
    "warn", "info" or "debug".

    One thread at a time may be in a context and in what was opened in it; another gets a
    RuntimeError. Waiting lets the interpreter's other threads run, and Ctrl-C ends it. In a callback
    nothing waits, and no context is closed.

    The devices end with their context: close it, or use it in a with statement.
    """

    def __init__(self, *, log: Optional[Callable[[str, str], Any]] = None,
                 log_level: str = "warn") -> None:
        if log is not None and not callable(log):
            raise TypeError("log: a function of a level and a line")
        if log_level not in LEVELS:
            raise ValueError(f"log_level: one of {', '.join(LEVELS)}")
        bury_orphans()
        self._guard = Guard()
        self._waits: set[Wait] = set()
        self._devs: weakref.WeakValueDictionary[int, Device] = weakref.WeakValueDictionary()
        self._log_handle = ffi.new_handle(log)
        self._log = ffi.new("struct py_log *", ({"line": lib.py_line}, self._log_handle))
        ret = ffi.new("struct uvdpa **")
        check(lib.uvdpa_create(ret))
        self._guard.u = ret[0]
        lib.uvdpa_set_log(ret[0], ffi.addressof(self._log.c) if log else ffi.NULL,
                          LEVELS.index(log_level))
        self._watch_c(self._forget)
        _contexts.add(self)

    # ---- its end

    @property
    def closed(self) -> bool:
        """True after close()."""
        return bool(self._guard.u == ffi.NULL)

    def close(self) -> None:
        """End everything that was opened here, every device, and the context.

        Waits for what is in flight, two seconds at most. Harmless if it is closed already.
        """
        if self.closed:
            return
        with self._guard:
            if local.depth:
                raise RuntimeError("no context is closed in a callback")
            self._take()()

    def _take(self) -> Callable[[], None]:
        """Take everything out of self. Return: what ends it."""
        u, opened = self._guard.u, list(self._guard.opened.values())
        kept = (self._waits, self._log, self._log_handle)  # what C has pointers to

        self._guard.u = ffi.NULL
        self._guard.opened.clear()
        for d in list(self._devs.values()):
            d._dev = ffi.NULL

        def end() -> None:
            for fn, c, _ in reversed(opened):
                fn(c)
            lib.uvdpa_destroy(u)
            assert kept

        return end

    def __enter__(self) -> Context:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()

    def __del__(self) -> None:
        guard = getattr(self, "_guard", None)
        if guard is None or guard.u == ffi.NULL or not guard.enter():
            return
        try:
            _orphans.append(self._take())
            if not local.depth:
                bury_orphans()
        finally:
            guard.leave()

    # ---- its loop

    def fileno(self) -> int:
        """The descriptor for a loop of your own: readable when dispatch(0) has something to do."""
        with self._guard as u:
            return int(lib.uvdpa_fd(u))

    def dispatch(self, timeout: Optional[float] = None) -> int:
        """Wait for events, and handle them. Return: how many; 0 after timeout seconds."""
        due = deadline(timeout)
        with self._guard as u:
            self._wait(u, due, ())
            return check(lib.uvdpa_dispatch(u, 0))

    def _wait(self, u: Any, due: Optional[float], fds: tuple[int, ...]) -> bool:
        if local.depth:
            raise RuntimeError("nothing waits in a callback")
        p = select.poll()
        for fd in (lib.uvdpa_fd(u), *fds):
            p.register(fd, select.POLLIN)
        # Rounded up: not again and again within the last millisecond.
        left = None if due is None else max(0, int((due - time.monotonic()) * 1000 + 0.999))
        return bool(p.poll(left))

    def _turn(self, due: Optional[float], *fds: int) -> bool:
        """Wait for events, or one of fds, and handle them. Return: False when it is due."""
        with self._guard as u:
            r = self._wait(u, due, fds)
            check(lib.uvdpa_dispatch(u, 0))
            return r

    # ---- events

    def _watch_c(self, fn: Callable[[int, Any], Any]) -> int:
        handle = ffi.new_handle(fn)
        w = ffi.new("struct py_watch *", ({"event": lib.py_event}, handle))
        key = self._guard.own(lib.uvdpa_watch_del, ffi.addressof(w.c), (w, handle))
        lib.uvdpa_watch_add(self._guard.u, ffi.addressof(w.c))
        return key

    def _watch(self, fn: Callable[[Event], Any]) -> int:
        if not callable(fn):
            raise TypeError("a function of an event")

        def told(event: int, dev: Any) -> None:
            d = self._gone(dev) if event == lib.UVDPA_DEV_REMOVED else self._device(dev)
            if event < len(EVENTS):	# a newer library may have others
                fn(Event(EVENTS[event], d.name, d))

        with self._guard:
            return self._watch_c(told)

    def _forget(self, event: int, dev: Any) -> None:
        """The first to be told of everything: after the last event the pointer is nothing."""
        d = self._devs.get(int(ffi.cast("uintptr_t", dev)))
        if d and event == lib.UVDPA_DEV_REMOVED:
            d._dev = ffi.NULL

    def watch(self, fn: Callable[[Event], Any]) -> Watch:
        """Call fn(event) for each event, from dispatch() and whatever waits.

        What there is already is told at once. fn may do anything but wait and close the context; what
        it raises, the call that waits raises. The context keeps it until Watch.close().
        """
        return Watch(self, fn)

    def events(self, timeout: Optional[float] = None) -> Events:
        """The events from now on, and before them those that say what there is already."""
        return Events(self, timeout)

    # ---- devices

    def _device(self, dev: Any) -> Device:
        at = int(ffi.cast("uintptr_t", dev))
        d = self._devs.get(at)
        if d is None or d.gone:  # or another was there before
            d = self._devs[at] = Device(self, dev)
        return d

    def _gone(self, dev: Any) -> Device:
        d = self._devs.get(int(ffi.cast("uintptr_t", dev)))
        if d is None or d.name != text(lib.uvdpa_dev_name(dev)):
            d = Device(self, dev)
            d._dev = ffi.NULL
        return d

    def add(self, name: str, mgmtdev: str, *, features: Features = 0,
            driver_options: Optional[dict[str, Value]] = None,
            driver_override: Optional[str] = None, wait: bool = True,
            timeout: Optional[float] = None, **options: Value) -> Device:
        """Make a device, and bind it if there is a driver.

        The options are the parent's, in any order; driver=NAME names the bus driver, and what
        stands behind it is the driver's, as on the command line; None is none. driver_options has those whose
        names the parent has, too, and driver_override is as Device.override. features is a mask of what
        the device may offer, or a list of names.

            ctx.add("d0", "blk", image="a.img", driver="vhost-user", socket="a.sock")

        It returns when the device is ready and bound, and raises a TimeoutError if that takes longer
        than timeout seconds (it goes on then). With wait=False it returns at once, and if the device
        cannot be made after all it is removed again.
        """
        parent, driver = options, {}
        driver_name = options.get("driver")
        if "driver" in options:
            keys = list(options)
            at = keys.index("driver")
            parent = {k: options[k] for k in keys[:at]}
            driver = {k: options[k] for k in keys[at + 1:]}
        driver.update(driver_options or {})
        attrs, driver_attrs = Attrs(parent), Attrs(driver)
        names = [ffi.new("char[]", encode(s)) for s in (name, mgmtdev)]
        if driver_name is not None:
            names.append(ffi.new("char[]", encode(driver_name)))  # type: ignore[arg-type]
        override = ffi.NULL if driver_override is None else ffi.new("char[]", encode(driver_override))
        if wait and local.depth:
            raise RuntimeError("nothing waits in a callback: wait=False")
        with self._guard as u:
            o = ffi.new("struct uvdpa_dev_opts *", {
                "size": ffi.sizeof("struct uvdpa_dev_opts"),
                "name": names[0], "mgmtdev": names[1],
                "features": feature_mask(self._device_ids(mgmtdev), features),
                "attrs": attrs.c, "nattrs": attrs.n,
                "driver": names[2] if names[2:] else ffi.NULL,
                "driver_attrs": driver_attrs.c, "ndriver_attrs": driver_attrs.n,
                "driver_override": override})
            ret = ffi.new("struct uvdpa_dev **")
            w = Wait(self._waits)
            w.begun(lib.uvdpa_dev_add(u, o, ret, w.c))
            device = self._device(ret[0])
            if wait:
                w.finish(self, name, timeout)
        return device

    def find(self, name: str) -> Optional[Device]:
        """The device of that name, or None."""
        with self._guard as u:
            dev = lib.uvdpa_dev_find(u, encode(name))
            return None if dev == ffi.NULL else self._device(dev)

    def __getitem__(self, name: str) -> Device:
        """The device of that name; a KeyError if there is none."""
        d = self.find(name)
        if d is None:
            raise KeyError(name)
        return d

    def __contains__(self, name: str) -> bool:
        return self.find(name) is not None

    @property
    def devices(self) -> list[Device]:
        """All devices, in the order they were added."""
        found = []
        with self._guard as u:
            dev = lib.uvdpa_dev_next(u, ffi.NULL)
            while dev != ffi.NULL:
                found.append(self._device(dev))
                dev = lib.uvdpa_dev_next(u, dev)
        return found

    def __iter__(self) -> Iterator[Device]:
        return iter(self.devices)

    def __len__(self) -> int:
        return len(self.devices)

    def __bool__(self) -> bool:
        return True

    # ---- what can be made, and by whom it can be had

    def _device_ids(self, mgmtdev: str) -> list[int]:
        p = lib.uvdpa_parent_find(self._guard.u, encode(mgmtdev))
        return [] if p == ffi.NULL else ids_of(p)

    @property
    def mgmtdevs(self) -> dict[str, Words]:
        """Parents by name: what each makes, and its options."""
        found: dict[str, Words] = {}
        with self._guard as u:
            p = lib.uvdpa_parent_next(u, ffi.NULL)
            while p != ffi.NULL:
                ids = ids_of(p)
                found[str(text(lib.uvdpa_parent_name(p)))] = {
                    "help": text(lib.uvdpa_parent_help(p)),
                    "supported_classes": [text(lib.uvdpa_class_name(i)) or str(i) for i in ids],
                    "max_supported_vqs": lib.uvdpa_parent_max_vqs(p),
                    "dev_features": feature_names((ids or [0])[0], lib.uvdpa_parent_features(p)),
                    "options": options_of(lib.uvdpa_parent_opts(p))}
                p = lib.uvdpa_parent_next(u, p)
        return found

    @property
    def drivers(self) -> dict[str, Words]:
        """Bus drivers by name: what Linux calls them, and their options."""
        found: dict[str, Words] = {}
        with self._guard as u:
            d = lib.uvdpa_driver_next(u, ffi.NULL)
            while d != ffi.NULL:
                found[str(text(lib.uvdpa_driver_name(d)))] = {
                    "alias": text(lib.uvdpa_driver_alias(d)),
                    "help": text(lib.uvdpa_driver_help(d)),
                    "options": options_of(lib.uvdpa_driver_opts(d))}
                d = lib.uvdpa_driver_next(u, d)
        return found


def ids_of(parent: Any) -> list[int]:
    """The device types that a parent makes."""
    ids, i = lib.uvdpa_parent_device_ids(parent), 0
    while ids != ffi.NULL and ids[i]:
        i += 1
    return list(ids[0:i]) if i else []


_contexts: weakref.WeakSet[Context] = weakref.WeakSet()
_orphans: deque[Callable[[], None]] = deque()  # contexts that were collected in a callback


def bury_orphans() -> None:
    """End them, where that can be done."""
    while _orphans and not local.depth:
        _orphans.popleft()()


@atexit.register
def _at_exit() -> None:
    """Devices end with the interpreter: sockets are taken away, the last requests come home."""
    for ctx in list(_contexts):
        ctx.__del__()  # pylint: disable=unnecessary-dunder-call
    bury_orphans()
