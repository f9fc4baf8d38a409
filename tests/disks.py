"""Make real disks that are full, read-only or gone, where this machine lets us; say why not where it does not.

And let what others do to a file happen in the moment in which it matters.
"""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Let this process make no file longer than so many bytes: what lies beyond is refused as by a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def open_files() -> int:
    """Count the files, and all else, that this process has open."""
    return sum(1 for _ in Path("/dev/fd").iterdir())


@contextmanager
def open_files_limit(most: int) -> Iterator[None]:
    """Let this process have only so many files open; with 0 it opens none more."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextmanager
def before_locking(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> Iterator[None]:
    """Let something happen inside the block after a file was opened, right before its lock is asked for; once."""
    real, left = fcntl.flock, [happens]

    def flock(fd: int, how: int) -> None:
        if left:
            left.pop()()
        real(fd, how)

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", flock)
        yield
    assert not left


@contextmanager
def small_disk(place: Path, *, size: str = "256k") -> Iterator[Path]:
    """Mount a disk of a size at a place; skips where that is not allowed."""
    place.mkdir(exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place))
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)


@contextmanager
def read_only(disk: Path) -> Iterator[None]:
    """Let a mounted disk be read-only inside the block."""
    _mount("-o", "remount,ro", str(disk))
    try:
        yield
    finally:
        _mount("-o", "remount,rw", str(disk))


def _mount(*words: str) -> None:
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root may mount a disk, and only on Linux this way")
    done = subprocess.run(["mount", *words], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")


def fill(disk: Path) -> Path:
    """Write until a disk takes not one byte more; return the file to delete for making room."""
    ballast = disk / "ballast"
    fd = os.open(ballast, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for size in (4096, 1):
            with suppress(OSError):
                while True:
                    os.write(fd, b"x" * size)
    finally:
        os.close(fd)
    return ballast
