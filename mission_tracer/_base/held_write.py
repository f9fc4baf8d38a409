"""Write to a file without letting go of the interpreter.

`os.write` releases the interpreter's lock around the system call. A thread that is just delivering takes it then, and
the program gets it back when that thread next waits for the network: a microsecond of writing becomes milliseconds of
waiting. Appending a line to a file in the page cache takes no longer than handing the lock over, so it is kept.
Where a file turns out to be slow (a network's, a failing disk's), other threads matter more, and `os.write` is used.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from functools import cache
from typing import Any

SLOW = 0.002  # seconds from which on a write is slow; most are a thousand times faster
_RARE = 10  # one slow write in so many is the scheduler's doing, not the file's
_ENOUGH = 80  # eight slow ones in a row, or somewhat more among quick ones


Write = Callable[[int, bytes, int], int]
"""Writes to a descriptor so many bytes, all there are; returns how many it wrote, or a negative number."""


def _release(fd: int, data: bytes, _size: int) -> int:
    return os.write(fd, data)


@cache
def _hold() -> Write:
    """Return `write(2)`, called with the lock held; without that where it cannot be had."""
    if sys.implementation.name != "cpython" or os.name != "posix":
        return _release
    try:
        import ctypes

        call: Any = ctypes.PyDLL(None).write
        # Without `argtypes` a call is a third cheaper; a line's length fits an int, which libffi extends to a register.
        call.restype = ctypes.c_ssize_t
    except (ImportError, OSError, AttributeError):
        return _release
    return call  # type: ignore[no-any-return]


class Writer:
    """Know how to write to one file: with the interpreter's lock held, for as long as that is quick.

    Whoever writes looks at `monotonic` before and after, and says how long it took if that was more than `SLOW`, or if
    `is_watched`: a method that did so itself would cost as much as what it measures.

    Args:
        hold: False: never with the lock held.
        on_slow: Told how long a slow write took, in seconds.
        monotonic: Seconds that never go back.

    Attributes:
        write: Does it. A negative number comes back from one that failed, or was interrupted.
        is_watched: True after a slow write, until so many quick ones followed that it is forgiven.
    """

    __slots__ = ("_on_slow", "_score", "is_watched", "monotonic", "write")

    def __init__(
        self,
        *,
        hold: bool = False,
        on_slow: Callable[[float], object] = lambda _: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.write: Write = _hold() if hold else _release
        self.monotonic = monotonic
        self.is_watched = False
        self._on_slow = on_slow
        self._score = 0

    def took(self, seconds: float) -> None:
        """Take in how long a write took."""
        if seconds > SLOW:
            self._score += _RARE
            if self._score >= _ENOUGH:
                self.write = _release
            self._on_slow(seconds)
        else:
            self._score -= 1
        self.is_watched = self._score > 0 and self.write is not _release
