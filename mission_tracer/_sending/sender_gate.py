"""Keep everyone from a server that is out of reach; one request at a time then tries whether it is back."""

from __future__ import annotations

from collections.abc import Callable

from mission_tracer._base.backoff import delay
from mission_tracer._sending.lane_courier import Pause


class Gate:
    """Open and close the way to the server.

    Args:
        most: The longest pause, in seconds.
        draw: Draws from 0 to 1, for the pauses' jitter.
    """

    __slots__ = ("_asked_until", "_draw", "_failures", "_most", "_set_at", "opens_at")

    def __init__(self, *, most: float, draw: Callable[[], float]) -> None:
        self._most = most
        self._draw = draw
        self._set_at = 0.0
        self.open()

    @property
    def is_doubted(self) -> bool:
        """Say whether the server was out of reach when it was tried last."""
        return self._failures > 0

    def open(self) -> None:
        """Take in that the server answered."""
        self._failures = 0
        self.opens_at = self._asked_until = 0.0

    def close(self, pause: Pause, *, now: float, started: float) -> None:
        """Take in that a request did not reach the server; those that were under way together count once.

        Args:
            pause: What hindered it.
            now: The moment, in seconds.
            started: When the request began, in seconds.
        """
        if started >= self._set_at:
            self._failures += 1
            self._set_at = now
            self.opens_at = now + self.length(pause, self._failures)
            self._asked_until = now + (pause.asked or 0.0)

    def hurry(self) -> None:
        """Cut the pause short that we chose ourselves; what the server asked for stands."""
        self.opens_at = min(self.opens_at, self._asked_until)

    def length(self, pause: Pause, failures: int) -> float:
        """Say how long a pause is, in seconds, after so many failures."""
        if pause.delay is not None:
            return pause.delay
        return delay(failures, random=self._draw, most=self._most, asked=pause.asked)
