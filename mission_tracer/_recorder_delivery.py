"""Deliver what a recorder recorded: which runs there are, who sends them, and what waits for them.

Apart from the recorder because it is reached when the first fact wants to be delivered: it takes as long to import as
all of the recording side.
"""

from __future__ import annotations

import platform
import time
from typing import TYPE_CHECKING

from mission_tracer._delivery_log import LogFollower, read_log
from mission_tracer._lane_state import LaneState
from mission_tracer._roster import Roster
from mission_tracer._sender import MAX_THREADS, Sender
from mission_tracer._stream import Stream
from mission_tracer._version import VERSION

if TYPE_CHECKING:
    from mission_tracer._transport import Transport
    from mission_tracer.recorder import Recorder

_GLANCE = 0.02  # how often another process's delivery log is looked at while somebody waits for it, in seconds


class Delivery:
    """Hold the roster and the sender of a recorder.

    Args:
        recorder: Whose facts are delivered.
        adopt: True: what dead processes left is delivered too.
        anywhere: True: also what was recorded for another address and never reached it, and what was parked.
    """

    def __init__(self, recorder: Recorder, *, adopt: bool, anywhere: bool) -> None:
        settings = recorder.settings
        self.recorder = recorder
        self.roster = Roster(
            recorder.directory,
            base_url=settings.base_url,
            notices=recorder.notices,
            settle=settings.settle,
            retention=settings.retention,
            most_bytes=settings.max_delivered_bytes,
            power=settings.durability == "power",
            adopt=adopt,
            anywhere=anywhere,
        )
        self.sender = Sender(
            self.roster,
            self._transport,
            recorder.notices,
            max_backoff=settings.max_backoff,
            advice="set TELNYX_API_KEY to a valid key; everything is kept until then",
        )

    def _transport(self) -> Transport:
        # Reached on a sender's thread: importing httpx takes longer than all of the recording side together.
        from mission_tracer._transport import Transport

        settings = self.recorder.settings
        return Transport(
            settings.base_url,
            settings.api_key or "",
            timeout=settings.request_timeout,
            connections=MAX_THREADS,
            user_agent=f"mission_tracer/{VERSION} python/{platform.python_version()}",
        )

    def ids(self, key: str) -> tuple[str | None, str | None]:
        """Return Telnyx's ids of a run's mission and of the run, each `None` while it is not known.

        Raises:
            OSError: The delivery log cannot be read.
        """
        lane = self.roster.lane(key)
        state = lane.state if lane is not None else LaneState()
        directory = self.recorder.directory
        place = directory.find(key) if lane is None and directory is not None else None
        if place is not None and place[1].exists():
            read_log(place[1], state)
        return state.mission_id, state.run_id

    def wait(self, timeout: float, *, stall: float | None, keys: set[str] | None, leave_to_others: bool) -> bool:
        """Wait until all that was recorded so far is delivered or refused; see `Recorder.flush`."""
        waiting = [
            _Awaited(self, stream, leave_to_others=leave_to_others)
            for stream in self.roster.streams()
            if keys is None or stream.key in keys
        ]
        try:
            return self._wait(waiting, timeout, stall)
        finally:
            for awaited in waiting:
                awaited.close()

    def _wait(self, waiting: list[_Awaited], timeout: float, stall: float | None) -> bool:
        started = time.monotonic()

        def over() -> bool:
            waiting[:] = [awaited for awaited in waiting if not awaited.is_delivered()]
            now = time.monotonic()
            moved = max(self.sender.acknowledged_at, started)
            return (
                not waiting
                or now - started >= timeout
                or (stall is not None and now - moved >= stall and not self.sender.is_opening)
                or not any(awaited.is_hopeful() for awaited in waiting)
            )

        if over():
            return not waiting
        if self.recorder.sends:
            self.sender.wake()
            if not self.sender.is_running:
                self.sender.work_until(over)
                return not waiting
        while not over():
            left = timeout - (time.monotonic() - started)
            with self.sender.progress:
                self.sender.progress.wait(max(0.0, min(left, _GLANCE)))
        return not waiting


class _Awaited:
    """One run that a flush waits for, up to what was recorded when the flush began."""

    def __init__(self, delivery: Delivery, stream: Stream, *, leave_to_others: bool) -> None:
        self._leave_to_others = leave_to_others
        self._delivery = delivery
        self._stream = stream
        self._target = stream.journal.size() or self._size_on_disk()
        self._follower: LogFollower | None = None

    def _size_on_disk(self) -> int:
        path = self._stream.journal.path
        try:
            return path.stat().st_size if path is not None else 0
        except OSError:
            return 0

    def is_delivered(self) -> bool:
        """Say whether the run's facts are delivered or refused for good."""
        roster = self._delivery.roster
        lane = roster.lane(self._stream.key)
        if not self._stream.attached:
            return True
        if lane is not None:
            return lane.state.cursor >= self._target and not lane.state.retries
        if self._leave_to_others and self._stream.foreign:
            return True
        directory = self._delivery.recorder.directory
        if directory is None:
            return False
        try:
            self._follower = self._follower or LogFollower(directory.log(self._stream.key))
            return self._follower.cursor() >= self._target
        except OSError:
            return directory.find(self._stream.key) is not None and not directory.journal(self._stream.key).exists()

    def is_hopeful(self) -> bool:
        """Say whether waiting may help: somebody sends, the key is accepted, the run is not parked."""
        delivery = self._delivery
        lane = delivery.roster.lane(self._stream.key)
        if lane is not None and lane.state.parked:
            return False
        if delivery.recorder.settings.api_key is None:
            return False
        return not delivery.sender.locked_out

    def close(self) -> None:
        """Close what was opened."""
        if self._follower is not None:
            self._follower.close()
