"""Say how many runs may be open at once: most of the files that a process may open are the program's."""

from __future__ import annotations

import sys

MOST_LANES = 128
_LEAST = 8
_SHARE = 16  # a lane for so many files: it holds two, its thread a connection, and most programs need few themselves

if sys.platform == "win32":

    def _most_files() -> int:
        return sys.maxsize
else:
    import resource

    def _most_files() -> int:
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def most_lanes() -> int:
    """Return how many lanes this process may have, by the limit of open files that holds for it now."""
    return max(_LEAST, min(MOST_LANES, _most_files() // _SHARE))
