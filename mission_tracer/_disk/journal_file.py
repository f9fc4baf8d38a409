"""Append whole lines to a file that other threads and processes append to as well."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from mission_tracer._base import locks
from mission_tracer._base.held_write import SLOW, Writer
from mission_tracer._base.private import open_private, sync_directory

TORN = b"~"
"""Ends a line that was cut off. Such a line says nothing, even if only its end was missing: whoever wrote it was not
told that it is kept, and may have put the same down elsewhere."""

_TAIL = 64 * 1024


class UnsyncedError(OSError):
    """What was written is there, but a power cut may still lose it."""


class AppendFile:
    """Append lines to a file that other processes may append to as well.

    Args:
        path: The file.
        create: True: make it when it is absent.
        power: True: every line is on the disk's platter before `append` returns.
        writer: Writes to it; `None`: as `os.write` does.
        on_unsynced: Told that a line that was written may not be on the platter; it is kept all the same.

    Raises:
        OSError: The file cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        *,
        create: bool,
        power: bool = False,
        writer: Writer | None = None,
        on_unsynced: Callable[[UnsyncedError], object] = lambda _: None,
    ) -> None:
        self.path = path
        self.fd = -1  # so that closing is safe when opening fails
        self.fd = open_private(path, os.O_RDWR | os.O_APPEND | (os.O_CREAT if create else 0))
        self._power = power
        self._writer = writer or Writer()
        self._on_unsynced = on_unsynced
        # A machine that died in mid-line left no line's end: the next line must begin on a row of its own.
        self._torn = self._is_torn()
        if power and create:
            self._sync(lambda: sync_directory(path.parent))

    def append(self, line: bytes) -> None:
        """Write one line with a single call.

        Raises:
            OSError: The disk took nothing, or only a part.
        """
        data = TORN + b"\n" + line + b"\n" if self._torn else line + b"\n"
        size = len(data)
        writer = self._writer
        began = writer.monotonic()
        written = writer.write(self.fd, data, size)
        if written < 0:
            written = os.write(self.fd, data)  # it was interrupted; or this one fails too, and says why
        took = writer.monotonic() - began
        if took > SLOW or writer.is_watched:
            writer.took(took)
        if written != size:
            self._torn = True
            raise OSError(errno.ENOSPC, "the disk took only a part of a line", os.fspath(self.path))
        if self._torn:
            self._torn = False
        if self._power:
            self._sync(lambda: os.fsync(self.fd))

    def _sync(self, sync: Callable[[], object]) -> None:
        try:
            sync()
        except OSError as error:
            # What was written can be read, so it must not be put down elsewhere too.
            self._on_unsynced(UnsyncedError(error.errno, "it cannot be synced", os.fspath(self.path)))

    def try_lock(self, *, patience: float = 0.0) -> bool:
        """Take the file's lock for this process alone, waiting for it so many seconds; say whether it was to be had.

        Raises:
            OSError: The file system has no locks.
        """
        locks.leave_at_forks(self)
        return locks.await_lock(self.fd, patience=patience)

    def recheck(self) -> None:
        """Look again whether the last line has its end: whoever wrote it may have died since the file was opened.

        Raises:
            OSError: The file cannot be read.
        """
        self._torn = self._is_torn()

    def _is_torn(self) -> bool:
        size = self.size()
        return size > 0 and os.pread(self.fd, 1, size - 1) != b"\n"

    def fill_up(self, size: int) -> None:
        """Make a file as long as it was when its end was lost: what comes next is not to stand where that stood.

        A power cut may take facts that were delivered, and leave the log that says so. What fills the gap is one line
        that is cut off, and says nothing. The caller holds the file's lock.

        Raises:
            OSError: The disk does not take it.
        """
        if self.size() < size:
            os.ftruncate(self.fd, size)
            self._torn = True

    def size(self) -> int:
        """Return the file's length in bytes."""
        return os.fstat(self.fd).st_size

    def is_in_place(self) -> bool:
        """Say whether the file's name still means this file: it may have been put away while it was being opened."""
        return locks.names(self.path, self.fd)

    def close(self) -> None:
        """Close the file; a lock on it goes when the last process that shares the description closes it."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()


def whole_end(fd: int) -> int:
    """Return the position after the last whole line of an open file.

    Raises:
        OSError: It cannot be read.
    """
    end = os.fstat(fd).st_size
    while end > 0:
        start = max(0, end - _TAIL)
        cut = os.pread(fd, end - start, start).rfind(b"\n")
        if cut >= 0:
            return start + cut + 1
        end = start
    return 0


def whole_length(path: Path) -> int:
    """Return the position after the last whole line of a file.

    Raises:
        OSError: It cannot be read.
    """
    fd = os.open(path, os.O_RDONLY)
    try:
        return whole_end(fd)
    finally:
        os.close(fd)
