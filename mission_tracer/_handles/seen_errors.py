"""Know an exception again that was logged where it came up, on its way out through further blocks."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from typing import Any

_ARGUMENTS = 4096  # characters of an exception's arguments that may be held
_TEXTS = frozenset({bool, bytes, float, int, str, type(None)})
_MOST = 16  # as many as may be passing through a run at once


class SeenErrors:
    """Remember the last exceptions of a run, without keeping one alive.

    Args:
        clock: Seconds that never go back; by it, `since` is meant.
    """

    __slots__ = ("_clock", "_seen")

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._seen: dict[object, _Seen] = {}

    def take(self, error: BaseException, *, since: float = 0.0) -> bool:
        """Take in an exception; say whether it is new.

        Args:
            error: The exception.
            since: When what it passes through began: one that was seen before that is another one, even if it looks
                the same. 0: it began before any exception.
        """
        mark = _mark_of(error)
        seen = self._seen.pop(mark, None)
        is_known = seen is not None and seen.at >= since and seen.is_same(error)
        # The newest is the last.
        self._seen[mark] = seen if seen is not None and is_known else _Seen(error, self._clock())
        if len(self._seen) > _MOST:
            del self._seen[next(iter(self._seen))]
        return not is_known


class _Seen:
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
        return self._arguments is None or self._arguments is _told(error, "args")


def _told(error: BaseException, name: str) -> Any:
    # Not `error.args`: a class may have made something else of it.
    told: Any = vars(BaseException)[name]
    return told.__get__(error)


def _plain_arguments(error: BaseException) -> tuple[Any, ...] | None:
    found: tuple[Any, ...] = _told(error, "args")
    if not all(type(each) in _TEXTS for each in found):
        return None
    size = sum(len(each) if isinstance(each, (bytes, str)) else 1 for each in found)
    return found if size <= _ARGUMENTS else None


def _mark_of(error: BaseException) -> tuple[object, ...]:
    """Know an exception again without keeping it alive: its address, its type and where it was raised."""
    trace = _told(error, "__traceback__")
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = (trace.tb_frame.f_code.co_filename, trace.tb_lineno) if trace is not None else None
    return (id(error), type(error).__name__, where)
