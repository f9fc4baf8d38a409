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

_SLOW = 0.002  # seconds from which on a write is slow; most are a thousand times faster
_RARE = 10  # one slow write in so many is the scheduler's doing, not the file's
_ENOUGH = 80  # eight slow ones in a row, or somewhat more among quick ones


@cache
def _system_write() -> Callable[[int, bytes, int], int] | None:
    """Return `write(2)`, called with the lock held; `None` where that cannot be had."""
    if sys.implementation.name != "cpython" or os.name != "posix":
        return None
    try:
        import ctypes

        call: Any = ctypes.PyDLL(None).write
        # Without `argtypes` a call is a third cheaper; a line's length fits an int, which libffi extends to a register.
        call.restype = ctypes.c_ssize_t
    except (ImportError, OSError, AttributeError):
        return None
    return call  # type: ignore[no-any-return]


def held_write(
    on_slow: Callable[[float], object] = lambda _: None, *, monotonic: Callable[[], float] = time.monotonic
) -> Callable[[int, bytes], int]:
    """Return what writes as `os.write` does, with the interpreter's lock held for as long as that is quick.

    Args:
        on_slow: Told how long a slow write took, in seconds.
        monotonic: Seconds that never go back.
    """
    call = _system_write()
    slow = 0 if call is not None else _ENOUGH

    def write(fd: int, data: bytes) -> int:
        nonlocal slow
        began = monotonic()
        # One that failed may have been interrupted; if this one fails too, it says why.
        if call is None or slow >= _ENOUGH or (written := call(fd, data, len(data))) < 0:
            written = os.write(fd, data)
        took = monotonic() - began
        if took > _SLOW:
            slow = min(slow + _RARE, _ENOUGH)
            on_slow(took)
        elif 0 < slow < _ENOUGH:
            slow -= 1
        return written

    return write
