"""Locks between processes: one holder at a time, and none that is dead."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mission_tracer._base import locks
from mission_tracer._base.locks import LockFile, await_lock, try_lock
from mission_tracer._disk.journal_file import AppendFile
from tests.processes import forked_child

HOLD = """
import os, sys
from mission_tracer._base.locks import try_lock
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
print(try_lock(fd, shared=sys.argv[2] == "shared"), flush=True)
sys.stdin.read()
"""


@contextmanager
def holder(path: Path, kind: str = "exclusive") -> Iterator[subprocess.Popen[str]]:
    """Have another process hold a lock while the block runs."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path), kind], stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


@pytest.fixture
def fd(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    yield fd
    os.close(fd)


def test_a_lock_has_one_holder(path: Path, fd: int) -> None:
    """While another process holds a lock nobody gets it, neither for itself nor shared."""
    with holder(path):
        assert not try_lock(fd)
        assert not try_lock(fd, shared=True)


def test_a_shared_lock_has_many(path: Path, fd: int) -> None:
    """A shared lock is had by several at once, and by nobody alone."""
    with holder(path, "shared"):
        assert not try_lock(fd)
        assert try_lock(fd, shared=True)


def test_a_killed_process_holds_nothing(path: Path, fd: int) -> None:
    """When a process is killed its lock is free at once: nobody has to notice, and no number to be compared."""
    with holder(path) as process:
        process.kill()
        process.wait()
        assert try_lock(fd)


def test_a_stopped_process_holds_its_lock(path: Path, fd: int) -> None:
    """A process that is stopped for a while is not dead: it keeps its lock."""
    with holder(path) as process:
        os.kill(process.pid, 19)
        assert not try_lock(fd)


def test_waiting_ends(path: Path, fd: int) -> None:
    """Waiting for a lock that does not come free ends in time, empty-handed."""
    with holder(path):
        began = time.monotonic()
        assert not await_lock(fd, patience=0.05)
        assert 0.05 <= time.monotonic() - began < 5
    assert await_lock(fd, patience=10)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_takes_nothing_along(path: Path, fd: int) -> None:
    """A child of a fork that closes its parent's lock file leaves the parent its lock."""
    lock = LockFile(path)
    assert lock.try_acquire()
    pid = os.fork()
    if pid == 0:
        lock.release()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert not try_lock(fd)
    lock.release()
    assert try_lock(fd)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("how", ["os.fork", "in C, past Python's hooks"])
@pytest.mark.parametrize("kind", ["a lock file", "a file of lines"])
def test_a_forked_child_keeps_nothing(path: Path, fd: int, how: str, kind: str) -> None:
    """What its parent locked for itself alone is free when the parent gives it up, however long the child lives."""
    lock: LockFile | AppendFile = LockFile(path) if kind == "a lock file" else AppendFile(path, create=False)
    assert lock.try_acquire() if isinstance(lock, LockFile) else lock.try_lock()
    fork, begin = (os.fork, lambda: None) if how == "os.fork" else (ctypes.PyDLL(None).fork, locks.forked)
    with forked_child(fork, begin):
        assert not try_lock(fd)
        lock.release() if isinstance(lock, LockFile) else lock.close()
        assert try_lock(fd)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_keeps_what_it_locked_itself(path: Path, fd: int) -> None:
    """A child that finds out late that it is one closes nothing of its own."""
    lock = LockFile(path)
    assert lock.try_acquire()
    lock.release()

    def begin() -> None:
        assert lock.try_acquire()
        locks.forked()

    with forked_child(ctypes.PyDLL(None).fork, begin):
        assert not try_lock(fd)
    assert try_lock(fd)


def test_a_lock_file_is_taken_once(path: Path, fd: int) -> None:
    """Taking a lock that is held already changes nothing; releasing it frees it; releasing it again does nothing."""
    lock = LockFile(path)
    assert lock.try_acquire()
    assert lock.try_acquire()
    assert not LockFile(path).try_acquire()
    lock.release()
    lock.release()
    assert try_lock(fd)


DELETE = """
import os, sys
from mission_tracer._base.locks import LockFile
path, taken = sys.argv[1], 0
while taken < 1000:
    lock = LockFile(path)
    if lock.try_acquire():
        os.close(os.open(path + ".alone", os.O_CREAT | os.O_EXCL))
        os.unlink(path + ".alone")
        os.unlink(path)
        lock.release()
        taken += 1
"""


def test_a_lock_that_is_deleted_has_one_holder(path: Path) -> None:
    """Who opened a lock file before its holder deleted it, and locks it after that, does not hold the lock."""
    takers = [subprocess.Popen([sys.executable, "-c", DELETE, str(path)]) for _ in range(3)]
    assert [taker.wait(60) for taker in takers] == [0, 0, 0]


def test_no_lock_without_a_directory(tmp_path: Path) -> None:
    """Where no file can be made there is no lock, and that is an error of the system's."""
    with pytest.raises(FileNotFoundError):
        LockFile(tmp_path / "absent" / "lock").try_acquire()


def test_the_system_without_locks_is_an_error(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without locks is told apart from a lock that is taken, and leaves no file open."""
    fcntl = pytest.importorskip("fcntl")

    def refuse(fd: int, how: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="No locks"):
        locks.try_lock(fd)
