"""Know which runs there are to deliver: those of this process, and those that a dead one left.

A run is delivered by whoever holds the lock of its delivery log. A run whose writers are all dead and that was never
closed is closed here, as failed; kernel locks tell the living from the dead, never heartbeats or process numbers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec

from mission_tracer import _records, facts
from mission_tracer._books import Count, Stats, count, count_files
from mission_tracer._delivery_log import DeliveryLog
from mission_tracer._directory import Directory, claim_dead, read_head
from mission_tracer._journal import AppendFile, Reader, iterate_lines
from mission_tracer._lane import Lane, relearn
from mission_tracer._lane_state import LaneState
from mission_tracer._notices import Notices
from mission_tracer._stream import Stream, utc_now

_SCAN = 30.0  # how often runs of other processes are looked for, in seconds
_ADOPTED = 64  # how many of them are held open at once


class Roster:
    """Open and close the lanes of a sender.

    Args:
        directory: The state directory; `None`: memory only.
        base_url: The address that is delivered to; runs recorded for another one are left alone.
        notices: Says what was found.
        settle: How long an unanswered creation is left alone, in seconds.
        retention: How long delivered runs are kept, in seconds.
        most_bytes: How many bytes of them are kept.
        power: True: logs survive a power cut.
        adopt: True: runs of other processes are delivered too.
        anywhere: True: runs that were recorded for another address but never reached it are delivered too.
        clock: Seconds since the epoch.
        monotonic: Seconds that never go back.
    """

    def __init__(
        self,
        directory: Directory | None,
        *,
        base_url: str,
        notices: Notices,
        settle: float,
        retention: float,
        most_bytes: int,
        power: bool = False,
        adopt: bool = True,
        anywhere: bool = False,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lock = threading.Lock()
        self.recorded = 0
        self.delivered = 0
        self.rejected = 0
        self._directory = directory
        self._base_url = base_url
        self._notices = notices
        self._settle = settle
        self._retention = retention
        self._most_bytes = most_bytes
        self._power = power
        self._adopt = adopt
        self._anywhere = anywhere
        self._clock = clock
        self._monotonic = monotonic
        self._streams: dict[str, Stream] = {}
        self._lanes: dict[str, Lane] = {}
        self._strangers: dict[str, str] = {}
        self._scanned_at: float | None = None

    # ---- from the recording threads ----

    def attach(self, stream: Stream) -> None:
        """Take up a run of this process."""
        stream.attached = True
        self._streams[stream.key] = stream

    def streams(self) -> list[Stream]:
        """List the runs of this process that are not put away."""
        return list(self._streams.values())

    def lane(self, key: str) -> Lane | None:
        """Return a run's lane; `None` when another process delivers it, or nobody yet."""
        return self._lanes.get(key)

    def lanes(self) -> list[Lane]:
        """List the lanes that are open."""
        return list(self._lanes.values())

    # ---- from the sender ----

    def renew(self, *, everything: bool) -> list[Lane]:
        """Return lanes that may have something to deliver now."""
        found = []
        for stream in self.streams():
            lane = self._lanes.get(stream.key)
            if stream.dirty or everything:
                stream.dirty = False
                lane = lane or self._open(stream.key, stream)
                stream.foreign = lane is None
                if lane is not None:
                    found.append(lane)
                elif everything:
                    self._drop_if_delivered(stream)
        if everything and self._adopt and self._directory is not None:
            self._scan(self._directory)
            found.extend(lane for key, lane in self.items() if key not in self._streams)
        return found

    def items(self) -> list[tuple[str, Lane]]:
        """List the open lanes with their keys."""
        return list(self._lanes.items())

    def release(self, lane: Lane) -> None:
        """Put a drained lane away when its run is over and nobody writes to it any more."""
        stream = self._streams.get(lane.key)
        if stream is not None and (stream.journal.is_open or stream.dirty):
            return
        directory = self._directory
        if directory is not None and (stream is None or stream.journal.is_on_disk):
            file = claim_dead(directory.journal(lane.key))
            if file is None:
                return
            try:
                file.mend()
                if not lane.is_drained():
                    return
                lane.log.note(_records.Finished())
                directory.put_away(lane.key)
            finally:
                file.close()
        self._close(lane)
        if stream is not None:
            self._detach(stream)

    def stats(self, dropped: dict[str, int]) -> Stats:
        """Balance the books of what this process recorded."""
        with self.lock:
            streams, lanes = self.streams(), dict(self._lanes)
            for stream in streams:
                self.recorded += stream.take_recorded()
            delivered = self.delivered + sum(lane.delivered for lane in lanes.values())
            rejected = self.rejected + sum(lane.rejected for lane in lanes.values())
            recorded = self.recorded
        pending = 0
        for stream in streams:
            lane = lanes.get(stream.key)
            sums = self._count(stream, lane)
            pending += sums.pending
            if lane is None:
                delivered += sums.delivered
                rejected += sums.rejected + sums.dropped
        return Stats(recorded, delivered, pending, rejected, dropped)

    def _count(self, stream: Stream, lane: Lane | None) -> Count:
        place = self._directory.find(stream.key) if self._directory is not None else None
        state = lane.state if lane is not None else LaneState()
        sums = Count()
        if place is not None and lane is None:
            sums = count_files(*place, writer=stream.writer)
        elif place is not None:
            sums = count(iterate_lines(place[0]), state, writer=stream.writer)
        held = count(stream.journal.memory.read(0, most=1 << 30), state, writer=stream.writer)
        sums.pending += held.pending
        return sums

    def tidy(self) -> None:
        """Put away what is over and give up the rest: the process ends."""
        for lane in self.lanes():
            with suppress(OSError):
                if lane.is_over():
                    self.release(lane)
        self.close()

    def close(self) -> None:
        """Give every lane up."""
        for lane in self.lanes():
            self._close(lane)

    def abandon(self) -> None:
        """Forget everything in a forked child: its parent goes on delivering."""
        self.lock = threading.Lock()
        for lane in self.lanes():
            lane.close()
        self._lanes.clear()
        self._streams.clear()

    # ---- opening ----

    def _close(self, lane: Lane) -> None:
        with self.lock:
            self._lanes.pop(lane.key, None)
            self.delivered += lane.delivered
            self.rejected += lane.rejected
            lane.delivered = lane.rejected = 0
        lane.close()

    def _open(self, key: str, stream: Stream | None) -> Lane | None:
        """Open a run's lane when nobody else delivers it."""
        on_disk = self._directory is not None and (stream is None or stream.journal.is_on_disk)
        path = self._directory.journal(key) if self._directory is not None and on_disk else None
        log_path = self._directory.log(key) if self._directory is not None and on_disk else None
        if self._directory is not None and on_disk:
            self._directory.find_log(key)
        log = DeliveryLog(log_path, power=self._power, on_trouble=self._log_trouble)
        try:
            if not log.try_open():
                return None
        except OSError as error:
            self._log_trouble(error)
            log = DeliveryLog(None)
        reader = Reader(path, stream.journal.memory if stream is not None else None)
        lane = Lane(
            key,
            reader,
            log,
            directory=self._directory,
            base_url=self._base_url,
            settle=self._settle,
            writer=stream.writer if stream is not None else "",
            clock=self._clock,
            monotonic=self._monotonic,
        )
        try:
            if path is not None and lane.state.cursor:
                relearn(lane, iterate_lines(path))
        except BaseException:
            lane.close()
            raise
        self._lanes[key] = lane
        return lane

    def _log_trouble(self, error: OSError) -> None:
        self._notices.say(
            "warning",
            "the delivery log cannot be written; delivery goes on, but a crash now may repeat something",
            cause="log",
            why=str(error),
        )

    def _drop_if_delivered(self, stream: Stream) -> None:
        """Let go of a run that another process delivered and put away."""
        if self._directory is None or stream.journal.is_open or self._directory.journal(stream.key).exists():
            return
        place = self._directory.find(stream.key)
        if place is not None:
            sums = count_files(*place, writer=stream.writer)
            with self.lock:
                self.delivered += sums.delivered
                self.rejected += sums.rejected + sums.dropped
            self._detach(stream)

    def _detach(self, stream: Stream) -> None:
        with self.lock:
            self._streams.pop(stream.key, None)
            stream.attached = stream.dirty = False
            self.recorded += stream.take_recorded()
        if stream.journal.is_open:
            # It was written to in this very moment, by somebody who still saw it attached.
            self.attach(stream)
            stream.dirty = True

    # ---- what other processes left ----

    def _scan(self, directory: Directory) -> None:
        now = self._monotonic()
        if self._scanned_at is not None and now - self._scanned_at < _SCAN:
            return
        self._scanned_at = now
        directory.prune(before=self._clock() - self._retention, most_bytes=self._most_bytes)
        room = _ADOPTED
        for key in directory.keys():
            if room <= 0:
                # More will be looked at as soon as these are through.
                self._scanned_at = now - _SCAN + 1.0
                break
            if key not in self._streams and key not in self._lanes:
                try:
                    room -= self._adopt_one(directory, key)
                except OSError as error:
                    self._notices.say("warning", "a run cannot be read", cause="adopt", run=key, why=str(error))

    def _adopt_one(self, directory: Directory, key: str) -> bool:
        if self._strangers.get(key) == self._base_url:
            return False
        head = read_head(directory, key)
        if head is None:
            return False
        lane = self._open(key, None)
        if lane is None:
            return False
        bound = lane.state.run_id is not None or lane.state.mission_id is not None
        if head.base_url not in {None, self._base_url} and (bound or not self._anywhere):
            self._strangers[key] = self._base_url
            self._close(lane)
            return False
        self._bury(directory, key)
        if lane.state.parked:
            if not self._anywhere:
                self._close(lane)
                return False
            lane.log.note(_records.Unparked())
        return True

    def _bury(self, directory: Directory, key: str) -> None:
        """Close a run whose writers are all dead and that was never closed."""
        file = claim_dead(directory.journal(key))
        if file is None:
            return
        try:
            file.mend()
            last_words(directory, key, file)
        finally:
            file.close()


def last_words(directory: Directory, key: str, file: AppendFile) -> None:
    """Write the end of a run that its dead process could not write.

    A paused run is left: it may wait for its next process. A joined one is not ours to end.
    """
    step, last, at, waiting = "", "", None, False
    for line in iterate_lines(directory.journal(key)):
        try:
            fact = facts.decode(line.content)
        except msgspec.MsgspecError:
            continue
        if isinstance(fact, (facts.RunClosed, facts.RunJoined)):
            return
        if isinstance(fact, facts.RunPaused):
            waiting = True
        elif isinstance(fact, facts.RunResumed):
            waiting = False
        elif isinstance(fact, facts.StepEntered):
            step = fact.step_id
        last, at = type(fact).__struct_config__.tag, fact.at
    if waiting or at is None:
        return
    where = f"last step: {step}, " if step else ""
    reason = f"process ended without closing the run ({where}last fact: {last} at {at.isoformat()})"
    closing = facts.RunClosed(
        id=f"{facts.new_writer()}.1",
        at=utc_now(),
        status="failed",
        error=reason,
        metadata={"recovered": {"last_step": step or None, "last_fact": str(last), "last_at": at}},
        recovered=True,
    )
    file.append(facts.encode(closing))
