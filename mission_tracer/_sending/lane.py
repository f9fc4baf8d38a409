"""Deliver one run: read its journal in order, have each fact carried, and note what the server acknowledged.

The scheduler (`sender`) calls `take`, `give_back` and the questions under its lock, and `run` outside of it. Barriers
run alone; events between two barriers may run together, but only when one after the other would take too long.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable

from mission_tracer import facts
from mission_tracer._disk.delivery_log import DeliveryLog
from mission_tracer._disk.directory import Directory
from mission_tracer._disk.journal import Line, MemoryFacts, Reader
from mission_tracer._planning import records
from mission_tracer._planning.actions import Refusal
from mission_tracer._planning.flows import is_free
from mission_tracer._planning.lane_state import Track
from mission_tracer._sending.lane_courier import Courier, Exchange, Item, Pause
from mission_tracer._sending.lane_width import MOST, Width

_WINDOW = 256
_TRIES, _RESTING = 3, 4  # so often an event is waited for, and so many may stand aside before the whole run pauses
_LINE = 400  # bytes; a guess at a fact's length


class Lane:
    """Deliver one run whose delivery log is held.

    Args:
        key: The run's key.
        reader: Reads its journal.
        memory: What this process holds of it in memory; `None`: it takes no part in the run.
        log: Its delivery log, opened.
        directory: Where mission names are remembered; `None`: nowhere.
        base_url: The address of the API, for those names.
        settle: How long an effect whose answer was lost is awaited, in seconds.
        timeout: The longest time a request is under way, in seconds.
        clock: Seconds since the epoch.
        monotonic: Seconds that never go back.
    """

    def __init__(
        self,
        key: str,
        reader: Reader,
        memory: MemoryFacts | None,
        log: DeliveryLog,
        *,
        directory: Directory | None,
        base_url: str,
        settle: float,
        timeout: float,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self.key = key
        self.state = log.state
        self.courier = Courier(
            log,
            directory=directory,
            base_url=base_url,
            settle=settle,
            timeout=timeout,
            clock=clock,
            monotonic=monotonic,
        )
        self.next_at = 0.0
        self.running = 0
        self.locked_out = False
        self._log = log
        self._reader = reader
        self._memory = memory
        self._window: deque[Item] = deque()
        self._is_all_read = False  # as far as is known: all threads of the sender wait while one reads
        self._behind = 0  # how many facts lie behind the window; an estimate
        self._read_to = self.state.cursor
        if memory is not None:
            self.state.memory.cursor = memory.first
        self._taken_to = self.state.memory.cursor
        # Of what an earlier sender had under way, these are the first that are not acknowledged; when it sent them is
        # only known to be not long before its last record.
        self._suspects = 0 if log.predecessor_at is None else MOST
        self._suspected_at = 0.0 if log.predecessor_at is None else log.predecessor_at - timeout
        self._width = Width()
        self._is_alone = False  # a barrier is under way
        self._moved_to = 0  # where in the file those facts end that went there from memory
        self._counting = threading.Lock()
        self._settled: dict[str, tuple[int, int]] = {}  # writer -> how many facts are delivered, and rejected
        self._closing = self._leaving = False

    # ---- the window: under the scheduler's lock ----

    def take(self, now: float) -> Item | None:
        """Choose the next fact to deliver; `None` when there is none, or none may start now.

        Raises:
            OSError: The journal cannot be read.
        """
        if self.is_leaving or self.state.parked or now < self.next_at:
            return None
        if not self._is_all_read and len(self._window) < _WINDOW // 2:
            self._fill()
        if self._is_alone or self.running >= self._width.choose(self.courier.latency, len(self._window) + self._behind):
            return None
        resting = []
        for item in self._window:
            if item.done or item.running:
                continue
            if item.free and now < item.next_at:
                resting.append(item.next_at)
            elif item.free or not (self.running or resting):
                item.running = True
                self.running += 1
                self._is_alone = not item.free
                return item
            else:
                break
        if resting and not self.running:
            self.next_at = min(resting)
        return None

    def look_again(self) -> None:
        """Read on at the next `take`: more may have been written."""
        self._is_all_read = False

    def give_back(self, item: Item) -> None:
        """End an attempt; facts that are done leave the window."""
        item.running = self._is_alone = False
        self.running -= 1
        while self._window and self._window[0].done:
            self._window.popleft()
        if self._memory is not None:
            self._memory.forget(self.state.memory.cursor)
            if not (item.done or self.running):
                self._set_down(self._memory)
        if self._closing and not self.running:
            self._close()

    def _set_down(self, memory: MemoryFacts) -> None:
        """Take what memory holds out of our hands while nothing is sent: the disk may take it by now."""
        held = [item for item in self._window if item.position >= facts.MEMORY]
        is_clear = not self.state.memory.done and not any(item.answers or item.failures for item in held)
        if held and is_clear and self._log.has_file:
            # Not simply the last ones: what others wrote meanwhile stands behind them.
            self._window = deque(item for item in self._window if item.position < facts.MEMORY)
            self._taken_to = self.state.memory.cursor
            self.look_again()
            memory.give_back()

    @property
    def is_leaving(self) -> bool:
        """Say whether it is closed, or may be put away in this moment, and its files with it."""
        return self._closing or self._leaving

    def leave(self) -> None:
        """Begin a look at the lane as a whole, which counts as running too: nothing else may begin meanwhile."""
        self._leaving = True
        self.running += 1

    def let_go(self) -> None:
        """End that look."""
        self._leaving = False
        self.running -= 1
        if self._closing and not self.running:
            self._close()

    def rest(self, item: Item, until: float) -> None:
        """Let the run wait until a moment of the monotonic clock; only an event that failed often stands aside."""
        item.next_at = until
        aside = sum(other.next_at > 0 and not other.done for other in self._window)
        if not item.free or item.failures < _TRIES or aside > _RESTING:
            self.next_at = until

    def hurry(self) -> None:
        """Try again now what waits by our own choice."""
        self.next_at = 0.0
        self.look_again()
        for item in self._window:
            item.next_at = 0.0

    def catch_up(self) -> None:
        """Take in what the owner of refused facts decided meanwhile.

        Raises:
            OSError: The delivery log cannot be read.
        """
        self.courier.catch_up()

    def is_drained(self) -> bool:
        """Say whether everything recorded so far is delivered, refused or skipped.

        Raises:
            OSError: The journal cannot be read.
        """
        if self._window or self.state.retries or self._reader.read(self._read_to):
            return False
        return self._memory is None or not self._memory.read(self._taken_to, most=1)

    def has_work(self, until: float) -> bool:
        """Say whether something is under way, or may be delivered before a moment of the monotonic clock.

        Raises:
            OSError: The journal cannot be read.
        """
        resting = self.state.parked is not None or self.next_at > until
        return self.running > 0 or not (resting or self.is_drained())

    def is_still(self) -> bool:
        """Say whether it goes on being nothing to do here, as far as the lengths of the run's files tell."""
        state = self.state
        if self._window or self.running or state.retries or state.closed or state.joined or state.parked:
            return False
        if self._memory is not None and self._memory.end() != self._taken_to:
            return False
        try:
            return self._reader.size() == self._read_to and not (self._log.is_behind or self._log.has_grown())
        except OSError:
            return False

    def is_over(self) -> bool:
        """Say whether the run is at its end and nothing is left to deliver.

        Raises:
            OSError: The journal cannot be read.
        """
        return (self.state.closed or self.state.joined) and self.is_drained()

    @property
    def is_behind(self) -> bool:
        """Say whether the delivery log lacks something that the disk did not take."""
        return self._log.is_behind

    def is_resumable(self) -> bool:
        """Say whether another lane can go on where this one stops."""
        return self._log.is_resumable()

    @property
    def is_at_rest(self) -> bool:
        """Say whether nothing that was read is still to be delivered."""
        return not self._window

    @property
    def is_on_disk(self) -> bool:
        """Say whether the run has a journal on the disk."""
        return self._reader.has_file

    def has_delivered(self, ends: tuple[int, int]) -> bool:
        """Say whether everything before these ends, of the file and of the memory, is delivered or refused."""
        file, memory = ends
        file = max(file, self._moved_to)  # whoever measured before that waits for it too
        return self.state.cursor >= file and self.state.memory.cursor >= memory and not self.state.retries

    def _fill(self) -> None:
        self._fill_retries()
        while len(self._window) < _WINDOW and (self._fill_from_file() or self._fill_from_memory()):
            pass
        self._is_all_read = len(self._window) < _WINDOW
        self._behind = 0 if self._is_all_read else (self._reader.size() - self._read_to) // _LINE

    def _fill_from_file(self) -> bool:
        lines = self._reader.read(self._read_to)[:_WINDOW]
        track = self.state.file
        newest = max(track.done, default=0)
        for line in lines:
            self._read_to = line.end
            if not line.content:
                self.courier.note(records.Acknowledged(line.position, line.end))
            elif not track.is_done(line.position):
                self._window.append(self._item(line, late=newest > line.position))
        return bool(lines)

    def _fill_from_memory(self) -> bool:
        if self._memory is None:
            return False
        # After the file: what a process holds in memory happened after what it had written before.
        lines = self._memory.take(self._taken_to, most=_WINDOW)
        if not lines and (first := self._memory.first) > self._taken_to:
            # Some went to the disk after all: they are read there, before those that are held still.
            self.state.memory.finish(self._taken_to, first)
            self._taken_to, self._moved_to = first, self._reader.end()
            return True
        for line in lines:
            self._taken_to = line.end
            self._window.append(self._item(line, late=False))
        return bool(lines)

    def _fill_retries(self) -> None:
        waiting = {item.position for item in self._window}
        for position in sorted(self.state.retries - waiting, reverse=True):
            for line in self._reader.read(position)[:1]:
                self._window.appendleft(self._item(line, late=True))

    def _item(self, line: Line, *, late: bool) -> Item:
        fact = facts.read(line.content)
        item = Item(line.position, line.end, fact, free=fact is not None and is_free(fact), late=late)
        if self._suspects:
            self._suspects -= 1
            item.sent_at = self._suspected_at
        return item

    def relearn(self) -> None:
        """Take in again what an earlier sender delivered, so that the run can be ended, and counted, right.

        Raises:
            OSError: The journal cannot be read.
        """
        track, position = self.state.file, 0
        last = max(track.done, default=track.cursor - 1)
        while position <= last and (lines := self._reader.read(position)):
            position = lines[-1].end
            for line in lines:
                if not track.is_done(line.position):
                    continue
                # One that is to be sent again counts as refused until it is settled anew.
                state = self.state
                refused = any(line.position in which for which in (state.rejected, state.given_up, state.retries))
                self._count(facts.writer_of(line.content), delivered=not refused, rejected=refused)
                fact = None if facts.is_event(line.content) else facts.read(line.content)
                if fact is not None:
                    self.state.learn(fact)

    # ---- one attempt: outside of the scheduler's lock ----

    def run(self, item: Item, exchange: Exchange) -> Pause | None:
        """Try to deliver a fact; `None` when it is settled, else why and how long to wait."""
        if item.fact is None:
            self._finish(item, [Refusal("", 0, "the line is damaged")])
            return None
        outcome = self.courier.carry(item, item.fact, exchange, lambda: self._upcoming(item))
        if isinstance(outcome, Pause):
            item.attempts += not outcome.everywhere
            return outcome
        self._finish(item, outcome)
        return None

    def _upcoming(self, item: Item) -> list[facts.Fact]:
        # Only a barrier asks, and nothing else of the run is under way beside it.
        return [other.fact for other in list(self._window) if other.position > item.position and other.fact is not None]

    def _finish(self, item: Item, refusals: list[Refusal]) -> None:
        fact_id = item.fact.id if item.fact is not None else ""
        was_refused = item.position in self.state.retries
        if item.fact is not None and not item.free and not item.late:
            self.state.learn(item.fact)
        if refusals:
            first = refusals[0]
            reason = "; ".join(refusal.reason for refusal in refusals)
            self.courier.note(records.Rejected(item.position, item.end, fact_id, reason, first.operation, first.status))
        else:
            self.courier.note(records.Acknowledged(item.position, item.end))
        self._count(fact_id.rpartition(".")[0], delivered=not refusals, rejected=bool(refusals) - was_refused)
        item.done = True

    def _count(self, writer: str, *, delivered: int, rejected: int) -> None:
        with self._counting:
            before = self._settled.get(writer, (0, 0))
            self._settled[writer] = (before[0] + delivered, before[1] + rejected)

    def settled(self, writers: Iterable[str]) -> tuple[int, int]:
        """Say how many facts of some writers are delivered, and how many refused for good."""
        sums = [self._settled.get(writer, (0, 0)) for writer in writers]
        return sum(delivered for delivered, _ in sums), sum(rejected for _, rejected in sums)

    def take_part(self, memory: MemoryFacts) -> None:
        """Deliver also what this process holds in memory of the run, in which it took no part before."""
        if memory is not self._memory:
            self.state.memory = Track(memory.first)
            self._taken_to = memory.first
            self._memory = memory

    # ---- the end ----

    def put_away(self) -> None:
        """Note that everything is delivered and nobody writes any more."""
        self.courier.note(records.Finished())

    def close(self) -> None:
        """Give the run up, as soon as nothing of it is under way; another process may go on then."""
        self._closing = True
        if not self.running:
            self._close()

    def abandon(self) -> None:
        """Give the run up in a forked child: its parent goes on with it."""
        self._closing = True
        self._reader.close()
        self._log.abandon()

    def _close(self) -> None:
        if self._memory is not None:
            self._memory.give_back()
        self._reader.close()
        self._log.close(clean=self.courier.is_clear())
