"""Read how a block ended: with a result, by being cancelled, or with an error that was seen before. Pure."""

from __future__ import annotations

import sys
import weakref
from typing import Any

_ARGUMENTS = 4096  # characters of an exception's arguments that may be held
_TEXTS = frozenset({bool, bytes, float, int, str, type(None)})


def is_cancellation(error: BaseException) -> bool:
    """Say whether an exception means that the run was cancelled, not that it failed."""
    return isinstance(error, (KeyboardInterrupt, GeneratorExit)) or is_task_cancellation(error)


def is_task_cancellation(error: BaseException) -> bool:
    """Say whether an exception is the word of asyncio or trio that a task is cancelled."""
    # Who raises it has imported the library; importing it for the comparison would take longer than all else here.
    return any(
        library in sys.modules and isinstance(error, getattr(sys.modules[library], name, ()))
        for library, name in (("asyncio", "CancelledError"), ("trio", "Cancelled"))
    )


def is_good_exit(error: BaseException) -> bool:
    """Say whether an exception ends the program as done: `sys.exit()` with no code, or with 0."""
    return isinstance(error, SystemExit) and not error.code


class Seen:
    """Tell an exception that was seen from a later one that took its address, without keeping it alive.

    Most classes of exceptions can be referred to weakly. Those of the language itself cannot; of these the arguments
    are held, if they are a few texts and numbers: as long as they are there, no other exception has the very same.

    Args:
        error: The exception.
        at: When it was seen, by `time.perf_counter`.
    """

    __slots__ = ("_arguments", "_reference", "at")

    def __init__(self, error: BaseException, at: float) -> None:
        self.at = at
        self._reference: weakref.ref[BaseException] | None = None
        self._arguments: tuple[Any, ...] | None = None
        try:
            self._reference = weakref.ref(error)
        except TypeError:
            self._arguments = _plain_arguments(error)

    def is_same(self, error: BaseException) -> bool:
        """Say whether it is this exception, of which the mark is the same; True when nobody can know."""
        if self._reference is not None:
            return self._reference() is error
        return self._arguments is None or self._arguments is _arguments_of(error)


def _arguments_of(error: BaseException) -> tuple[Any, ...]:
    # Not `error.args`: a class may have made something else of it.
    told: Any = vars(BaseException)["args"]
    found: tuple[Any, ...] = told.__get__(error)
    return found


def _plain_arguments(error: BaseException) -> tuple[Any, ...] | None:
    found = _arguments_of(error)
    if not found or not all(type(each) in _TEXTS for each in found):
        return None
    size = sum(len(each) if isinstance(each, (bytes, str)) else 1 for each in found)
    return found if size <= _ARGUMENTS else None


def mark_of(error: BaseException) -> tuple[object, ...]:
    """Know an exception again without keeping it alive: its address, its type and where it was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = (trace.tb_frame.f_code.co_filename, trace.tb_lineno) if trace is not None else None
    return (id(error), type(error).__name__, where)
