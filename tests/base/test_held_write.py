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
from typing import Any

import pytest

from mission_tracer._base.held_write import Writer
from mission_tracer._disk.journal_file import AppendFile

LONG = b"x" * (1 << 25)  # it takes long enough for another thread to wake up


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


@pytest.fixture
def opened(path: Path) -> Iterator[Callable[..., AppendFile]]:
    files = []

    def open_file(**options: Any) -> AppendFile:
        files.append(AppendFile(path, create=True, writer=Writer(hold=True, **options)))
        return files[-1]

    yield open_file
    for file in files:
        file.close()


def test_it_writes_what_it_is_given(opened: Callable[..., AppendFile], path: Path) -> None:
    """Writing puts the bytes down, zero bytes included."""
    opened().append(b"one\0two")
    assert path.read_bytes() == b"one\0two\n"


def test_it_fails_as_the_system_does(opened: Callable[..., AppendFile], path: Path) -> None:
    """Writing to a file that is open for reading raises the system's error."""
    file = opened()
    reads = os.open(path, os.O_RDONLY)
    os.dup2(reads, file.fd)
    os.close(reads)
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        file.append(b"x")


def test_a_slow_file_ends_it(opened: Callable[..., AppendFile], path: Path) -> None:
    """After slow writes in a row other threads run while one is written; each slow one is told with its seconds."""
    ticks = count()
    told: list[float] = []
    file = opened(on_slow=told.append, monotonic=lambda: 0.5 * next(ticks))  # every write takes half a second
    for _ in range(50):
        file.append(b"x")
    assert path.read_bytes() == b"x\n" * 50
    assert told == [0.5] * 50
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    with suppress(BlockingIOError):
        while True:
            os.write(theirs, b"x" * 4096)
    os.set_blocking(theirs, True)
    os.dup2(theirs, file.fd)
    # The pipe is full: what is written waits until the other thread has read.
    reader = threading.Thread(target=os.read, args=(ours, 1 << 20))
    reader.start()
    file.append(b"y")
    reader.join()
    os.close(ours)
    os.close(theirs)


def test_single_slow_writes_are_forgiven(opened: Callable[..., AppendFile]) -> None:
    """A slow write among many quick ones changes nothing, however often that happens."""
    calls = count()

    def clock() -> float:
        call = next(calls)
        return call // 2 * 1.0 + (0.5 if call % 40 == 1 else 0.0)  # every twentieth write takes half a second

    told: list[float] = []
    file = opened(on_slow=told.append, monotonic=clock)
    for _ in range(400):
        file.append(b"x")
    assert len(told) == 20
    if sys.implementation.name == "cpython":
        assert not turns_of_another_thread(lambda: file.append(LONG))


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
    before_that = turns
    try:
        while turns == before_that:  # the other one takes over, and waits as long as that from its next turn on
            time.sleep(0.001)
        began = turns
        work()
        return turns - began
    finally:
        stopped = True
        sys.setswitchinterval(before)
        thread.join()


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="there is no lock to hold")
def test_the_lock_is_held_while_files_are_quick(opened: Callable[..., AppendFile]) -> None:
    """No other thread comes to run while something is written, as it does with the system's own `write`."""
    file = opened()
    assert not turns_of_another_thread(lambda: file.append(LONG))
    assert turns_of_another_thread(lambda: os.write(file.fd, LONG), patience=0.4)
