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


class Owned(int):
    """Stand in `_context.owner` for a rank; false as soon as what it owns is over.

    A task that was started inside goes on with it: its calls belong then to whoever had them before.
    """

    before: int | None
    is_over: bool

    def __bool__(self) -> bool:
        return not self.is_over


def may_record(rank: Rank) -> bool:
    """Say whether an integration of a rank records the call that begins now: not our own, and nobody stronger does."""
    return not _context.quiet.get() and rank > (_owner() or 0)


def _owner() -> int | None:
    owner = _context.owner.get()
    while isinstance(owner, Owned) and not owner:
        owner = owner.before
    return owner


def own(rank: Rank) -> Owned:
    """Take the calls inside what begins now; return what `disown` needs."""
    owned = Owned(rank)
    owned.before = _owner()
    owned.is_over = False
    _context.owner.set(owned)
    return owned


def disown(owned: Owned) -> None:
    """Give the calls back to whoever had them before `own`, here and in the tasks that were started inside."""
    owned.is_over = True
    _context.owner.set(owned.before)


@contextmanager
def owning(rank: Rank) -> Iterator[None]:
    """Own the calls inside the block."""
    owned = own(rank)
    try:
        yield
    finally:
        disown(owned)
