"""Know Telnyx's ids of a run as soon as whoever delivers it knows them."""

from __future__ import annotations

import time

from mission_tracer import _context
from mission_tracer._base.checks import check_seconds, unless_none
from mission_tracer._base.guard import guarded
from mission_tracer._context import Current
from mission_tracer._disk.stream import Stream
from mission_tracer.recorder import Recorder

_GLANCE = 0.02  # seconds between two looks


class Bound(Current):
    """Say a run's ids: they are in this process's delivery, or in the delivery log that another process writes.

    Args:
        recorder: Whose run it is.
        stream: This process's share of the run; `None`: nothing is recorded.
    """

    __slots__ = ("_ids", "recorder", "stream")

    def __init__(self, recorder: Recorder, stream: Stream | None) -> None:
        self.recorder = recorder
        self.stream = stream
        self._ids: tuple[str | None, str | None] = (None, None)

    @property
    def key(self) -> str:
        """Our own id of the run, chosen before anything is sent; sorts by time. Empty when nothing is recorded."""
        return self.stream.key if self.stream is not None else ""

    @property
    def mission_id(self) -> str | None:
        """Telnyx's id of the mission, or `None` while it is not known."""
        return self._look()[0]

    @property
    def run_id(self) -> str | None:
        """Telnyx's id of the run, or `None` while it is not known."""
        return self._look()[1]

    @guarded(otherwise=False)
    def wait_bound(self, timeout: float | None = None) -> bool:
        """Block until Telnyx's ids are known; say whether they are.

        Without an API key in this process it does not wait: nobody here would deliver the run.

        Args:
            timeout: The longest wait, in seconds; `None`: as long as the run may be delivered.

        Raises:
            TypeError, ValueError: `timeout` is no number of seconds, and the setting `strict` is on.
        """
        deadline = time.monotonic() + self.patience(timeout)
        while self._is_worth_waiting(deadline):
            progress = self.recorder.sender.progress
            with progress:
                progress.wait(min(_GLANCE, max(0.0, deadline - time.monotonic())))
        return self.run_id is not None

    async def await_bound(self, timeout: float | None = None) -> bool:
        """Wait as `wait_bound` does, without blocking the event loop."""
        import asyncio  # the loop that runs this has imported it

        deadline = time.monotonic() + self.patience(timeout)
        while self._is_worth_waiting(deadline):  # noqa: ASYNC110 - another process may be the one that comes to know
            await asyncio.sleep(_GLANCE)
        return self.run_id is not None

    @guarded(otherwise=0.0)
    def patience(self, timeout: float | None) -> float:
        """Read how long to wait, in seconds; not at all if it is no number of seconds."""
        seconds = unless_none(check_seconds, timeout, "timeout")
        return float("inf") if seconds is None else seconds

    @guarded(otherwise=False)
    def _is_worth_waiting(self, deadline: float) -> bool:
        if self.stream is None or self.run_id is not None or self.recorder.delivery.is_offline or _context.quiet.get():
            return False  # who is quiet is at work for us: nobody else would do that meanwhile
        lane, own = self.recorder.roster.lane(self.key), self.recorder.roster.own(self.key)
        # A run that is parked loses its lane.
        is_parked = (lane is not None and lane.state.parked) or (own is not None and own.parked)
        return not is_parked and time.monotonic() < deadline

    @guarded(otherwise=(None, None))
    def _look(self) -> tuple[str | None, str | None]:
        if self._ids[1] is None and self.stream is not None:
            self._ids = self.recorder.delivery.ids(self.key)
        return self._ids

    def trouble(self, error: Exception, where: str) -> None:
        """Take an error of ours, as the recorder does."""
        self.recorder.trouble(error, where)
