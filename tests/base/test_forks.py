"""A process knows its own id, however it was forked."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable

import pytest

from mission_tracer._base import forks
from mission_tracer._base.forks import process_id


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
