"""Cut the power: of a state directory only what was synced survives, and of the rest perhaps a piece.

A program that runs under `observe` copies what it syncs to a platter at that moment: the bytes of a file, the names in
a directory. `restore` builds from the platter what a machine finds when it starts again. It is stricter than most file
systems: a file whose name was not synced in its directory is gone, however often its bytes were.
"""

from __future__ import annotations

import json
import os
import random
import stat
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

OBSERVE = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
from tests.power import observe
observe(Path({platter!r}))
"""


def observe(platter: Path) -> None:
    """Have every sync of this process seen by the platter."""
    platter.mkdir(exist_ok=True)
    lock = threading.Lock()

    def sync(fd: int) -> None:
        with lock:  # what one thread has synced another one's earlier look must not take back
            found = os.fstat(fd)
            if stat.S_ISDIR(found.st_mode):
                _put(platter / f"{found.st_ino}.names", json.dumps(_names(Path(f"/proc/self/fd/{fd}"))).encode())
            else:
                _put(platter / f"{found.st_ino}.bytes", os.pread(fd, found.st_size, 0))

    os.fsync = sync  # type: ignore[assignment]  # what the whole program syncs by
    os.fdatasync = sync  # type: ignore[assignment]


def _names(directory: Path) -> dict[str, tuple[int, bool]]:
    """List a directory: of each name, whose it is, and whether that is a directory."""
    names = {}
    for path in directory.iterdir():
        with suppress(FileNotFoundError):  # just moved away
            found = path.lstat()
            names[path.name] = (found.st_ino, stat.S_ISDIR(found.st_mode))
    return names


def _put(path: Path, content: bytes) -> None:
    """Write at once: the one who writes may be killed in this moment."""
    fresh = path.with_suffix(f".{os.getpid()}.{random.random()}")
    fresh.write_bytes(content)
    fresh.replace(path)


def restore(platter: Path, state: Path, target: Path, draw: random.Random) -> None:
    """Build what is left of a state directory after the power came back.

    Args:
        platter: What was synced.
        state: The directory as it was when the power went, for pieces of what was not synced.
        target: Where to build it; its parent exists.
        draw: Says how much of what was not synced survives by chance.
    """
    unsynced = {path.stat().st_ino: path for path in state.rglob("*") if path.is_file()}

    def build(inode: int, is_directory: bool, place: Path) -> None:
        if not is_directory:
            found = platter / f"{inode}.bytes"
            content = found.read_bytes() if found.exists() else b""
            rest = unsynced[inode].read_bytes()[len(content) :] if inode in unsynced else b""
            place.write_bytes(content + rest[: draw.randint(0, len(rest))])
            return
        place.mkdir()
        for name, below in _read(platter / f"{inode}.names").items():
            build(*below, place / name)

    above = _read(platter / f"{state.parent.stat().st_ino}.names")
    if state.name in above:
        build(*above[state.name], target)


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return {}
