"""Lock whole files between processes: kernel locks, so that the death of a process frees them.

POSIX: `flock`. A lock belongs to the open file description: a forked child shares it and must close, never unlock.
Elsewhere: portalocker.
"""

from __future__ import annotations

import errno
import os
import sys
import time

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


class LockFile:
    """Hold one lock file open and locked until it is released."""

    def __init__(self, path: os.PathLike[str] | str) -> None:
        """Name the lock file; nothing is opened yet."""
        self._path = os.fspath(path)
        self._fd: int | None = None

    def try_acquire(self) -> bool:
        """Take the lock if it is free; say whether it is held now.

        Raises:
            OSError: The file cannot be opened, or the file system has no locks.
        """
        if self._fd is not None:
            return True
        fd = open_private(self._path, os.O_RDWR | os.O_CREAT)
        try:
            held = try_lock(fd)
        except BaseException:
            os.close(fd)
            raise
        if held:
            self._fd = fd
        else:
            os.close(fd)
        return held

    def release(self) -> None:
        """Free the lock; closing is what frees it, so a forked child may call this too."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)
