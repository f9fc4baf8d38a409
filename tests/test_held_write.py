"""Writes that keep the interpreter's lock put down the same bytes, fail the same way, and stop when a file is slow."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from mission_tracer._held_write import held_write


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    yield fd
    os.close(fd)


def test_it_writes_what_it_is_given(file: int) -> None:
    """Writing puts the bytes down, zero bytes included, and returns their number."""
    assert held_write()(file, b"one\0two\n") == 8
    assert os.pread(file, 100, 0) == b"one\0two\n"


def test_it_fails_as_the_system_does(tmp_path: Path) -> None:
    """Writing to a file that is open for reading raises the system's error."""
    (tmp_path / "file").touch()
    fd = os.open(tmp_path / "file", os.O_RDONLY)
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        held_write()(fd, b"x")
    os.close(fd)


def test_a_slow_file_ends_it(file: int) -> None:
    """After slow writes in a row the lock is released around each write, and nobody looks at the clock any more."""
    ticks = count()
    write = held_write(monotonic=lambda: 0.5 * next(ticks))  # every write takes half a second
    for _ in range(50):
        assert write(file, b"x") == 1
    assert next(ticks) < 50
    assert os.pread(file, 100, 0) == b"x" * 50


def test_single_slow_writes_are_forgiven(file: int) -> None:
    """A slow write among many quick ones changes nothing, however often that happens."""
    calls = count()

    def clock() -> float:
        call = next(calls)
        return call // 2 * 1.0 + (0.5 if call % 40 == 1 else 0.0)  # every twentieth write takes half a second

    write = held_write(monotonic=clock)
    for _ in range(400):
        write(file, b"x")
    assert next(calls) in {0, 800}  # on a platform that cannot hold the lock the clock is never asked
