"""Writes that keep the interpreter's lock put down the same bytes, fail the same way, and stop when a file is slow."""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from mission_tracer._held_write import held_write

LONG = b"x" * (1 << 25)  # it takes long enough for another thread to wake up


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
    """After slow writes in a row other threads run while one is written; each slow one is told with its seconds."""
    ticks = count()
    told: list[float] = []
    write = held_write(told.append, monotonic=lambda: 0.5 * next(ticks))  # every write takes half a second
    for _ in range(50):
        assert write(file, b"x") == 1
    assert os.pread(file, 100, 0) == b"x" * 50
    assert told == [0.5] * 50
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    with suppress(BlockingIOError):
        while True:
            os.write(theirs, b"x" * 4096)
    os.set_blocking(theirs, True)
    # The pipe is full: what is written waits until the other thread has read.
    reader = threading.Thread(target=os.read, args=(ours, 1 << 20))
    reader.start()
    assert write(theirs, b"y") == 1
    reader.join()
    os.close(ours)
    os.close(theirs)


def test_single_slow_writes_are_forgiven(file: int) -> None:
    """A slow write among many quick ones changes nothing, however often that happens."""
    calls = count()

    def clock() -> float:
        call = next(calls)
        return call // 2 * 1.0 + (0.5 if call % 40 == 1 else 0.0)  # every twentieth write takes half a second

    told: list[float] = []
    write = held_write(told.append, monotonic=clock)
    for _ in range(400):
        write(file, b"x")
    assert len(told) == 20
    if sys.implementation.name == "cpython":
        assert not turns_of_another_thread(lambda: write(file, LONG))


def turns_of_another_thread(work: Callable[[], object], *, patience: float = 2.0) -> int:
    """Count how far another thread comes while this one works and is not made to give way for so many seconds."""
    before = sys.getswitchinterval()
    turns = 0
    stopped = False

    def spin() -> None:
        nonlocal turns
        while not stopped:
            turns += 1

    thread = threading.Thread(target=spin)
    thread.start()
    sys.setswitchinterval(patience)
    time.sleep(0.01)  # the other one takes over, and waits as long as that from its next turn on
    try:
        began = turns
        work()
        return turns - began
    finally:
        stopped = True
        sys.setswitchinterval(before)
        thread.join()


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="there is no lock to hold")
def test_the_lock_is_held_while_files_are_quick(file: int) -> None:
    """No other thread comes to run while something is written, as it does with the system's own `write`."""
    write = held_write()
    assert not turns_of_another_thread(lambda: write(file, LONG))
    assert turns_of_another_thread(lambda: os.write(file, LONG), patience=0.4)
