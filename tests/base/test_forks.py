"""A process knows its own id, however it was forked; and forks wait for what must not be cut in two."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable

import pytest

from mission_tracer._base import forks
from mission_tracer._base.forks import process_id
from tests.processes import fork_waits


def told_by_child(fork: Callable[[], int]) -> tuple[int, list[int]]:
    """Fork; return the child's id and what the child, and its own child, take for theirs."""
    ours, theirs = os.pipe()
    child = fork()
    if child == 0:
        mine = process_id() == os.getpid() == process_id()
        grandchild = fork()
        if grandchild == 0:
            os.write(theirs, bytes([process_id() == os.getpid()]))
            os._exit(0)
        os.waitpid(grandchild, 0)
        os.write(theirs, bytes([mine, process_id() == os.getpid()]))
        os._exit(0)
    os.waitpid(child, 0)
    told = list(os.read(ours, 16))
    os.close(ours)
    os.close(theirs)
    return child, told


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize("how", ["os.fork", "in C, past Python's hooks"])
def test_a_forked_child_knows_its_own_id(how: str) -> None:
    """A child knows its own id, also when no hook ran, and so does a child of that; the parent keeps its own."""
    assert process_id() == os.getpid()
    child, told = told_by_child(os.fork if how == "os.fork" else ctypes.PyDLL(None).fork)
    assert child > 0
    assert told == [1, 1, 1]
    assert process_id() == os.getpid()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux wipes a page at a fork")
def test_the_kernel_is_not_asked_each_time() -> None:
    """On Linux the id is kept in a page that all threads share."""
    assert isinstance(forks.known, memoryview)
    assert forks.known[0] == process_id()
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(process_id()))
    thread.start()
    thread.join()
    assert seen == [os.getpid()]


def test_where_no_page_is_wiped_the_kernel_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere the id is right as well."""
    monkeypatch.setattr(sys, "platform", "darwin")
    known = forks._wiped_page()
    assert known[0] == os.getpid()
    known[0] = 0
    assert known[0] == os.getpid()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_forks_wait() -> None:
    """No child is forked while a thread of ours is in what must not be cut in two; afterwards forks are free again."""

    def busy(middle: Callable[[], object]) -> None:
        with forks.held_off():
            middle()

    assert fork_waits(busy)
    assert fork_waits(busy)
    assert not fork_waits(lambda middle: middle())


@pytest.mark.skipif(sys.platform != "linux", reason="calls the C library's fork")
@pytest.mark.parametrize("told", [True, False])
def test_no_child_waits_for_its_parent(told: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that was forked in C in the middle of one goes on: at once when it is told, else before long."""
    monkeypatch.setattr(forks, "_PATIENCE", 60 if told else 0.1)
    holds, may_end = threading.Event(), threading.Event()

    def imports() -> None:
        with forks.held_off():
            holds.set()
            may_end.wait(30)

    thread = threading.Thread(target=imports)
    thread.start()
    assert holds.wait(10)
    child = ctypes.PyDLL(None).fork()
    if child == 0:
        signal.alarm(10)  # one that waits is killed, and seen below
        if told:
            forks.forked()
        with forks.held_off():
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    may_end.set()
    thread.join()
