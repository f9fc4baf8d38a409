"""Deliver everything that waits on this machine, and know how far it is and why it stops."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from mission_tracer import dead, facts
from mission_tracer._base.notices import LEVELS, Notices
from mission_tracer._disk.delivery_log import DeliveryLog, LogFollower, read_log
from mission_tracer._disk.journal import iterate_lines
from mission_tracer._planning.lane_state import LaneState
from mission_tracer._sending.roster_burial import discard_stillborn
from mission_tracer.cli._inside.place import readable
from mission_tracer.cli._reading.journals import is_written
from mission_tracer.cli.output import plural
from mission_tracer.recorder import Recorder
from mission_tracer.settings import Settings

_FIRST = 10.0  # seconds more for the first request, which imports and connects
_GLANCE = 0.1  # seconds between two looks at how far it is


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a delivery is: facts that waited, facts settled since, runs that still wait."""

    total: int
    settled: int
    runs: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a delivery: facts delivered, facts that stand refused by now, and why which runs are left."""

    delivered: int
    rejected: int
    left: dict[str, str]

    @property
    def is_whole(self) -> bool:
        """Say whether everything is delivered."""
        return not (self.rejected or self.left)

    def refusal(self) -> str | None:
        """Say what the server refused, and where to look; `None`: nothing."""
        number = plural(self.rejected, "fact")
        return f"{number} refused by the server: mission-tracer dead list" if self.rejected else None


@dataclass(slots=True)
class _Waiting:
    """One run as it was when we looked: where its waiting facts are, and what it needs."""

    key: str
    base_url: str | None
    positions: list[int]
    end: int
    rejected: int
    is_bound: bool
    is_living: bool
    is_ended: bool
    follower: LogFollower


class _Heard(Notices):
    """Remember what went wrong last."""

    trouble = ""

    def say(self, level: str, message: str, /, *, cause: str | None = None, once: bool = False, **values: Any) -> None:
        """Write one line, and remember what is behind it."""
        if LEVELS[level] >= LEVELS["warning"]:
            # Of an outage we say that all is kept; who asks why a run is left wants to know what the server said.
            self.trouble = str(values["why"]) if cause in {"server", "run"} else message
        super().say(level, message, cause=cause, once=once, **values)


class Delivery:
    """Deliver once what every process of this machine left, beside processes that go on recording.

    Args:
        settings: What to deliver and where; with a key.
        say: Takes our own lines (an outage, a refused key).
        anywhere: True: also what was recorded for another address and never reached it, and what was parked.
        monotonic: Seconds that never go back.

    Raises:
        ConfigurationError: There is no state directory, or it cannot be read.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        say: Callable[[str], object],
        anywhere: bool = True,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._anywhere = anywhere
        self._directory = readable(settings)
        self._monotonic = monotonic
        self._heard = _Heard(settings.log_level, write=say)
        self._recorder = Recorder(settings, adopt=True, anywhere=anywhere, notices=self._heard)
        with suppress(OSError):
            self._directory.tidy()
        self._damaged: dict[str, str] = {}
        keys = self._directory.keys()
        self._waiting = [found for key in keys if (found := self._look(key)) is not None]
        self.total = sum(len(run.positions) for run in self._waiting)

    def run(self, show: Callable[[Progress], object], *, timeout: float | None = None, stall: float = 15.0) -> Outcome:
        """Deliver until everything is settled, or waiting no longer helps.

        Args:
            show: Told again and again how far it is.
            timeout: The longest it may take, in seconds; `None`: as long as it goes on.
            stall: Give up after so many seconds in which nothing was acknowledged.
        """
        if not self._waiting:
            return Outcome(0, self._refused(), self._damaged)
        self._recorder.start()
        try:
            left = self._wait(show, timeout, stall)
        finally:
            self._recorder.exit()
        settled, rejected = self._settled(), sum(self._rejected(run) for run in self._waiting)
        return Outcome(settled - rejected, self._refused(), {**left, **self._damaged})

    def _wait(self, show: Callable[[Progress], object], timeout: float | None, stall: float) -> dict[str, str]:
        started = moved = self._monotonic()
        before = Progress(self.total, 0, len(self._waiting))
        sender = self._recorder.sender
        while True:
            left = [run for run in self._waiting if not self._is_settled(run)]
            progress = Progress(self.total, self._settled(), len(left))
            show(progress)
            now = self._monotonic()
            if progress != before:
                before, moved = progress, now
            # Until the first request has failed nobody knows whether there is anything to give up.
            patience = stall if self._heard.trouble or moved > started else stall + _FIRST
            out_of_time = timeout is not None and now - started >= timeout
            if out_of_time or now - moved >= patience or sender.locked_out or all(self._hindrance(run) for run in left):
                return {run.key: self._hindrance(run) or self._excuse(run) for run in left}
            with sender.progress:
                sender.progress.wait(_GLANCE)

    # ---- one run ----

    def _look(self, key: str) -> _Waiting | None:
        """Take in a run as it is now; `None` when nothing of it waits."""
        journal, log = self._directory.journal(key), self._directory.log(key)
        state, head, ended, end = LaneState(), None, False, 0
        positions = []
        try:
            if log.exists():
                read_log(log, state)
            for line in iterate_lines(journal):
                end = line.end
                if line.content and (not state.is_done(line.position) or line.position in state.retries):
                    positions.append(line.position)
                if not facts.is_event(line.content):
                    fact = facts.read(line.content)
                    head = fact if isinstance(fact, (facts.RunOpened, facts.RunJoined)) else head
                    ended = _may_stay(fact, before=ended)
        except FileNotFoundError:
            return None  # another process has just put it away
        except OSError as error:  # another user's, perhaps: that concerns no other run
            self._damaged[key] = f"its journal cannot be read: {error.strerror}"
            return None
        living = is_written(journal)
        if head is None and not living:
            with suppress(OSError):
                if not discard_stillborn(self._directory, key) and positions:
                    self._damaged[key] = "the beginning of its journal is damaged"
        if head is None or (not positions and (ended or living)):
            return None
        bound = state.run_id is not None or state.mission_id is not None
        return _Waiting(key, head.base_url, positions, end, len(state.rejected), bound, living, ended, LogFollower(log))

    def _cursor(self, run: _Waiting) -> int:
        """Return the position up to which a run is delivered."""
        lane = self._recorder.roster.lane(run.key)
        if lane is not None:
            return lane.state.cursor
        if not self._directory.journal(run.key).exists():
            return run.end
        try:
            return run.follower.cursor()
        except OSError:
            return 0

    def _settled(self) -> int:
        return sum(bisect_left(run.positions, self._cursor(run)) for run in self._waiting)

    def _is_settled(self, run: _Waiting) -> bool:
        if not self._directory.journal(run.key).exists():
            return True
        lane = self._recorder.roster.lane(run.key)
        if self._cursor(run) < run.end or (lane.state.retries if lane is not None else run.follower.retries):
            return False
        # A run that its dead process could not close is closed, and that is delivered, before it is put away.
        return run.is_living or run.is_ended

    def _refused(self) -> int:
        return sum(1 for _ in dead.listing(self._directory))

    def _rejected(self, run: _Waiting) -> int:
        place = self._directory.find(run.key)
        state = LaneState()
        if place is not None and place[1].exists():
            read_log(place[1], state)
        return len(state.rejected) - run.rejected

    def _hindrance(self, run: _Waiting) -> str | None:
        """Say why waiting does not help; `None` while it may."""
        lane = self._recorder.roster.lane(run.key)
        if lane is not None:
            return f"the server does not take it: {lane.state.parked}" if lane.state.parked else None
        if (run.is_bound or not self._anywhere) and run.base_url not in {None, self._settings.base_url}:
            return f"it began at {run.base_url}; set TELNYX_BASE_URL to that"
        return None

    def _excuse(self, run: _Waiting) -> str:
        """Say why a run that may still be delivered is not delivered yet."""
        if self._recorder.roster.lane(run.key) is None and self._is_elsewhere(run.key):
            return "another process delivers it"
        return self._heard.trouble or "the server did not take it in time"

    def _is_elsewhere(self, key: str) -> bool:
        log = DeliveryLog(self._directory.log(key))
        try:
            return not log.try_open()
        except OSError:
            return False
        finally:
            log.close()


def _may_stay(fact: facts.Fact | None, *, before: bool) -> bool:
    """Say whether a run stays as it is when its processes are gone: it is closed, paused or another machine's."""
    if isinstance(fact, (facts.RunClosed, facts.RunJoined, facts.RunPaused)):
        return True
    return False if isinstance(fact, facts.RunResumed) else before
