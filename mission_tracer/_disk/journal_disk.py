"""Know whether the disk takes facts at the moment, for all journals of a process."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

_SLOW = 0.5  # an append that takes longer than this, in seconds, is too long a wait
_SOON = 10.0  # two slow appends within so many seconds are the disk's doing; one may be that of a busy machine
_FIRST = 1.0
_MOST = 60.0


class Disk:
    """Say whether the disk is worth a try; after each trouble in a row the pause is twice as long.

    Args:
        on_trouble: Told why the disk takes no more.
        monotonic: Seconds that never go back.
    """

    __slots__ = ("_failed_at", "_pause", "_slow_at", "good", "monotonic", "on_trouble")

    def __init__(
        self,
        on_trouble: Callable[[OSError], object] = lambda _: None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.good = True
        self.monotonic = monotonic
        self.on_trouble = on_trouble
        self._pause = 0.0
        self._failed_at = 0.0
        self._slow_at = -math.inf

    @classmethod
    def nowhere(cls) -> Disk:
        """Make a disk that never takes anything: for facts that are to stay in memory."""
        disk = cls()
        disk.good, disk._pause = False, math.inf
        return disk

    def fails(self, error: OSError) -> None:
        """Take in that it did not take a fact."""
        self._leave(error)

    def took(self, seconds: float) -> None:
        """Take in how long it took for a fact; after the second long wait, facts go to memory for a while."""
        if seconds <= _SLOW:
            return
        now = self.monotonic()
        again, self._slow_at = now - self._slow_at < _SOON, now
        if again:
            self._leave(TimeoutError(f"the disk took {seconds:.1f} s for one line, again"))

    def tries_again(self) -> bool:
        """Say whether it is worth a try now."""
        if not self.good and self.monotonic() - self._failed_at >= self._pause:
            self.good = True
        return self.good

    def _leave(self, why: OSError) -> None:
        if self._pause == math.inf:
            return
        now = self.monotonic()
        in_a_row = now - self._failed_at < 2 * self._pause + _FIRST
        self._pause = min(_MOST, 2 * self._pause) if in_a_row and self._pause else _FIRST
        self._failed_at = now
        self.good = False
        self.on_trouble(why)
