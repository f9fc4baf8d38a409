"""Lock whole files between processes: kernel locks, so that the death of a process frees them.

POSIX: `flock`. A lock belongs to the open file description: a forked child shares it and must close, never unlock. It
does so at once with what its parent locked for itself alone: a lock is free when the last of them has closed it.
Elsewhere: portalocker.
"""

from __future__ import annotations

import errno
import os
import sys
import time
import weakref
from pathlib import Path
from typing import Protocol

from mission_tracer._base.forks import process_id
from mission_tracer._base.private import open_private

_BUSY = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}

if sys.platform == "win32":
    import portalocker

    def try_lock(fd: int, *, shared: bool = False) -> bool:
        """Take the lock of an open file if it is free; say whether it was."""
        flags = portalocker.LockFlags.SHARED if shared else portalocker.LockFlags.EXCLUSIVE
        try:
            portalocker.lock(fd, flags | portalocker.LockFlags.NON_BLOCKING)
        except portalocker.LockException:
            return False
        return True

    def unlock(fd: int) -> None:
        """Free a lock this process holds."""
        portalocker.unlock(fd)
else:
    import fcntl

    def try_lock(fd: int, *, shared: bool = False) -> bool:
        """Take the lock of an open file if it is free; say whether it was.

        Raises:
            OSError: The file system has no locks.
        """
        try:
            fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _BUSY:
                return False
            raise
        return True

    def unlock(fd: int) -> None:
        """Free a lock this process holds."""
        fcntl.flock(fd, fcntl.LOCK_UN)


def await_lock(fd: int, *, shared: bool = False, patience: float) -> bool:
    """Take the lock of an open file, waiting for it up to `patience` seconds; say whether it was to be had.

    Raises:
        OSError: The file system has no locks.
    """
    deadline = time.monotonic() + patience
    while not try_lock(fd, shared=shared):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.0002)
    return True


def names(path: os.PathLike[str] | str, fd: int) -> bool:
    """Say whether a name still means an open file: it may have been deleted, or have become another one's.

    Raises:
        OSError: It cannot be seen.
    """
    try:
        named = Path(path).stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(named, os.fstat(fd))


class Closable(Protocol):
    """What has a file or a socket open."""

    def close(self) -> None:
        """Close it, if it is open."""
        ...


_left_at_forks: weakref.WeakKeyDictionary[Closable, int] = weakref.WeakKeyDictionary()
"""What a forked child closes, and the id of the process that opened it."""


def leave_at_forks(file: Closable) -> None:
    """See to it that forked children close what is this process's alone: what it is about to lock, a connection."""
    _left_at_forks[file] = process_id()


def forked() -> None:
    """Close in a forked child what is its parent's alone."""
    for file, opener in list(_left_at_forks.items()):
        if opener != process_id():
            file.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forked)


class _OpenFile:
    """Have a lock file open."""

    def __init__(self, path: str) -> None:
        self.fd = -1
        leave_at_forks(self)
        self.fd = open_private(path, os.O_RDWR | os.O_CREAT)

    def close(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


class LockFile:
    """Hold one lock file open and locked until it is released."""

    def __init__(self, path: os.PathLike[str] | str) -> None:
        """Name the lock file; nothing is opened yet."""
        self._path = os.fspath(path)
        self._file: _OpenFile | None = None

    def try_acquire(self) -> bool:
        """Take the lock if it is free; say whether it is held now.

        Raises:
            OSError: The file cannot be opened, or the file system has no locks.
        """
        if self._file is not None:
            return True
        file = _OpenFile(self._path)
        try:
            # Between opening and locking it may have been deleted: then this is not the lock any more.
            if try_lock(file.fd) and names(self._path, file.fd):
                self._file = file
        finally:
            if self._file is not file:
                file.close()
        return self._file is file

    def release(self) -> None:
        """Free the lock; closing is what frees it, so a forked child may call this too."""
        file, self._file = self._file, None
        if file is not None:
            file.close()
