"""Append whole lines to a file that other threads and processes append to as well."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
_TAIL = 64 * 1024


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
        self._torn = self._is_torn()
        if power and create:
            _sync_directory(path.parent)

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
        """End a line that was left without its end; for a file that nobody else writes.

        Raises:
            OSError: The disk does not take it.
        """
        if self._is_torn():
            os.write(self.fd, b"\n")
        self._torn = False

    def _is_torn(self) -> bool:
        size = self.size()
        return size > 0 and os.pread(self.fd, 1, size - 1) != b"\n"

    def size(self) -> int:
        """Return the file's length in bytes."""
        return os.fstat(self.fd).st_size

    def is_in_place(self) -> bool:
        """Say whether the file's name still means this file: it may have been put away while it was being opened."""
        try:
            named = self.path.stat()
        except FileNotFoundError:
            return False
        mine = os.fstat(self.fd)
        return (named.st_dev, named.st_ino) == (mine.st_dev, mine.st_ino)

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


def _sync_directory(path: Path) -> None:
    """Make a new file's name survive a power cut."""
    fd = os.open(path, os.O_RDONLY | _CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
