"""Keep one run's facts: an append-only JSON Lines file, and memory when the disk takes no more.

A position is a byte offset in the file, or, for facts held in memory, `MEMORY` and up. One `write(2)` on an `O_APPEND`
descriptor puts a whole line down, so threads and processes append without a lock. While a process may append it holds a
shared lock on the file: whoever gets the exclusive one knows that no living process writes any more.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from mission_tracer._base import locks
from mission_tracer._base.held_write import Writer
from mission_tracer._disk.journal_disk import Disk
from mission_tracer._disk.journal_file import TORN, AppendFile, UnsyncedError, whole_end, whole_length
from mission_tracer._disk.journal_memory import JournalFullError, Line, MemoryFacts, Room
from mission_tracer.facts import MEMORY

__all__ = [
    "MEMORY",
    "AppendFile",
    "Disk",
    "Journal",
    "JournalFullError",
    "Line",
    "MemoryFacts",
    "Reader",
    "Room",
    "UnsyncedError",
    "iterate_lines",
    "read_lines",
]

_CHUNK = 128 * 1024
_PATIENCE = 0.5  # seconds


class Reader:
    """Read the whole lines of a journal's file.

    Args:
        path: The file; `None`: there is none, and so no lines.
        spare: Returns this process's own open journal, for a file whose name is gone; `None` when it has none.
    """

    def __init__(self, path: Path | None, spare: Callable[[], AppendFile | None] = lambda: None) -> None:
        self._path = path
        self._spare = spare
        self._fd = -1

    def read(self, position: int) -> list[Line]:
        """Read some whole lines from a position on; none when there are no more. A torn line comes as an empty one.

        Raises:
            OSError: The file cannot be read.
        """
        return [] if self._path is None else read_lines(self._open(self._path), position)

    @property
    def has_file(self) -> bool:
        """Say whether there is a file."""
        return self._path is not None

    def size(self) -> int:
        """Return the file's length in bytes.

        Raises:
            OSError: The file cannot be read.
        """
        return 0 if self._path is None else os.fstat(self._open(self._path)).st_size

    def end(self) -> int:
        """Return the position after the last whole line.

        Raises:
            OSError: The file cannot be read.
        """
        return 0 if self._path is None else whole_end(self._open(self._path))

    def close(self) -> None:
        """Close the file."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()

    def _open(self, path: Path) -> int:
        if self._fd < 0:
            try:
                self._fd = os.open(path, os.O_RDONLY)
            except FileNotFoundError:
                file = self._spare()
                if file is None:
                    raise
                self._fd = os.dup(file.fd)
        return self._fd


def read_lines(fd: int, position: int) -> list[Line]:
    """Read some whole lines of an open file, as `Reader.read` does.

    Raises:
        OSError: The file cannot be read.
    """
    size = _CHUNK
    while True:
        chunk = os.pread(fd, size, position)
        cut = chunk.rfind(b"\n") + 1
        if cut or len(chunk) < size:
            break
        size *= 4  # one line is longer than the chunk
    lines = []
    start = 0
    while start < cut:
        stop = chunk.index(b"\n", start)
        content = chunk[start:stop]
        lines.append(Line(position + start, position + stop + 1, b"" if content.endswith(TORN) else content))
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

    Facts go to the disk, unless it fails or is slow, or older ones of this journal wait in memory: then to memory. They
    follow to the disk as soon as it works again, unless they were delivered by then.

    Args:
        path: The journal's file; `None`: memory only.
        memory: Takes what the disk does not.
        create: True: this process begins the journal.
        power: True: every fact is on the disk's platter before `append` returns.
        patient: True: a slow disk is waited for.
        restore: Makes it possible to open the file when it is not there; says whether it could.
        on_trouble: Told why the file takes no more.
        disk: Whether the disk takes facts at the moment, shared with other journals; `None`: this journal's own.
    """

    def __init__(
        self,
        path: Path | None,
        memory: MemoryFacts,
        *,
        create: bool = True,
        power: bool = False,
        patient: bool = False,
        restore: Callable[[], bool] = lambda: False,
        on_trouble: Callable[[OSError], object] = lambda _: None,
        disk: Disk | None = None,
    ) -> None:
        self.path = path
        self.memory = memory
        self._disk = (disk or Disk(on_trouble)) if path is not None else Disk.nowhere()
        self._held = memory.lines
        self._begun = not create
        self._power = power
        self._patient = patient
        self._restore = restore
        self._file: AppendFile | None = None
        self._nameless: AppendFile | None = None
        self._opening = threading.RLock()

    def append(self, line: bytes) -> None:
        """Put one fact down.

        Raises:
            JournalFullError: It could not be kept.
        """
        if self._disk.good and not self._held:
            try:
                (self._file or self.open()).append(line)
            except OSError as error:
                self._disk.fails(error)
            else:
                self._begun = True
                return
        self._append_aside(line)

    def _append_aside(self, line: bytes) -> None:
        if self._may_return() and self._disk.tries_again():
            try:
                if self.memory.spill(self._write):
                    self._write(line)
                    return
            except OSError as error:
                self._disk.fails(error)
        self.memory.append(line)

    def _may_return(self) -> bool:
        # A file without the run's first fact would be of no use to anyone.
        return self._begun or self.memory.first == MEMORY

    def _write(self, line: bytes) -> None:
        (self._file or self.open()).append(line)
        self._begun = True

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
        if not self._may_return():
            self._disk = Disk.nowhere()
            raise OSError(errno.ESTALE, "the run began in memory, and stays there", os.fspath(self.path))
        # Who wants each fact on the platter has chosen to wait for it.
        patient = self._power or self._patient
        writer = None if patient else Writer(hold=True, on_slow=self._disk.took, monotonic=self._disk.monotonic)
        for _ in range(10):
            try:
                file = AppendFile(
                    self.path,
                    create=not self._begun,
                    power=self._power,
                    writer=writer,
                    on_unsynced=self._disk.on_trouble,
                )
            except FileNotFoundError as error:
                if self._restore():
                    continue
                if self._begun:  # it was deleted: no other journal is the worse for that
                    self._disk.on_trouble(error)
                    self._disk = Disk.nowhere()
                raise
            # The exclusive lock is held only for the moment it takes to close a dead run, or to put a delivered one
            # away. A fact that is written without the mark of a living writer could be put away with the rest.
            if not locks.await_lock(file.fd, shared=True, patience=_PATIENCE):
                break
            if file.is_in_place():
                return file
        raise OSError(errno.EAGAIN, "the journal's lock is held by somebody who does not go on", os.fspath(self.path))

    def close(self) -> None:
        """Stop being a writer; a later fact makes this process one again.

        The file itself closes when the last thread that is writing lets go of it: a number that was closed under a
        thread's hands could by then stand for another file. Also frees a lock that a fork caught in another thread.
        A file that was deleted under our hands stays open: what it holds can be read as long as it is, by us alone.
        """
        file, self._file = self._file, None
        self._opening = threading.RLock()
        if file is not None and _is_nameless(file):
            self._nameless = file

    def forget(self) -> None:
        """Let go of a file that was deleted under our hands: what it held is delivered."""
        self._nameless = None

    def forked(self) -> None:
        """Begin again in a forked child: what the parent holds in memory is the parent's to deliver."""
        self.close()
        self.forget()
        self.memory.clear()
        self._held = self.memory.lines

    def hand_over(self) -> None:
        """Put on the disk what is held in memory and in nobody's hands, as far as the disk takes it now."""
        if self.path is not None and self._may_return():
            with suppress(OSError):
                self.memory.spill(self._write, most=len(self.memory))

    @property
    def file(self) -> AppendFile | None:
        """The open file, be it that it was deleted under our hands; else `None`."""
        return self._file or self._nameless

    @property
    def is_nameless(self) -> bool:
        """Say whether the open file was deleted under our hands."""
        file = self.file
        return file is not None and _is_nameless(file)

    @property
    def has_begun(self) -> bool:
        """Say whether the run's first fact is on the disk."""
        return self._begun

    @property
    def is_open(self) -> bool:
        """Say whether this process counts as a living writer."""
        return self._file is not None

    @property
    def is_on_disk(self) -> bool:
        """Say whether the next fact goes to the disk."""
        return self._disk.good and not self._held

    def ends(self) -> tuple[int, int]:
        """Return the positions after the last fact in the file, of whoever, and after the last one in memory."""
        file = self.file
        try:
            if file is not None:
                return whole_end(file.fd), self.memory.end()
            return whole_length(self.path) if self.path is not None else 0, self.memory.end()
        except OSError:
            return 0, self.memory.end()


def _is_nameless(file: AppendFile) -> bool:
    try:
        return not file.is_in_place()
    except OSError:
        return False  # it cannot be seen
