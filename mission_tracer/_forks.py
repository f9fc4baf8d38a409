"""Know which process this is without asking the kernel each time, and notice a fork all the same.

`os.getpid` is a system call: a fifteenth of what recording a fact takes. Python's fork hooks are no way around it,
since a server such as uWSGI forks in C, past them. So the id is kept in a page of memory that the kernel empties in
every forked child, whoever forks it (`MADV_WIPEONFORK`, Linux 4.14; BoringSSL notices forks in the same way).
"""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import MutableSequence

_WIPE_ON_FORK = 18
_NONSENSE = -1


def _wiped_page() -> MutableSequence[int] | None:
    """Return integers that are 0 in every forked child; `None` where the kernel has no such thing."""
    if sys.platform != "linux":
        return None
    try:
        page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        page.madvise(_WIPE_ON_FORK)
    except OSError:
        return None
    try:
        page.madvise(_NONSENSE)
    except OSError:
        return memoryview(page).cast("i")  # type: ignore[return-value]  # it behaves as one
    return None  # an emulator that takes any advice follows none


_page = _wiped_page()

if _page is None:
    process_id = os.getpid
else:
    _kept: MutableSequence[int] = _page

    def process_id() -> int:
        """Return the id of this process."""
        return _kept[0] or _ask()

    def _ask() -> int:
        _kept[0] = os.getpid()
        return _kept[0]
