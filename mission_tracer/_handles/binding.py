"""Know Telnyx's ids of a run as soon as whoever delivers it knows them."""

from __future__ import annotations

import time

from mission_tracer.recorder import Recorder

_GLANCE = 0.02  # seconds between two looks


class Binding:
    """Look a run's ids up: in this process's delivery, or in the delivery log that another process writes.

    Args:
        recorder: Whose runs they are.
    """

    __slots__ = ("_ids", "_recorder")

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._ids: tuple[str | None, str | None] = (None, None)

    def ids(self, key: str) -> tuple[str | None, str | None]:
        """Return the mission's and the run's id, each `None` while it is not known.

        Raises:
            OSError: The delivery log cannot be read.
        """
        if self._ids[1] is None:
            self._ids = self._recorder.delivery.ids(key)
        return self._ids

    def wait(self, key: str, timeout: float | None) -> bool:
        """Block until the run's id is known, up to `timeout` seconds; say whether it is."""
        deadline = _deadline(timeout)
        progress = self._recorder.sender.progress
        while self.ids(key)[1] is None and self._is_hopeful(key) and time.monotonic() < deadline:
            with progress:
                progress.wait(min(_GLANCE, max(0.0, deadline - time.monotonic())))
        return self.ids(key)[1] is not None

    async def wait_async(self, key: str, timeout: float | None) -> bool:
        """Wait as `wait` does, without blocking the event loop."""
        import asyncio  # the loop that runs this has imported it

        deadline = _deadline(timeout)
        while self.ids(key)[1] is None and self._is_hopeful(key) and time.monotonic() < deadline:  # noqa: ASYNC110
            # Another process may be the one that comes to know.
            await asyncio.sleep(_GLANCE)
        return self.ids(key)[1] is not None

    def _is_hopeful(self, key: str) -> bool:
        lane = self._recorder.roster.lane(key)
        parked = lane is not None and lane.state.parked is not None
        return self._recorder.settings.api_key is not None and not parked


def _deadline(timeout: float | None) -> float:
    return float("inf") if timeout is None else time.monotonic() + timeout
