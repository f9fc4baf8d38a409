"""Open the lane of a run: when nobody else delivers it, and when it is ours to deliver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mission_tracer import facts
from mission_tracer._base.notices import Notices
from mission_tracer._disk.delivery_log import DeliveryLog
from mission_tracer._disk.directory import Directory, is_there, read_head
from mission_tracer._disk.journal import Reader, iterate_lines
from mission_tracer._disk.journal_file import AppendFile
from mission_tracer._disk.stream import Stream
from mission_tracer._planning import records
from mission_tracer._sending.lane import Lane
from mission_tracer._sending.roster_burial import bury, discard_stillborn
from mission_tracer._sending.roster_ledger import Own

_HEAD_START = 30.0  # seconds that a living process's run is left to it


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Another process delivers the run."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """There is nothing to deliver; `yet` says that there may be soon."""

    yet: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """The run cannot be delivered as things are."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Open lanes.

    Args:
        directory: The state directory; `None`: memory only.
        base_url: The address that is delivered to; runs recorded for another one are left alone.
        notices: Says what is wrong with a delivery log.
        settle: How long an effect whose answer was lost is awaited, in seconds.
        timeout: The longest time a request is under way, in seconds.
        power: True: logs survive a power cut.
        anywhere: True: runs that were recorded for another address but never reached it, and parked ones, are for us.
        clock: Seconds since the epoch.
        monotonic: Seconds that never go back.
    """

    directory: Directory | None
    base_url: str
    notices: Notices
    settle: float
    timeout: float
    power: bool
    anywhere: bool
    clock: Callable[[], float]
    monotonic: Callable[[], float]

    def open(self, key: str, own: Own | None) -> Lane | Elsewhere | Nothing | Refused:
        """Open a run's lane.

        Args:
            key: The run's key.
            own: What is known of it, when it is this process's; `None`: others recorded it.

        Raises:
            FileNotFoundError: Its journal is not there.
            OSError: It cannot be read, or there are no locks.
        """
        stream = own.stream if own is not None else None
        # A run of which the disk took nothing is nobody else's.
        held = stream is not None and not stream.journal.has_begun and stream.journal.memory.claim()
        directory = None if held else self.directory
        log = self._open_log(directory, key, stream)
        if log is None:
            return Elsewhere()
        try:
            hindrance = self._hindrance(directory, key, own, log) if directory is not None else None
            if hindrance is not None:
                log.close()
                return hindrance
            lane = self._make(directory, key, own, log)
            lane.relearn()
        except BaseException:
            log.close()
            raise
        return lane

    def _open_log(self, directory: Directory | None, key: str, stream: Stream | None) -> DeliveryLog | None:
        if directory is None:
            return DeliveryLog(None)
        journal = directory.journal(key)
        if not is_there(journal):
            if stream is None or stream.journal.file is None:
                raise FileNotFoundError(journal)
            # Deleted under our hands: what it holds can be read as long as it is open, by nobody else.
            return DeliveryLog(None)
        log = DeliveryLog(directory.log(key), power=self.power, on_trouble=self._log_trouble)
        if not log.try_open():
            return None
        if not is_there(journal):
            # Put away together with its log in the moment we looked: what we opened is a new one.
            log.close()
            directory.tidy_run(key)
            raise FileNotFoundError(journal)
        if not log.is_in_place():
            # Put away and brought back: this is not its log.
            log.close()
            return None
        return log

    def _make(self, directory: Directory | None, key: str, own: Own | None, log: DeliveryLog) -> Lane:
        stream = own.stream if own is not None else None
        return Lane(
            key,
            Reader(directory.journal(key), _spare(stream)) if directory is not None else Reader(None),
            stream.journal.memory if stream is not None else None,
            log,
            directory=self.directory,
            base_url=self.base_url,
            settle=self.settle,
            timeout=self.timeout,
            clock=self.clock,
            monotonic=self.monotonic,
        )

    def _hindrance(self, directory: Directory, key: str, own: Own | None, log: DeliveryLog) -> Nothing | Refused | None:
        """Say why a run is not for us; close it first when its processes are dead."""
        if not log.has_file:
            return None
        if own is None and (nothing := self._prepare(directory, key, log.state.file.end)) is not None:
            return nothing
        head = read_head(directory, key)
        bound = log.state.run_id is not None or log.state.mission_id is not None
        if head is not None and head.base_url not in {None, self.base_url} and (bound or not self.anywhere):
            return Refused(f"it began at {head.base_url}")
        if log.state.parked is not None:
            if not self.anywhere:
                return Refused(log.state.parked)
            log.note(records.Unparked())
        return None

    def _prepare(self, directory: Directory, key: str, delivered: int) -> Nothing | None:
        """Look after what another process left; say so when there is nothing to deliver."""
        head = read_head(directory, key)
        if head is None and discard_stillborn(directory, key):
            return Nothing()
        if not bury(directory, key, delivered=delivered) and head is not None and head.sends and self._is_young(head):
            return Nothing()  # whoever began it is about to deliver it, and comes later, not sooner, if we are first
        # Without a line, the first one is being written.
        return None if any(iterate_lines(directory.journal(key))) else Nothing(yet=True)

    def _is_young(self, head: facts.RunOpened | facts.RunJoined) -> bool:
        return abs(self.clock() - head.at.timestamp()) < _HEAD_START

    def _log_trouble(self, error: OSError) -> None:
        self.notices.say(
            "warning",
            "the delivery log cannot be written; delivery goes on, but a crash now may repeat something",
            cause="log",
            why=str(error),
        )


def _spare(stream: Stream | None) -> Callable[[], AppendFile | None]:
    return lambda: stream.journal.file if stream is not None else None
