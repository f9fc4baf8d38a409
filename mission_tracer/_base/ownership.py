"""Let only one integration record a call that several of them see.

A framework knows more than a tracing span, a span more than a client library, a client more than HTTP. Whoever records
a call owns it while it is under way; weaker integrations leave calls alone that are owned by a stronger one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from mission_tracer import _context


class Rank(IntEnum):
    """How much an integration knows of a call; the higher one records it."""

    HTTP = 1
    CLIENT = 2
    SPAN = 3
    FRAMEWORK = 4


def may_record(rank: Rank) -> bool:
    """Say whether an integration of a rank records the call that begins now: not our own, and nobody stronger does."""
    return not _context.quiet.get() and rank > (_context.owner.get() or 0)


def own(rank: Rank) -> int | None:
    """Take the calls inside what begins now; return what `disown` needs."""
    before = _context.owner.get()
    _context.owner.set(rank)
    return before


def disown(before: int | None) -> None:
    """Give the calls back to whoever had them before `own`."""
    _context.owner.set(before)


@contextmanager
def owning(rank: Rank) -> Iterator[None]:
    """Own the calls inside the block."""
    before = own(rank)
    try:
        yield
    finally:
        disown(before)
