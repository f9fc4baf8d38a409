"""Find runs that other processes left in the state directory, and keep that directory tidy."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress

from mission_tracer._disk.directory import Directory
from mission_tracer._disk.retention import prune

_FULL = 30.0  # how often every run is looked at, in seconds: a process may have died
_TICK = 0.1  # a file system's clock may be as coarse as that, in seconds
_PRUNE = 600.0  # how often delivered runs are pruned, in seconds, by whichever process


class Strangers:
    """List the runs of a directory that are worth a look.

    Args:
        directory: The state directory; `None`: other processes' runs are no concern of ours.
        retention: How long delivered runs are kept, in seconds.
        most_bytes: How many bytes of them are kept.
        clock: Seconds since the epoch.
        monotonic: Seconds that never go back.
    """

    def __init__(
        self,
        directory: Directory | None,
        *,
        retention: float,
        most_bytes: int,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._directory = directory
        self._retention = retention
        self._most_bytes = most_bytes
        self._clock = clock
        self._monotonic = monotonic
        self._waiting: deque[str] = deque()
        self._skipped: set[str] = set()
        self._seen: set[str] = set()
        self._changed_at = -1
        self._full_at: float | None = None

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def is_still(self) -> bool:
        """Say whether a look would find nothing."""
        directory = self._directory
        return directory is None or not (self._waiting or self._is_due or directory.changed_at() != self._changed_at)

    @property
    def _is_due(self) -> bool:
        return self._full_at is None or self._monotonic() - self._full_at >= _FULL

    def look(self, known: Callable[[], set[str]]) -> bool:
        """Look for runs; say whether this was a thorough look, at old ones too.

        Args:
            known: Returns the runs that need no look.
        """
        directory = self._directory
        if directory is None:
            return False
        thorough, changed_at = self._is_due, directory.changed_at()
        if not (thorough or changed_at != self._changed_at):
            return False
        if thorough:
            self._full_at = self._monotonic()
            self._seen.clear()
            self._waiting.clear()
            with suppress(OSError):
                directory.tidy()
                if directory.is_due(now=self._clock(), every=_PRUNE):
                    prune(directory, now=self._clock(), retention=self._retention, most_bytes=self._most_bytes)
        # Changes within one tick of the file system's clock have one time: one that is just over may not be all.
        is_fresh = abs(self._clock() - changed_at / 1e9) < _TICK
        self._changed_at = -1 if is_fresh else changed_at
        keys = directory.keys()
        self._skipped &= set(keys)
        self._seen &= set(keys)  # one that was put away may come back
        passed = self._seen | self._skipped | known()
        fresh = [key for key in keys if key not in passed]
        self._waiting.extend(fresh)
        self._seen.update(fresh)
        return thorough

    def next(self) -> str | None:
        """Take the next run to look at, the oldest first; `None` when there is none."""
        return self._waiting.popleft() if self._waiting else None

    def forget(self, key: str) -> None:
        """Take in that a run was put away: it is a new one if it comes back."""
        self._seen.discard(key)

    def skip(self, key: str) -> None:
        """Leave a run alone from now on: it cannot be delivered as things are."""
        self._skipped.add(key)

    def again(self, key: str) -> None:
        """Look at a run again soon: nothing could be said of it yet."""
        self._seen.discard(key)
        self._changed_at = -1
