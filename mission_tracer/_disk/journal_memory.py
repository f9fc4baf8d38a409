"""Hold facts in memory that no disk took, up to a number of them over all runs of the process."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from mission_tracer.facts import MEMORY


class Line(NamedTuple):
    """One line of a journal: where it begins, where the next one begins, and its bytes without the line's end."""

    position: int
    end: int
    content: bytes


class JournalFullError(Exception):
    """Neither the disk nor the memory takes another fact."""


class Room:
    """Bound how many facts a process holds in memory.

    Args:
        most: How many at once.
    """

    __slots__ = ("_free", "_lock", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self.forked()

    def forked(self) -> None:
        """Begin empty, in a forked child: what its parent holds is its parent's."""
        self._lock = threading.RLock()
        self._free = self._most

    def take(self) -> bool:
        """Take the place of one more fact; say whether there was one."""
        with self._lock:
            if self._free <= 0:
                return False
            self._free -= 1
            return True

    def give(self, count: int) -> None:
        """Give places back."""
        with self._lock:
            self._free += count


class MemoryFacts:
    """Hold facts of one run that no disk took.

    A fact leaves in one of two ways: the sender takes it and says when it is delivered, or it is handed to the disk
    once that works again. Never both: while the sender has some in its hands, none are handed over, and none are taken
    meanwhile. Not even by whoever interrupts that, as a signal's handler does that records, or waits for the sender: so
    no lock is held while the disk is written to.

    Args:
        room: Bounds them together with those of other runs; or how many there may be.
    """

    __slots__ = ("_first", "_lock", "_room", "_spills", "_taken", "lines")

    def __init__(self, room: Room | int) -> None:
        self._room = Room(room) if isinstance(room, int) else room
        self.clear()

    def clear(self) -> None:
        """Forget all, in a forked child: its parent delivers them."""
        self.lines: deque[bytes] = deque()
        self._first = self._taken = MEMORY
        self._spills = False
        self._lock = threading.RLock()

    def append(self, line: bytes) -> None:
        """Hold one more fact.

        Raises:
            JournalFullError: It is one too many.
        """
        if not self._room.take():
            raise JournalFullError
        self.lines.append(line)

    def take(self, position: int, *, most: int = 256) -> list[Line]:
        """Take up to `most` facts from a position on into the sender's hands; none when that one is gone."""
        with self._lock:
            lines = self.read(position, most=most) if position >= self._first and not self._spills else []
            if lines:
                self._taken = max(self._taken, lines[-1].end)
            return lines

    def read(self, position: int, *, most: int = 1 << 60) -> list[Line]:
        """Look at up to `most` facts from a position on."""
        with self._lock:
            first = max(position, self._first)
            skip = first - self._first
            # Only this lock's holder takes facts out; those that come in meanwhile come behind.
            count = max(0, min(len(self.lines) - skip, most))
            return [Line(first + n, first + n + 1, self.lines[skip + n]) for n in range(count)]

    def claim(self) -> bool:
        """Keep what is here for the sender; say whether there is anything."""
        with self._lock:
            if self._spills or not self.lines:
                return False
            self._taken = max(self._taken, self._first + 1)
            return True

    def give_back(self) -> None:
        """Take what is not delivered out of the sender's hands."""
        with self._lock:
            self._taken = self._first

    def forget(self, position: int) -> None:
        """Free the facts before a position: they were delivered."""
        with self._lock:
            while self._first < position and self.lines:
                self._pop()

    def spill(self, write: Callable[[bytes], object], *, most: int = 64) -> bool:
        """Hand facts over, the oldest first; say whether none is left. At most `most` at a time: the caller waits.

        Raises:
            OSError: (by `write`) The disk does not take them.
        """
        with self._lock:
            if self._spills or self._taken > self._first:
                return False
            self._spills = True
        try:
            for _ in range(most):
                if not self.lines:
                    break
                # Written before it is taken out: whoever sees none here appends behind it on the disk.
                write(self.lines[0])
                with self._lock:
                    self._pop()
            return not self.lines
        finally:
            self._spills = False

    def _pop(self) -> None:
        self.lines.popleft()
        self._first += 1
        self._taken = max(self._taken, self._first)
        self._room.give(1)

    @property
    def first(self) -> int:
        """The position of the first fact, or where it will be."""
        return self._first

    def end(self) -> int:
        """Return the position after the last fact; `MEMORY` when there never was one."""
        return self._first + len(self.lines)

    def __len__(self) -> int:
        return len(self.lines)
