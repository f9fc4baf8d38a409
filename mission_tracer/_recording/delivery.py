"""Deliver what a recorder recorded: which runs there are, who sends them, and what waits for them.

Apart from the recorder because it is reached when the first fact wants to be delivered: it takes as long to import as
all of the recording side.
"""

from __future__ import annotations

import platform
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from mission_tracer._base.forks import held_off
from mission_tracer._base.notices import Notices
from mission_tracer._disk.delivery_log import read_log
from mission_tracer._disk.directory import Directory
from mission_tracer._disk.journal_file import whole_length
from mission_tracer._planning.lane_state import LaneState
from mission_tracer._recording.wait import GLANCE, Wait
from mission_tracer._sending.roster import Roster
from mission_tracer._sending.roster_places import most_lanes
from mission_tracer._sending.sender import Sender
from mission_tracer._version import VERSION
from mission_tracer.settings import Settings

if TYPE_CHECKING:
    from mission_tracer._sending.transport import Transport


class Delivery:
    """Hold the roster and the sender of a recorder.

    Args:
        settings: Where to deliver, and how patiently.
        directory: The state directory; `None`: memory only.
        notices: Says what goes wrong.
        adopt: True: what dead processes left is delivered too.
        anywhere: True: also what was recorded for another address and never reached it, and what was parked.
    """

    def __init__(
        self, settings: Settings, directory: Directory | None, notices: Notices, *, adopt: bool, anywhere: bool
    ) -> None:
        self.settings = settings
        self.directory = directory
        self.is_offline = settings.api_key is None
        self.sends = settings.sender == "thread" and not self.is_offline
        if self.sends:
            _load_transport()
        places = most_lanes()
        self.roster = Roster(
            directory,
            base_url=settings.base_url,
            notices=notices,
            settle=settings.settle,
            timeout=settings.request_timeout,
            retention=settings.retention,
            most_bytes=settings.max_delivered_bytes,
            power=settings.durability == "power",
            adopt=adopt,
            anywhere=anywhere,
            most_lanes=places,
        )
        self.sender = Sender(
            self.roster,
            self._transport,
            notices,
            max_backoff=settings.max_backoff,
            advice="set TELNYX_API_KEY to a valid key; everything is kept until then",
            most_threads=places,
        )

    def _transport(self) -> Transport:
        return _load_transport()(
            self.settings.base_url,
            self.settings.api_key or "",
            timeout=self.settings.request_timeout,
            user_agent=f"mission_tracer/{VERSION} python/{platform.python_version()}",
        )

    def ids(self, key: str) -> tuple[str | None, str | None]:
        """Return Telnyx's ids of a run's mission and of the run, each `None` while it is not known.

        Raises:
            OSError: The delivery log cannot be read.
        """
        lane = self.roster.lane(key)
        state = lane.state if lane is not None else LaneState()
        place = self.directory.find(key) if lane is None and self.directory is not None else None
        if place is not None:
            with suppress(FileNotFoundError):
                read_log(place[1], state)
        return state.mission_id, state.run_id

    def measure(self, key: str) -> int:
        """Return the position after the last whole line of a run's journal; 0 when it is not there."""
        try:
            return whole_length(self.directory.journal(key)) if self.directory is not None else 0
        except OSError:
            return 0

    def wait(
        self,
        timeout: float,
        *,
        stall: float | None = None,
        keys: set[str] | None = None,
        leave_to_others: bool = False,
    ) -> bool:
        """Wait until all that was recorded so far is delivered or refused; see `Recorder.flush`."""
        chosen = [key for key in reversed(self.roster.keys()) if keys is None or key in keys]
        return Wait(self, chosen, timeout=timeout, stall=stall, leave_to_others=leave_to_others).wait()

    def finish(self) -> bool:
        """Deliver what can be delivered before the process ends; say whether nothing of it is left.

        As long as acknowledgements keep coming, the setting `flush_stall` without one, `flush_timeout` at most. What
        other processes left behind gets up to `flush_stall` more: a program that is short each time brings it home too.
        """
        deadline = time.monotonic() + self.settings.flush_timeout
        for stream in self.roster.streams():
            # Others must see that we do not write any more before we look who delivers.
            stream.journal.close()
        while True:
            left = max(0.0, deadline - time.monotonic())
            if not self.wait(left, stall=self.settings.flush_stall, leave_to_others=True):
                # Where nothing is under way their delivery logs say so, and whoever delivers next waits for nothing.
                self.rest(0.1)
                return False
            self._help_others(min(deadline, time.monotonic() + self.settings.flush_stall))
            self.sender.stop(min(0.5, max(0.1, left)))
            self.roster.tidy()
            if not self.roster.left_behind() or time.monotonic() >= deadline:
                return True
            self.sender.restart()

    def _help_others(self, deadline: float) -> None:
        progress = self.sender.progress
        with progress:
            while self.roster.has_others_work(deadline) and (left := deadline - time.monotonic()) > 0:
                progress.wait(min(left, GLANCE))

    def rescue(self) -> int:
        """Put on the disk what is held in memory, if it takes it by now; return how many facts it will never have."""
        held = [stream for stream in self.roster.streams() if stream.journal.memory.lines]
        if held and self.sends:
            self.rest(0.5)  # some may be in the sender's hands
        for stream in held:
            stream.journal.hand_over()
        return self.roster.count_unsafe()

    def rest(self, timeout: float) -> None:
        """End the threads, and give the runs up, delivered or not; what is recorded next starts everything again."""
        self.sender.stop(timeout)
        self.roster.tidy()
        self.sender.restart()


@held_off()
def _load_transport() -> type[Transport]:
    """Import the HTTP library, once there is something to send; it takes longer than all the rest together.

    On the thread that records, not on a sender's: else a program may find httpx half imported in `sys.modules`, and a
    fork in that moment would leave its child an import that never ends.
    """
    from mission_tracer._sending.transport import Transport

    return Transport
