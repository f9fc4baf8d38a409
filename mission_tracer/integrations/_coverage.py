"""Know which OpenTelemetry instrumentations tell what a framework's own integration records already.

An instrumentation of a framework makes spans of the calls that our handler for that framework is told too, and nothing
in the span or in its context says so: the span may even begin before our handler is called. So whoever records a
framework covers its instrumentations by name, for as long as it is at work.
"""

from __future__ import annotations

import weakref
from typing import Any

_covered: weakref.WeakKeyDictionary[Any, tuple[str, ...]] = weakref.WeakKeyDictionary()


def cover(holder: Any, *origins: str) -> None:
    """Have spans of instrumentations left alone while an object is alive, and until `uncover`.

    Args:
        holder: Who records the same calls.
        origins: The instrumentations' names, as their tracers have them.
    """
    _covered[holder] = origins


def uncover(holder: Any) -> None:
    """Leave them alone no more."""
    _covered.pop(holder, None)


def is_covered(origin: str) -> bool:
    """Say whether somebody records what an instrumentation tells."""
    return any(origin in origins for origins in list(_covered.values()))
