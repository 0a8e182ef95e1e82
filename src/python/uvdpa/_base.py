# SPDX-License-Identifier: BSD-2-Clause
"""What the parts of this package share: errors, options to C and back, and the functions C calls.

The C library has no lock. So each call is made inside "with context as u:", which lets one
thread in and refuses another, and which knows what may be done in a callback: anything but waiting
and closing the context.
"""
from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Optional, Union

from ._uvdpa import ffi as ffi, lib as lib

#: What an option is written as: True and False are "on" and "off".
Value = Union[str, int, bool, "os.PathLike[str]"]
#: What the library tells of something: words, numbers, and truth; a list if a key comes twice.
Words = dict[str, Any]
#: A mask, or the names of its bits.
Features = Union[int, Iterable[str]]


class Error(OSError):
    """A call failed: errno says how, and str() is the library's sentence.

    It is a subclass of what Python has for an errno, too: TimeoutError, FileNotFoundError, ...
    """

    def __new__(cls, err: int, text: Optional[str] = None) -> Error:
        kind = type(OSError(err, ""))
        if cls is Error and kind is not OSError:
            cls = kinds.setdefault(kind, type("Error", (Error, kind), {"__module__": "uvdpa"}))
        # What is given here is what counts; OSError looks at nothing later.
        return super().__new__(cls, err, text or os.strerror(err))  # type: ignore[call-arg]

    def __str__(self) -> str:
        return str(self.strerror)


kinds: dict[type, type[Error]] = {}


class Local(threading.local):
    """Of each thread: how many callbacks it is in, whether it logs, and what a callback raised."""

    depth = 0
    logs = False
    raised: Optional[BaseException] = None


local = Local()


def text(p: Any) -> Optional[str]:
    """A C string, which may be NULL, as it is in a path of the system."""
    return None if p == ffi.NULL else os.fsdecode(ffi.string(p))


def sentence() -> str:
    """The sentence of this thread's last failure."""
    return str(ffi.string(lib.uvdpa_error()).decode(errors="replace"))


def check(r: int) -> int:
    """What a function returned that sets the sentence when it fails."""
    if r < 0:
        raise Error(-r, sentence())
    return r


def encode(value: str) -> bytes:
    """A str for C, which ends it at a NUL."""
    if not isinstance(value, str):
        raise TypeError(f"expected a str, not {type(value).__name__}")
    b = os.fsencode(value)
    if b"\0" in b:
        raise ValueError(f"a NUL character in {value!r}")
    return b


def written(key: str, value: Value) -> str:
    """The value of an option as the command line has it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int):
        return str(value)
    value = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(value, str):
        raise TypeError(f"{key}: a str, an int, a bool or a path, not {type(value).__name__}")
    return value


def deadline(timeout: Optional[float]) -> Optional[float]:
    """When a timeout in seconds is over; None: never."""
    return None if timeout is None else time.monotonic() + timeout


class Attrs:
    """Options as the array that C takes; keep it for the call."""

    def __init__(self, options: Mapping[str, Value]) -> None:
        self._kept = [(ffi.new("char[]", encode(k)), ffi.new("char[]", encode(written(k, v))))
                      for k, v in options.items()]
        self.c = ffi.new("struct uvdpa_attr[]", self._kept)
        self.n = len(self._kept)


def emitted(fn: Callable[..., Any], *args: Any) -> Words:
    """Call fn(*args, emit) and collect what it tells."""
    words: Words = {}
    handle = ffi.new_handle(words)
    e = ffi.new("struct py_emit *", ((lib.py_str, lib.py_num, lib.py_flag), handle))
    r = fn(*args, ffi.addressof(e.c))
    if r is not None:
        check(r)
    return words


def options_of(o: Any) -> dict[str, Words]:
    """A table of options, by key."""
    types = ("string", "bool", "uint", "size", "enum", "path")
    table: dict[str, Words] = {}
    while o != ffi.NULL and o.key != ffi.NULL:
        row: Words = {"type": types[o.type], "required": bool(o.required), "help": text(o.help)}
        if getattr(o, "def") != ffi.NULL:
            row["default"] = text(getattr(o, "def"))
        if o.type in (lib.UVDPA_OPT_UINT, lib.UVDPA_OPT_SIZE):
            row["min"] = o.min
            if o.max:
                row["max"] = o.max
        if o.type == lib.UVDPA_OPT_ENUM:
            row["choices"] = []
            while o.choices[len(row["choices"])] != ffi.NULL:
                row["choices"].append(text(o.choices[len(row["choices"])]))
        table[str(text(o.key))] = row
        o += 1
    return table


def feature_names(device_id: int, features: int) -> list[str]:
    """A mask in words; "bit_N" for one without a name."""
    return [text(lib.uvdpa_feature_name(device_id, bit)) or f"bit_{bit}"
            for bit in range(64) if features >> bit & 1]


def feature_mask(device_ids: Iterable[int], features: Features) -> int:
    """The mask of words, of any of these device types."""
    if isinstance(features, int):
        return features
    if isinstance(features, str):
        raise TypeError("features: a number, or a list of names")
    bits = {name: 1 << bit for i in (*device_ids, 0) for bit in reversed(range(64))
            for name in feature_names(i, 1 << bit)}
    mask = 0
    for name in features:
        if name not in bits:
            raise Error(errno.EINVAL, f'feature "{name}" is not known')
        mask |= bits[name]
    return mask


# ---- called by C -------------------------------------------------------------------------------

def keep(_type: Any, exc: BaseException, _traceback: Any) -> None:
    """A callback raised: the call that this thread is in raises it when it returns."""
    local.raised = local.raised or exc


class inside:  # pylint: disable=invalid-name
    """With it: this thread is in a callback."""

    def __enter__(self) -> None:
        local.depth += 1

    def __exit__(self, *exc: Any) -> None:
        local.depth -= 1


def owner(kind: str, p: Any) -> Any:
    """The Python object that a structure of C belongs to."""
    return ffi.from_handle(ffi.cast(f"struct py_{kind} *", p).self)


def tell(e: Any, key: Any, value: Any) -> None:
    """One pair of an emit."""
    words, name = owner("emit", e), str(text(key))
    if name not in words:
        words[name] = value
    elif isinstance(words[name], list):
        words[name].append(value)
    else:
        words[name] = [words[name], value]


@ffi.def_extern(name="py_str", onerror=keep)  # type: ignore[misc]
def _str(e: Any, key: Any, value: Any) -> None:
    with inside():
        tell(e, key, text(value))


@ffi.def_extern(name="py_num", onerror=keep)  # type: ignore[misc]
def _num(e: Any, key: Any, value: int) -> None:
    with inside():
        tell(e, key, value)


@ffi.def_extern(name="py_flag", onerror=keep)  # type: ignore[misc]
def _flag(e: Any, key: Any, value: bool) -> None:
    with inside():
        tell(e, key, bool(value))


LEVELS = ("err", "warn", "info", "debug")


# Called by any thread, with a lock that the library's other messages wait for: what it raises is printed.
@ffi.def_extern(name="py_line")  # type: ignore[misc]
def _line(log: Any, level: int, line: Any) -> None:
    with inside():
        local.logs = True
        try:
            owner("log", log)(LEVELS[level], ffi.string(line).decode(errors="replace"))
        finally:
            local.logs = False


@ffi.def_extern(name="py_done", onerror=keep)  # type: ignore[misc]
def _done(wait: Any, err: int) -> None:
    with inside():
        owner("wait", wait).ended(sentence() if err else None)


@ffi.def_extern(name="py_event", onerror=keep)  # type: ignore[misc]
def _event(watch: Any, event: int, dev: Any) -> None:
    with inside():
        owner("watch", watch)(event, dev)
