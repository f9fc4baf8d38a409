"""Know which OpenTelemetry instrumentations tell what a framework's own integration records already.

An instrumentation of a framework makes spans of the calls that our handler for that framework is told too, and nothing
in the span says so: it may even begin before our handler is called. So whoever records a framework is asked, each time
such a span begins, whether it is at work on that call.
"""

from __future__ import annotations

import weakref
from typing import Any, Protocol


class Coverer(Protocol):
    """Who records a framework."""

    def covers(self, origin: str) -> bool:
        """Say whether it records, here and now, what an instrumentation tells.

        Args:
            origin: The instrumentation's name, as its tracer has it.
        """
        ...


# That one of these is alive says nothing: the program may keep it for later, and the collector may be late.
_coverers: weakref.WeakSet[Any] = weakref.WeakSet()


def cover(coverer: Coverer) -> None:
    """Ask somebody from now on."""
    _coverers.add(coverer)


def is_covered(origin: str) -> bool:
    """Say whether somebody records what an instrumentation tells."""
    return any(coverer.covers(origin) for coverer in list(_coverers))
