"""Decide how many events of one run may be under way at once. Pure: no clock."""

from __future__ import annotations

MOST = 8
_PATIENCE = 5.0  # seconds of work in a row from which on events go side by side
_CALM = 0.5  # and less than so much until they follow one another again
_PROMPT = 0.003  # seconds; an answer that comes sooner is mostly our own work, which takes longer side by side


class Width:
    """Let events go side by side only if there is much to wait for: their order is worth more than a little time."""

    __slots__ = ("_is_many", "_latency")

    def __init__(self) -> None:
        self._is_many = False
        self._latency = 0.0

    def choose(self, latency: float, waiting: int) -> int:
        """Return how many may be under way.

        Args:
            latency: What an event takes at present, in seconds.
            waiting: How many facts are still to be delivered.
        """
        if not self._is_many:
            self._latency = latency  # side by side they wait for each other too
        # Once the order is lost, it is of no use to go back early.
        enough = _CALM if self._is_many else _PATIENCE
        self._is_many = self._latency > _PROMPT and self._latency * waiting > enough
        return MOST if self._is_many else 1
