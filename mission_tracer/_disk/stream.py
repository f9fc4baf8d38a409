"""Be one process's share in one run: its journal, the name it writes under, and the numbers of its facts."""

from __future__ import annotations

import datetime as dt
import functools
import itertools
from collections.abc import Callable

from mission_tracer import facts
from mission_tracer._base.forks import known, process_id
from mission_tracer._disk.journal import Journal

utc_now: Callable[[], dt.datetime] = functools.partial(dt.datetime.now, dt.timezone.utc)
"""Return the present moment, in UTC."""


class Stream:
    """Number and stamp the facts that this process records of one run.

    A forked child goes on under a name of its own, or two processes would give two facts the same key.

    Args:
        key: The run's key.
        journal: Where the facts go.
        writer: Makes the name of a share.
        clock: Returns the present moment, in UTC.
    """

    __slots__ = (
        "__weakref__",
        "_clock",
        "_dropped",
        "_dropped_before",
        "_make_writer",
        "_next",
        "_next_call",
        "_probes",
        "attached",
        "dirty",
        "journal",
        "key",
        "pid",
        "shared",
        "writer",
    )

    def __init__(
        self,
        key: str,
        journal: Journal,
        *,
        writer: Callable[[], str] = facts.new_writer,
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        self.key = key
        self.journal = journal
        self.dirty = False
        self.attached = False
        self.shared = False
        self._make_writer = writer
        self._clock = clock
        self._begin()

    def _begin(self) -> None:
        self.pid = process_id()
        self.writer = self._make_writer()
        self._next = itertools.count(1).__next__  # one step of C: threads and signal handlers share it without a lock
        self._next_call = itertools.count(1).__next__
        self._probes = 0
        self._dropped = self._dropped_before = 0

    def stamp(self) -> tuple[str, int, dt.datetime]:
        """Return the id, the number and the time of the next fact."""
        if known[0] != self.pid:  # not `process_id()`: a call is a good part of what this takes
            self.rebegin()
        number = self._next()
        return f"{self.writer}.{number}", number, self._clock()

    def name_call(self) -> str:
        """Return an id for one call of a tool, unique in the run."""
        return f"{self.writer}.c{self._next_call()}"

    def take_recorded(self) -> int:
        """Return how many facts were stamped since the last call."""
        probe = self._next()
        taken, self._probes = probe - 1 - self._probes, probe
        return taken

    def drop(self) -> None:
        """Take in that a stamped fact could not be kept."""
        self._dropped += 1

    def take_dropped(self) -> int:
        """Return how many facts could not be kept since the last call."""
        dropped = self._dropped
        taken, self._dropped_before = dropped - self._dropped_before, dropped
        return taken

    def rebegin(self) -> None:
        """Become the share of a forked child."""
        self.shared = True
        self.journal.forked()
        self.attached = self.dirty = False
        self._begin()
