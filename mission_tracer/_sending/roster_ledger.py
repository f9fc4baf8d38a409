"""Keep the books of a process: which runs it records, and what became of its facts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from mission_tracer._disk.books import Stats, count_files
from mission_tracer._disk.directory import Directory
from mission_tracer._disk.stream import Stream
from mission_tracer._sending.lane import Lane


@dataclass(slots=True)
class Own:
    """What is known of one run of this process that is not put away.

    Args:
        writers: The names this process writes under, one for each of its shares; at most one is still in use.
        stream: Its share; `None`: nobody here writes any more.
        recorded: How many facts it recorded, up to the last look.
        dropped: How many of them neither the disk nor the memory took.
        delivered: How many of them were acknowledged when its lane was closed.
        rejected: How many were refused for good by then.
        parked: Why it cannot be delivered; `None`: it can.
    """

    writers: list[str]
    stream: Stream | None
    recorded: int = 0
    dropped: int = 0
    delivered: int = 0
    rejected: int = 0
    parked: str | None = None

    def count(self) -> int:
        """Return how many facts were recorded up to now."""
        if self.stream is not None:
            self.recorded += self.stream.take_recorded()
            self.dropped += self.stream.take_dropped()
        return self.recorded

    @property
    def left(self) -> int:
        """How many facts were kept, up to the last look, and not settled when the run's lane was closed last."""
        return max(0, self.recorded - self.dropped - self.delivered - self.rejected)

    @property
    def is_written(self) -> bool:
        """Say whether this process may still add to the run without attaching it again."""
        stream = self.stream
        return stream is not None and (stream.journal.is_open or stream.dirty or bool(stream.journal.memory.lines))


def _is_at_hand(own: Own) -> bool:
    """Say whether a run's file can be read although it has no name: it is open here, or was never made."""
    stream = own.stream
    return stream is not None and (stream.journal.file is not None or not stream.journal.has_begun)


@dataclass(slots=True)
class Totals:
    """The sums of the runs that are put away."""

    recorded: int = 0
    delivered: int = 0
    rejected: int = 0
    vanished: int = 0

    def add(self, other: Totals) -> None:
        """Add other sums."""
        self.recorded += other.recorded
        self.delivered += other.delivered
        self.rejected += other.rejected
        self.vanished += other.vanished


class Ledger:
    """Enter runs when they are recorded, and close their accounts when they are put away.

    Args:
        directory: The state directory; `None`: memory only.
        lane: Returns a run's open lane; `None` when it has none.
    """

    def __init__(self, directory: Directory | None, lane: Callable[[str], Lane | None]) -> None:
        self._directory = directory
        self._lane = lane
        self.clear()

    def clear(self) -> None:
        """Begin without runs, as in a forked child."""
        self.lock = threading.RLock()
        self.totals = Totals()
        self._own: dict[str, Own] = {}

    def __getitem__(self, key: str) -> Own | None:
        return self._own.get(key)

    def __contains__(self, key: object) -> bool:
        return key in self._own

    def keys(self) -> list[str]:
        """List the runs of this process that are not put away."""
        return list(self._own)

    def items(self) -> list[tuple[str, Own]]:
        """List them with what is known of them."""
        return list(self._own.items())

    def enter(self, stream: Stream) -> None:
        """Take up a run of this process."""
        with self.lock:
            stream.attached = True
            own = self._own.get(stream.key)
            own = own or self._own.setdefault(stream.key, Own([], stream))
            if stream.writer not in own.writers:
                own.writers.append(stream.writer)
            own.stream = stream

    def take_over(self, other: Ledger) -> list[tuple[str, Own]]:
        """Go on with another one's runs and sums; return the runs."""
        with self.lock:
            taken = other.items()
            for _, own in taken:
                own.parked = None
            self._own.update(taken)
            self.totals.add(other.totals)
        other.clear()
        return taken

    def lighten(self, own: Own) -> bool:
        """Forget the share of a run that nobody here writes any more; say whether it is forgotten."""
        with self.lock:
            if own.is_written or (own.stream is not None and own.stream.journal.is_nameless):
                return False
            if own.stream is not None:
                own.count()
                own.stream.attached, own.stream = False, None
            return True

    def settle(self, lane: Lane) -> None:
        """Take in what became of a run's facts while a lane was open."""
        own = self._own.get(lane.key)
        if own is not None:
            own.delivered, own.rejected = lane.settled(own.writers)

    def close(self, key: str) -> None:
        """Close the account of a run."""
        with self.lock:
            own = self._own.pop(key, None)
            if own is None:
                return
            if own.stream is not None:
                own.stream.attached = own.stream.dirty = False
            self.totals.recorded += own.count()
            self.totals.delivered += own.delivered
            self.totals.rejected += own.rejected

    def write_off(self, key: str) -> int:
        """Close the account of a run whose journal is gone; return how many facts nobody can deliver any more."""
        with self.lock:
            own = self._own.get(key)
            if own is None:
                return 0
            own.count()
            lost = own.left
            self.totals.vanished += lost
            self.close(key)
        return lost

    def stats(self, dropped: dict[str, int]) -> Stats:
        """Balance the books of what this process recorded.

        Raises:
            OSError: A journal cannot be read.
        """
        with self.lock:
            sums, runs = replace(self.totals), self.items()
        pending = 0
        for key, own in runs:
            found = self._count(key, own)
            pending += found.recorded - found.delivered - found.rejected - found.vanished - own.dropped
            sums.add(found)
        if sums.vanished:
            dropped = {**dropped, "the journal was deleted": sums.vanished}
        return Stats(sums.recorded, sums.delivered, pending, sums.rejected, dropped)

    def _count(self, key: str, own: Own) -> Totals:
        """Count a run's facts: how many there are last, so that none of them was delivered and not recorded."""
        lane = self._lane(key)
        if lane is not None:
            delivered, rejected = lane.settled(own.writers)
            return Totals(self._recorded(own), delivered, rejected)
        place = self._directory.find(key) if self._directory is not None else None
        if place is not None:
            with suppress(OSError):
                found = count_files(*place, writers=own.writers)
                return Totals(self._recorded(own), found.delivered, found.rejected + found.dropped)
        totals = Totals(self._recorded(own), own.delivered, own.rejected)
        if place is None and self._directory is not None and self._directory.is_readable() and not _is_at_hand(own):
            held = len(own.stream.journal.memory) if own.stream is not None else 0
            totals.vanished = max(0, own.left - held)
        return totals

    def _recorded(self, own: Own) -> int:
        with self.lock:
            return own.count()

    def count_unsafe(self) -> int:
        """Count the facts that die with this process: they are on no disk, or in a file that was deleted."""
        return sum(self._count_unsafe(key, own) for key, own in self.items() if own.stream is not None)

    def _count_unsafe(self, key: str, own: Own) -> int:
        assert own.stream is not None
        if not own.stream.journal.is_nameless:
            return len(own.stream.journal.memory)
        found = self._count(key, own)
        return found.recorded - own.dropped - found.delivered - found.rejected

    def leave(self, key: str) -> None:
        """Forget the share of a run that nobody here writes any more, and that no sender has to be told of."""
        own = self._own.get(key)
        if own is not None and own.stream is not None:
            own.stream.dirty = False
            self.lighten(own)

    def estimate_pending(self) -> int:
        """Say how many facts of this process are not settled, from counters alone.

        Quick, and right while nobody else delivers them.
        """
        pending = 0
        for key, own in self.items():
            lane = self._lane(key)
            settled = own.delivered + own.rejected if lane is None else sum(lane.settled(own.writers))
            pending += max(0, self._recorded(own) - own.dropped - settled)
        return pending
