"""Put the parts together: a `Recorder` takes facts, keeps them and has them delivered; one a process is the default."""

from __future__ import annotations

import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from mission_tracer import facts
from mission_tracer._base import forks, locks
from mission_tracer._base.forks import held_off, process_id
from mission_tracer._base.notices import Notices
from mission_tracer._disk.directory import Directory
from mission_tracer._disk.journal import Disk, Journal, JournalFullError, MemoryFacts, Room
from mission_tracer._disk.stream import Stream
from mission_tracer._recording.beginning import Beginning
from mission_tracer._recording.ends import at_exit, never_at_exit, say_disk_trouble, say_what_is_left
from mission_tracer._recording.export import load_export
from mission_tracer.facts import EventBody, EventWritten, Mark, encode
from mission_tracer.settings import Settings

if TYPE_CHECKING:
    from mission_tracer._capture import Capture
    from mission_tracer._disk.books import Stats
    from mission_tracer._recording.delivery import Delivery
    from mission_tracer._sending.roster import Roster
    from mission_tracer._sending.sender import Sender


class Recorder:
    """Record what happens, and have it delivered.

    Args:
        settings: What to do and where.
        adopt: True: what dead processes left is delivered too.
        anywhere: True: also what was recorded for another address and never reached it, and what was parked.
        key: Makes a run's key.
        stream: Makes a run's stream from its key and journal; `None`: the real one (tests give fixed ids and a clock).
        notices: Says our own lines; `None`: on standard error.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        adopt: bool = True,
        anywhere: bool = False,
        key: Callable[[], str] = facts.new_key,
        stream: Callable[[str, Journal], Stream] | None = None,
        notices: Notices | None = None,
    ) -> None:
        self.settings = settings
        self.enabled = settings.enabled
        self.notices = notices or Notices(settings.log_level)
        self._power = settings.durability == "power"
        place = None if settings.durability == "memory" else settings.dir
        self.directory = Directory(place, power=self._power) if place is not None else None
        self.new_key = key
        self._make_stream: Callable[[str, Journal], Stream] = stream or Stream
        self._reach = {"adopt": adopt, "anywhere": anywhere}
        self.runs: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
        self._streams: weakref.WeakValueDictionary[str, Stream] = weakref.WeakValueDictionary()
        self.on_sigterm: Callable[..., object] | None = None  # our handler, once it is set
        self.stays = False  # True: `configure` leaves it in place, since a test reads it
        self._predecessors: list[Recorder] = []
        self._room = Room(settings.max_memory_facts)
        self._disk = Disk(partial(say_disk_trouble, self.notices))
        self._capture: Capture | None = None
        self._export = load_export(self)
        self._begin()

    def _begin(self) -> None:
        self._pid = process_id()
        self._lock = threading.RLock()
        self._delivery: Delivery | None = None
        self._beginning = Beginning()
        self._dropped: Counter[str] = Counter()
        self._is_drained_at_exit = False
        self._offline_runs = 0
        self._last_run = ""
        self.sends = self.settings.sender == "thread" and self.settings.api_key is not None

    @property
    def delivery(self) -> Delivery:
        """What delivers: made when there is something to deliver, for programs that import us and record nothing."""
        return self._delivery or self._begin_delivery()

    @held_off()
    def _begin_delivery(self) -> Delivery:
        with self._beginning:
            from mission_tracer._recording.delivery import Delivery

            with self._lock:
                if self._delivery is None:
                    self._delivery = Delivery(self.settings, self.directory, self.notices, **self._reach)
        while self._beginning.early:
            self._stir(self._beginning.early.pop())
        return self._delivery

    @property
    def roster(self) -> Roster:
        """The runs there are to deliver."""
        return self.delivery.roster

    @property
    def sender(self) -> Sender:
        """The threads that deliver."""
        return self.delivery.sender

    @property
    def capture(self) -> Capture:
        """Turns values into what may be recorded."""
        return self._capture or self._begin_capture()

    def _begin_capture(self) -> Capture:
        from mission_tracer._capture import Capture
        from mission_tracer._redact import Redaction

        settings = self.settings
        secrets = (settings.api_key,) if settings.api_key else ()
        # Made twice if two threads come at once: no lock that a fork could find taken.
        self._capture = Capture(
            mode=settings.capture,
            max_bytes=settings.max_payload_bytes,
            redaction=Redaction.build(settings.redact, secrets=secrets),
        )
        return self._capture

    # ---- recording ----

    def open_stream(self, key: str, *, create: bool) -> Stream:
        """Begin this process's share of a run, or go on with the one that it has.

        Args:
            key: The run's key.
            create: True: the run begins here; False: its journal is on this machine already.
        """
        known = None if create else self._streams.get(key)
        if known is not None:
            return known
        directory = self.directory

        def restore() -> bool:
            if directory is None:
                return False
            if create and not stream.journal.has_begun:
                directory.prepare()
                return True
            return directory.bring_back(key)

        journal = Journal(
            directory.journal(key) if directory is not None else None,
            MemoryFacts(self._room),
            create=create,
            power=self._power,
            restore=restore,
            disk=self._disk,
        )
        stream = self._make_stream(key, journal)
        self._streams[key] = stream
        if self.settings.api_key is None and create:
            self._offline_runs += 1
            self._last_run = key
        return stream

    def record(self, stream: Stream, kind: Callable[..., facts.WrittenFact], **fields: Any) -> str:
        """Put one fact down and let the sender know; return the fact's id.

        Raises:
            TypeError, ValueError, msgspec.EncodeError: The fact has no JSON form.
        """
        fact_id, _, at = stream.stamp()
        self.put(stream, kind(id=fact_id, at=at, **fields))
        return fact_id

    def record_event(
        self,
        stream: Stream,
        kind: str,
        summary: str,
        payload: dict[str, Any] | None,
        step_id: str | None,
        agent_id: str | None,
        idempotency_key: str | None,
    ) -> None:
        """Put an event down, in the form of the request that will carry it.

        Raises:
            TypeError, ValueError, msgspec.EncodeError: The payload has no JSON form.
        """
        fact_id, number, at = stream.stamp()
        mark = Mark(fact_id, number, at)
        body = EventBody(
            kind,
            summary,
            step_id or UNSET,
            agent_id or UNSET,
            {**payload, "mission_tracer": mark} if payload else {"mission_tracer": mark},
            idempotency_key or f"{stream.key}.{fact_id}",
        )
        self.put(stream, EventWritten(id=fact_id, at=at, body=body))

    def put(self, stream: Stream, fact: facts.WrittenFact) -> None:
        """Keep a stamped fact, and let the sender know.

        Raises:
            TypeError, ValueError, msgspec.EncodeError: The fact has no JSON form.
        """
        try:
            stream.journal.append(encode(fact))
        except JournalFullError:
            self._drop(stream, "no room on disk or in memory")
        except BaseException:
            self._drop(stream, "not encodable")
            raise
        if not stream.dirty:
            self._stir(stream)
        if self._export is not None:
            self._export.observe(stream.key, fact)

    def _stir(self, stream: Stream) -> None:
        """Let the sender know of a stream that was at rest: it may be new, and the sender may sleep."""
        if self._pid != process_id():
            self._forked_unseen()
        stream.dirty = True
        if self._beginning.puts_off(stream):
            return
        if not stream.attached:
            self._attach(stream)
        if self.sends:
            self.roster.fresh.append(stream)
            if self.sender.asleep:
                self.sender.wake()

    def leave(self, stream: Stream) -> None:
        """Stop writing to a run; a later fact goes on with it."""
        stream.journal.close()
        if not self.sends and stream.attached:
            self.roster.leave(stream.key)

    def _attach(self, stream: Stream) -> None:
        self.roster.attach(stream)
        if not self._is_drained_at_exit:
            self._is_drained_at_exit = True
            at_exit(self.exit)

    def _drop(self, stream: Stream, reason: str) -> None:
        with self._lock:
            stream.drop()
            self._dropped[reason] += 1
        total = self._dropped[reason]
        self.notices.say("error", "a fact was dropped", cause=f"drop {reason}", reason=reason, dropped_so_far=total)

    def trouble(self, error: Exception, where: str) -> None:
        """Take an error of ours: raise it again when strict, else say it and go on."""
        if self.settings.strict:
            raise error
        self.notices.say(
            "error",
            "an error of ours was kept from the program",
            cause=f"{where} {type(error).__name__}",
            where=where,
            why=repr(error),
        )

    # ---- delivery ----

    def start(self) -> None:
        """Deliver what other processes left, even if this one records nothing."""
        if self.sends:
            self.sender.wake()

    def flush(
        self,
        timeout: float | None = None,
        *,
        stall: float | None = None,
        keys: set[str] | None = None,
        leave_to_others: bool = False,
    ) -> bool:
        """Wait until all that was recorded so far is delivered (or refused for good); say whether it is.

        Args:
            timeout: The longest wait, in seconds; `None`: the setting `flush_timeout`.
            stall: Give up after so many seconds without an acknowledgement; `None`: never.
            keys: Only these runs; `None`: all of this process.
            leave_to_others: True: do not wait for runs that another living process delivers.
        """
        if self._beginning.is_here:
            return False
        most = self.settings.flush_timeout if timeout is None else timeout
        deadline = time.monotonic() + most
        delivered = self.delivery.wait(most, stall=stall, keys=keys, leave_to_others=leave_to_others)
        for predecessor in self._predecessors:
            left = max(0.0, deadline - time.monotonic())
            delivered = predecessor.flush(left, stall=stall, keys=keys, leave_to_others=leave_to_others) and delivered
        return delivered

    def stats(self) -> Stats:
        """Balance the books of what this process recorded."""
        stats = self.roster.stats(dict(self._dropped))
        for predecessor in self._predecessors:
            stats = stats.plus(predecessor.stats())
        return stats

    def shutdown(self, timeout: float | None = None) -> bool:
        """Flush, then end the sender's threads; recording again starts them again. Say whether all is delivered."""
        delivered = self.flush(timeout)
        for recorder in [self, *self._predecessors]:
            recorder.delivery.rest(1.0)
        return delivered

    # ---- the ends of processes ----

    def exit(self) -> None:
        """Deliver what can be delivered before the process ends, and say what is left."""
        if self._pid != process_id():
            self._forked_unseen()
        try:
            if not (self.sends and self.delivery.finish()):
                self._say_what_is_left()
        except KeyboardInterrupt:
            self._say_what_is_left()
        except Exception as error:  # noqa: BLE001 - the program ends as it would without us
            self.notices.say("error", "the last flush failed", why=repr(error))

    def _say_what_is_left(self) -> None:
        say_what_is_left(self.delivery, self.notices, offline_runs=self._offline_runs, last_run=self._last_run)

    def retire(self, successor: Recorder) -> None:
        """Leave the runs that are under way to the next recorder, or finish them where they began."""
        before = self._delivery
        if before is None:
            return
        if not self._is_beside(successor) and before.roster.keys():
            # What goes to another address, or lies in another directory, is not the next one's to deliver.
            successor._predecessors += [*self._predecessors, self]
            return
        successor._predecessors += self._predecessors
        never_at_exit(self.exit)
        before.sender.stop(1.0)
        runs = before.roster.keys()
        successor.roster.take_over(before.roster)
        self._delivery, self.sends = successor.delivery, successor.sends
        with successor._lock:
            successor._dropped.update(self._dropped)  # these are sums
        self._dropped, self._lock = successor._dropped, successor._lock
        if runs:
            successor.start()
            at_exit(successor.exit)

    def _is_beside(self, other: Recorder) -> bool:
        """Say whether another recorder delivers from the same place to the same address."""
        mine, theirs = self.settings, other.settings
        place = self.directory.root if self.directory is not None else None
        same_place = place == (other.directory.root if other.directory is not None else None)
        return same_place and (mine.base_url == theirs.base_url or mine.api_key is None)

    def forget(self) -> None:
        """End the threads and give the runs up, delivered or not; the end of the process says nothing about them."""
        never_at_exit(self.exit)
        if self._delivery is not None:
            self._delivery.rest(5.0)
        for predecessor in self._predecessors:
            predecessor.forget()

    def has_forked(self) -> None:
        """Take in that a child exists: it may take part in every open run."""
        for stream in list(self._streams.values()):
            stream.shared = True

    def _forked_unseen(self) -> None:
        """Begin again in a child of a fork that ran none of Python's hooks, such as uWSGI's."""
        alone = threading.active_count() == 1
        forks.forked()
        locks.forked()
        self.forked()
        # Had its parent other threads, this process cannot start one: what it records is for others to deliver.
        self.sends = self.sends and alone

    def forked(self) -> None:
        """Begin again in a forked child: the parent delivers what it began, the child keeps appending."""
        if self._delivery is not None:
            self._delivery.roster.forked()
        self._begin()
        self.notices.forked()
        self._room.forked()
        for stream in list(self._streams.values()):
            if stream.pid != self._pid:
                stream.rebegin()
        for run in list(self.runs.values()):
            run.forked()
        for predecessor in self._predecessors:
            predecessor.forked()
