"""Make files and directories for the user alone, whatever the umask is: files 0600, directories 0700."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def open_private(path: os.PathLike[str] | str, flags: int) -> int:
    """Open a file and return its descriptor; with `O_CREAT`, one that is not there is made.

    Raises:
        OSError: It cannot be opened.
    """
    fd = os.open(path, flags, 0o600)
    if flags & os.O_CREAT and os.name == "posix":
        stat = os.fstat(fd)
        # A umask may have taken from us what the next one to open the file will need.
        if stat.st_size == 0 and stat.st_mode & 0o777 != 0o600:
            with suppress(OSError):
                os.fchmod(fd, 0o600)
    return fd


def make_directory(path: Path, *, sync: bool = False) -> None:
    """Make a directory, and those above it, unless it is there.

    Args:
        path: The directory.
        sync: True: its name survives a power cut.

    Raises:
        OSError: It cannot be made, or something else has its name.
    """
    try:
        _make(path, sync=sync)
    except FileNotFoundError:
        if path.parent == path:
            raise
        make_directory(path.parent, sync=sync)
        _make(path, sync=sync)


def _make(path: Path, *, sync: bool) -> None:
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        if not path.is_dir():
            raise
    else:
        if os.name == "posix" and path.stat().st_mode & 0o777 != 0o700:
            with suppress(OSError):
                path.chmod(0o700)
        if sync:
            sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory survive a power cut; nothing where directories cannot be synced.

    Raises:
        OSError: The disk does not take them.
    """
    if os.name != "posix":
        return
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
