"""Know which process this is without asking the kernel each time, and notice a fork all the same; and hold forks off.

`os.getpid` is a system call: a fifteenth of what recording a fact takes. Python's fork hooks are no way around it,
since a server such as uWSGI forks in C, past them. So the id is kept in a page of memory that the kernel empties in
every forked child, whoever forks it (`MADV_WIPEONFORK`, Linux 4.14; BoringSSL notices forks in the same way).
"""

from __future__ import annotations

import mmap
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_PATIENCE = 5.0  # seconds; what is waited for may itself wait for the thread that forks
_WIPE_ON_FORK = 18
_NONSENSE = -1


class _Asked:
    """Ask the kernel each time, where it empties no page."""

    def __getitem__(self, _index: int) -> int:
        return os.getpid()

    def __setitem__(self, _index: int, _value: int) -> None:
        pass


def _wiped_page() -> memoryview | _Asked:
    """Return integers that are 0 in every forked child; the first of them is for the process's id."""
    if sys.platform != "linux":
        return _Asked()
    try:
        page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        page.madvise(_WIPE_ON_FORK)
    except OSError:
        return _Asked()
    try:
        page.madvise(_NONSENSE)
    except OSError:
        return memoryview(page).cast("i")
    return _Asked()  # an emulator that takes any advice follows none


known = _wiped_page()
"""At 0 the id of this process; there too, 0 in a forked child in which nobody has called `process_id` yet."""


def process_id() -> int:
    """Return the id of this process."""
    return known[0] or _ask()


def is_elsewhere(opener: int) -> bool:
    """Say whether what a process began is still that process's to end: it is another one than this, and lives.

    Args:
        opener: The id of the process.
    """
    # One that has ended left its work to the child that goes on in its place, as daemons do.
    return opener != process_id() and _lives(opener)


_main = threading.main_thread()


def is_over() -> bool:
    """Say whether this is a child that a thread forked, and that thread has ended.

    Such a process has no interpreter that ends: it lives as long as any thread does, daemons among them.
    """
    main = threading.main_thread()
    return main is not _main and not main.is_alive()


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123 - pathlib is a slow import
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except OSError:
        return True


def _ask() -> int:
    known[0] = os.getpid()
    return known[0]


_busy = threading.RLock()


@contextmanager
def held_off() -> Iterator[None]:
    """Keep forks of this process waiting while the block runs: an import, or what takes a library's own locks.

    A child that is forked while another thread imports keeps that import's lock: whatever imports the same there waits
    for ever, or finds half a module.
    """
    lock = _busy
    taken = lock.acquire(timeout=_PATIENCE)
    try:
        yield
    finally:
        if taken:
            lock.release()


def forked() -> None:
    """Begin again in a forked child, where another thread may have held the lock."""
    global _busy  # noqa: PLW0603 - like the lock that it replaces
    _busy = threading.RLock()


def _before_fork() -> None:
    _busy.acquire(timeout=_PATIENCE)


def _after_fork_in_parent() -> None:
    with suppress(RuntimeError):  # it waited in vain
        _busy.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=forked)
