"""Say what a sender needs of whoever knows the runs."""

from __future__ import annotations

from typing import Protocol

from mission_tracer._sending.lane import Lane


class Lanes(Protocol):
    """Where the sender's lanes come from and go to; methods are called from one thread at a time, under no lock."""

    @property
    def has_news(self) -> bool:
        """Say whether this process recorded something that `renew` has not looked at yet."""
        ...

    @property
    def is_still(self) -> bool:
        """Say whether a look at everything would find nothing; quick, and asked under the sender's lock."""
        ...

    @property
    def is_crowded(self) -> bool:
        """Say whether runs wait for a lane because too many are open."""
        ...

    def postpone(self) -> None:
        """Put what is new aside: nobody can look at it now."""
        ...

    def renew(self, *, everything: bool) -> list[Lane]:
        """Return lanes that may have something to deliver now; `everything`: also look at what others wrote."""
        ...

    def release(self, lane: Lane) -> None:
        """Put a lane away that has nothing to do, or make room for others."""
        ...
