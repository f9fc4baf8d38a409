"""Keep one run's facts: an append-only JSON Lines file, and memory when the disk takes no more.

A position is a byte offset in the file, or, for facts held in memory, `MEMORY` and up. One `write(2)` on an `O_APPEND`
descriptor puts a whole line down, so threads and processes append without a lock. While a process may append it holds a
shared lock on the file: whoever gets the exclusive one knows that no living process writes any more.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from mission_tracer import _locks
from mission_tracer._held_write import held_write

MEMORY = 1 << 60
"""The first position of a fact that is held in memory."""

_CHUNK = 128 * 1024
_PATIENCE = 0.05  # seconds
_CLOEXEC = getattr(os, "O_CLOEXEC", 0)


class Line(NamedTuple):
    """One line of a journal: where it begins, where the next one begins, and its bytes without the line's end."""

    position: int
    end: int
    content: bytes


class JournalFullError(Exception):
    """Neither the disk nor the memory takes another fact."""


class AppendFile:
    """Append lines to a file that other processes may append to as well.

    Args:
        path: The file.
        create: True: make it when it is absent.
        power: True: every line is on the disk's platter before `append` returns.
        write: Writes bytes to a descriptor, as `os.write` does.

    Raises:
        OSError: The file cannot be opened.
    """

    def __init__(
        self, path: Path, *, create: bool, power: bool = False, write: Callable[[int, bytes], int] = os.write
    ) -> None:
        flags = os.O_RDWR | os.O_APPEND | _CLOEXEC | (os.O_CREAT if create else 0)
        self.path = path
        self.fd = -1  # so that closing is safe when opening fails
        self.fd = os.open(path, flags, 0o600)
        self._power = power
        self._write = write
        # A machine that died in mid-line left no line's end: the next line must begin on a row of its own.
        self._torn = self.size() > 0 and self._last_byte() != b"\n"

    def append(self, line: bytes) -> None:
        """Write one line with a single call.

        Raises:
            OSError: The disk took nothing, or only a part.
        """
        data = b"\n" + line + b"\n" if self._torn else line + b"\n"
        written = self._write(self.fd, data)
        if written != len(data):
            self._torn = True
            raise OSError(errno.ENOSPC, "the disk took only a part of a line", os.fspath(self.path))
        self._torn = False
        if self._power:
            os.fsync(self.fd)

    def mend(self) -> None:
        """End a line that was left without its end."""
        if self._torn:
            os.write(self.fd, b"\n")
            self._torn = False

    def size(self) -> int:
        """Return the file's length in bytes."""
        return os.fstat(self.fd).st_size

    def is_in_place(self) -> bool:
        """Say whether the file's name still means this file: it may have been put away while it was being opened."""
        try:
            named = os.stat(self.path)
        except FileNotFoundError:
            return False
        mine = os.fstat(self.fd)
        return (named.st_dev, named.st_ino) == (mine.st_dev, mine.st_ino)

    def _last_byte(self) -> bytes:
        os.lseek(self.fd, -1, os.SEEK_END)
        return os.read(self.fd, 1)

    def close(self) -> None:
        """Close the file; a lock on it goes when the last process that shares the description closes it."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()


class MemoryFacts:
    """Hold facts that no disk took, up to a number of them."""

    def __init__(self, most: int) -> None:
        """Begin empty; `most` facts are held at once."""
        self._most = most
        self._lines: deque[bytes] = deque()
        self._first = MEMORY

    def append(self, line: bytes) -> None:
        """Hold one more fact.

        Raises:
            JournalFullError: It is one too many.
        """
        if len(self._lines) >= self._most:
            raise JournalFullError
        self._lines.append(line)

    def read(self, position: int, *, most: int = 256) -> list[Line]:
        """Read up to `most` facts from a position on."""
        first = max(position, self._first)
        skip = first - self._first
        count = min(len(self._lines) - skip, most)
        return [Line(first + n, first + n + 1, self._lines[skip + n]) for n in range(count)]

    def forget(self, position: int) -> None:
        """Free the facts before a position: they were delivered."""
        while self._first < position and self._lines:
            self._lines.popleft()
            self._first += 1

    def end(self) -> int:
        """Return the position after the last fact; `MEMORY` when there never was one."""
        return self._first + len(self._lines)

    def __len__(self) -> int:
        return len(self._lines)


class Reader:
    """Read a journal's whole lines; first those of the file, then those in memory.

    Args:
        path: The journal's file; `None`: there is none.
        memory: The facts of this process that the disk did not take; `None`: none.
    """

    def __init__(self, path: Path | None, memory: MemoryFacts | None = None) -> None:
        self._path = path
        self._memory = memory
        self._fd = -1

    def read(self, position: int) -> list[Line]:
        """Read some whole lines from a position on; none when there are no more.

        Raises:
            OSError: The file cannot be read.
        """
        lines = self._read_file(position) if self._path is not None and position < MEMORY else []
        if not lines and self._memory is not None:
            lines = self._memory.read(position)
        return lines

    def end(self) -> int:
        """Return the position after the last fact."""
        if self._memory is not None and self._memory.end() > MEMORY:
            return self._memory.end()
        if self._path is None:
            return 0
        return os.fstat(self._open()).st_size

    def forget(self, position: int) -> None:
        """Free the memory of facts before a position."""
        if self._memory is not None and position > MEMORY:
            self._memory.forget(position)

    def close(self) -> None:
        """Close the file."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _open(self) -> int:
        if self._fd < 0:
            assert self._path is not None
            self._fd = os.open(self._path, os.O_RDONLY | _CLOEXEC)
        return self._fd

    def _read_file(self, position: int) -> list[Line]:
        fd = self._open()
        size = _CHUNK
        while True:
            os.lseek(fd, position, os.SEEK_SET)
            chunk = os.read(fd, size)
            cut = chunk.rfind(b"\n") + 1
            if cut or len(chunk) < size:
                break
            size *= 4  # one line is longer than the chunk
        lines = []
        start = 0
        while start < cut:
            stop = chunk.index(b"\n", start)
            lines.append(Line(position + start, position + stop + 1, chunk[start:stop]))
            start = stop + 1
        return lines


def iterate_lines(path: Path) -> Iterator[Line]:
    """Read all whole lines of a file, a chunk at a time.

    Raises:
        OSError: The file cannot be read.
    """
    reader = Reader(path)
    try:
        position = 0
        while lines := reader.read(position):
            yield from lines
            position = lines[-1].end
    finally:
        reader.close()


class Journal:
    """Take one process's facts of one run.

    Args:
        path: The journal's file; `None`: memory only.
        memory: Takes what the disk does not.
        create: True: this process begins the journal.
        power: True: every fact is on the disk's platter before `append` returns.
        restore: Brings the file back when it was put away as delivered; says whether it did.
        on_trouble: Told, once, why the file takes no more.
    """

    def __init__(
        self,
        path: Path | None,
        memory: MemoryFacts,
        *,
        create: bool = True,
        power: bool = False,
        restore: Callable[[], bool] = lambda: False,
        on_trouble: Callable[[OSError], None] = lambda _: None,
    ) -> None:
        self.path = path
        self.memory = memory
        self._create = create
        self._power = power
        self._restore = restore
        self._on_trouble = on_trouble
        self._file: AppendFile | None = None
        self._opening = threading.RLock()
        self._on_disk = path is not None

    def append(self, line: bytes) -> None:
        """Put one fact down.

        Raises:
            JournalFullError: It could not be kept.
        """
        if self._on_disk:
            try:
                (self._file or self.open()).append(line)
            except OSError as error:
                self._on_disk = False
                self._on_trouble(error)
            else:
                return
        self.memory.append(line)

    def open(self) -> AppendFile:
        """Open the file for this process and hold the writers' lock on it.

        Raises:
            OSError: The file cannot be opened, or its file system has no locks.
        """
        with self._opening:
            if self._file is None:
                self._file = self._open()
            return self._file

    def _open(self) -> AppendFile:
        assert self.path is not None
        write = os.write if self._power else held_write()
        while True:
            try:
                file = AppendFile(self.path, create=self._create, power=self._power, write=write)
            except FileNotFoundError:
                if not self._restore():
                    raise
                continue
            # The exclusive lock is held only for the moment it takes to close a dead run, or to put a delivered one
            # away. A holder that was stopped in that moment must not stop us: after a while we write without the mark
            # of a living writer.
            deadline = time.monotonic() + _PATIENCE
            while not _locks.try_lock(file.fd, shared=True) and time.monotonic() < deadline:
                time.sleep(0.0002)
            if file.is_in_place():
                self._create = False
                return file

    def close(self) -> None:
        """Stop being a writer; a later fact makes this process one again.

        The file itself closes when the last thread that is writing lets go of it: a number that was closed under a
        thread's hands could by then stand for another file. Also frees a lock that a fork caught in another thread.
        """
        self._file = None
        self._opening = threading.RLock()

    @property
    def is_open(self) -> bool:
        """Say whether this process counts as a living writer."""
        return self._file is not None

    @property
    def is_on_disk(self) -> bool:
        """Say whether the disk takes the facts."""
        return self._on_disk

    def size(self) -> int:
        """Return the position after the last fact that any process wrote, or that memory holds."""
        if self.memory.end() > MEMORY:
            return self.memory.end()
        file = self._file
        return file.size() if file is not None else 0
