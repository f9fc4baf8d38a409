"""Keep what a run's program says of its outcome until the program has ended and the run is closed.

A program that says it succeeded and then fails has failed: so nothing is final before its end.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from mission_tracer._disk.directory import Directory


class Outcome(Struct, omit_defaults=True):
    """What a program said so far; later words count."""

    status: str | None = None
    summary: str | None = None
    payload: dict[str, Any] | None = None
    error: str | None = None
    exception: dict[str, Any] | None = None
    traceback: Any = None


def note(directory: Directory, key: str, **said: Any) -> None:
    """Note what a program says of the outcome of its run.

    Raises:
        OSError: It cannot be written.
    """
    fd = os.open(_path(directory, key), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(fd, msgspec.json.encode(said) + b"\n")
    finally:
        os.close(fd)


def take(directory: Directory, key: str) -> Outcome:
    """Return what was said, and forget it."""
    path = _path(directory, key)
    said: dict[str, Any] = {}
    try:
        for line in path.read_bytes().splitlines():
            said.update(msgspec.json.decode(line))
        path.unlink()
        return msgspec.convert(said, Outcome)
    except (OSError, msgspec.MsgspecError):
        return Outcome()


def _path(directory: Directory, key: str) -> Path:
    return directory.journal(key).with_suffix(".outcome")
