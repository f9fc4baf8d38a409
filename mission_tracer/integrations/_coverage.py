"""Know which calls are recorded already, where the context does not say.

An instrumentation of a framework makes spans of the calls that our handler for that framework is told too, and nothing
in the span says so: it may even begin before our handler is called. So whoever records a framework is asked, each time
such a span begins, whether it is at work on that call.

A span may begin in one task, and its call be made in another one, which knows the span and not its owner. So whoever
records spans is asked, each time such a call begins, whether it is a span's own.
"""

from __future__ import annotations

import weakref
from typing import Any, Protocol

from mission_tracer._base.ownership import Rank


class Coverer(Protocol):
    """Who records a framework."""

    def covers(self, origin: str) -> bool:
        """Say whether it records, here and now, what an instrumentation tells.

        Args:
            origin: The instrumentation's name, as its tracer has it.
        """
        ...


class Claimant(Protocol):
    """Who records spans."""

    def claims(self, rank: Rank) -> bool:
        """Say whether the call that begins here and now is one that it records.

        Args:
            rank: Of whoever asks.
        """
        ...


# That one of these is alive says nothing: the program may keep it for later, and the collector may be late.
_coverers: weakref.WeakSet[Any] = weakref.WeakSet()
_claimants: weakref.WeakSet[Any] = weakref.WeakSet()


def cover(coverer: Coverer) -> None:
    """Ask somebody from now on."""
    _coverers.add(coverer)


def is_covered(origin: str) -> bool:
    """Say whether somebody records what an instrumentation tells."""
    return any(coverer.covers(origin) for coverer in list(_coverers))


def heed(claimant: Claimant) -> None:
    """Ask somebody from now on what calls are its own."""
    _claimants.add(claimant)


def is_claimed(rank: Rank) -> bool:
    """Say whether somebody records the call that begins here and now."""
    return any(claimant.claims(rank) for claimant in list(_claimants))
