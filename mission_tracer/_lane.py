"""Deliver one run: read its journal in order, run the flow of each fact, and note what the server acknowledged.

The scheduler (`_sender`) calls `take` and `settle` under its lock and `run` outside of it. Barriers run alone; events
between two barriers may run together, but only when one after the other would take too long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec

from mission_tracer import _records, facts
from mission_tracer._actions import (
    Answer,
    Call,
    Forget,
    Lost,
    NotYet,
    Park,
    Recall,
    Refusal,
    Remember,
    Settle,
    Situation,
    Unsent,
)
from mission_tracer._delivery import deliver, is_free
from mission_tracer._delivery_log import DeliveryLog
from mission_tracer._directory import Directory
from mission_tracer._endpoints import OPERATIONS
from mission_tracer._journal import Line, Reader
from mission_tracer._locks import LockFile

Exchange: TypeAlias = Callable[[Call], "Answer | Unsent | Lost"]

_WINDOW = 256
_WIDTH = 8
_PATIENCE = 5.0  # seconds of work in a row from which on events go side by side
_EVENT = b'{"fact":"event"'


@dataclass(slots=True, eq=False)
class Item:
    """One fact on its way."""

    position: int
    end: int
    fact: facts.Fact | None
    free: bool = False
    running: bool = False
    done: bool = False
    failures: int = 0
    answers: dict[Any, Answer] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pause:
    """A fact could not be delivered now.

    `delay` is how long to wait in seconds, `None` for a growing one; `everywhere` that the server itself is out of reach.
    """

    why: str
    delay: float | None = None
    asked: float | None = None
    everywhere: bool = False
    locked_out: bool = False
    quiet: bool = False


class _Stop(Exception):  # noqa: N818 - control flow inside this file
    def __init__(self, pause: Pause) -> None:
        self.pause = pause


class Lane:
    """Deliver one run whose delivery log is held.

    Args:
        key: The run's key.
        reader: Reads its journal.
        log: Its delivery log, opened.
        directory: Where mission names are remembered; `None`: nowhere.
        base_url: The address of the API, for those names.
        settle: How long an unanswered creation is left alone before the server is asked, in seconds.
        writer: Whose facts `delivered` and `rejected` count.
        clock: Seconds since the epoch.
        monotonic: Seconds that never go back.
    """

    def __init__(
        self,
        key: str,
        reader: Reader,
        log: DeliveryLog,
        *,
        directory: Directory | None,
        base_url: str,
        settle: float,
        writer: str,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self.key = key
        self.log = log
        self.state = log.state
        self.next_at = 0.0
        self.running = 0
        self.failures = 0
        self.latency = 0.0
        self.delivered = 0
        self.rejected = 0
        self._writer = f"{writer}."
        self._reader = reader
        self._directory = directory
        self._base_url = base_url
        self._settle = settle
        self._clock = clock
        self._monotonic = monotonic
        self._window: deque[Item] = deque()
        self._read_to = self.state.cursor
        self._behind = 0
        self._settled: dict[str, float] = {}
        self._mission_lock: LockFile | None = None
        self._closed = False

    # ---- the window: under the scheduler's lock ----

    def take(self, now: float) -> Item | None:
        """Choose the next fact to deliver; `None` when there is none, or none may start now."""
        if self.state.parked or now < self.next_at:
            return None
        self._fill()
        width = _WIDTH if self.latency * (len(self._window) + self._behind) > _PATIENCE else 1
        if self.running >= width:
            return None
        for item in self._window:
            if item.done:
                continue
            if item.running:
                if not item.free:
                    return None
            elif item.free or self.running == 0:
                item.running = True
                self.running += 1
                return item
            else:
                return None
        return None

    def give_back(self, item: Item) -> None:
        """End an attempt; a fact that is done leaves the window."""
        item.running = False
        self.running -= 1
        while self._window and self._window[0].done:
            self._window.popleft()
        self._reader.forget(self.state.cursor)

    def is_drained(self) -> bool:
        """Say whether everything recorded so far is delivered, refused or skipped.

        Raises:
            OSError: The journal cannot be read.
        """
        return not self._window and not self.state.retries and self.state.cursor >= self._reader.end()

    def is_over(self) -> bool:
        """Say whether the run is at its end and nothing is left to deliver.

        Raises:
            OSError: The journal cannot be read.
        """
        return (self.state.closed or self.state.joined) and not self.running and self.is_drained()

    def _fill(self) -> None:
        if len(self._window) >= _WINDOW // 2:
            return
        self._fill_retries()
        while len(self._window) < _WINDOW:
            lines = self._reader.read(self._read_to)
            if not lines:
                break
            if self._read_to < lines[0].position:
                # From the file to memory: what was in the file is done when the window before it is.
                self.state.finish(self._read_to, lines[0].position)
            for line in lines[:_WINDOW]:
                self._read_to = line.end
                if self.state.is_done(line.position):
                    continue
                if not line.content:
                    self.log.note(_records.Acknowledged(line.position, line.end))
                    continue
                self._window.append(_item(line.position, line.end, line.content))
        self._behind = (self._reader.end() - self._read_to) // 400

    def _fill_retries(self) -> None:
        waiting = {item.position for item in self._window}
        for position in self.state.retries - waiting:
            line = self._reader.read(position)[0]
            self._window.appendleft(_item(line.position, line.end, line.content))

    # ---- one attempt: outside of the scheduler's lock ----

    def run(self, item: Item, exchange: Exchange) -> Pause | None:
        """Try to deliver a fact; `None` when it is settled, else why and how long to wait."""
        if item.fact is None:
            self._finish(item, [Refusal("", 0, "the line is damaged")])
            return None
        started = self._monotonic()
        try:
            refusals = self._drive(item, item.fact, exchange)
        except _Stop as stop:
            item.failures += not stop.pause.quiet
            return stop.pause
        except Park as reason:
            self.log.note(_records.Parked(str(reason)))
            return Pause(str(reason), delay=0.0)
        except NotYet as reason:
            return Pause(str(reason), quiet=True)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            # The answer had not the form that was promised: ask again later, in the hope of a better one.
            item.failures += 1
            return Pause(f"an answer could not be understood ({type(error).__name__}: {error})")
        finally:
            self._release_mission()
        self._finish(item, refusals)
        if item.free:  # one request, and not the first of the process, which opens the connection
            took = self._monotonic() - started
            self.latency = took if not self.latency else 0.8 * self.latency + 0.2 * took
        return None

    def _drive(self, item: Item, fact: facts.Fact, exchange: Exchange) -> list[Refusal]:
        situation = Situation(
            state=self.state,
            upcoming=() if item.free else self._upcoming(item),  # no event needs to know what follows
            now=self._clock(),
            position=item.position,
            failures=item.failures,
        )
        flow = deliver(fact, situation)
        refusals: list[Refusal] = []
        reply: Any = None
        while True:
            try:
                action = flow.send(reply)
            except StopIteration:
                return refusals
            if isinstance(action, Refusal):
                refusals.append(action)
                reply = None
            else:
                reply = self._act(item, action, exchange)

    def _act(self, item: Item, action: Any, exchange: Exchange) -> Any:
        if isinstance(action, Call):
            return self._call(item, action, exchange)
        if isinstance(action, Settle):
            return self._wait_for(action.intent)
        if isinstance(action, Recall):
            return self._recall(action.name)
        if isinstance(action, Remember):
            return self._remember(action)
        if isinstance(action, Forget):
            return self._forget(action.name)
        return self.log.note(action)

    def _upcoming(self, item: Item) -> list[facts.Fact]:
        return [other.fact for other in list(self._window) if other.position > item.position and other.fact is not None]

    def _call(self, item: Item, call: Call, exchange: Exchange) -> Answer:
        # A flow that starts again is not to repeat what was acknowledged: it gets the answer of the first time.
        read = OPERATIONS[call.operation].method == "GET"
        ticket = None if read else (call.operation, str(call.path), str(call.body))
        if ticket in item.answers:
            return item.answers[ticket]
        if call.intent and not (call.keyed and call.intent in self.state.intents):
            self.log.note(_records.Intended(call.intent, self._clock()))
        if self._closed:
            raise _Stop(Pause("the run was given up", quiet=True))
        outcome = exchange(call)
        if isinstance(outcome, Answer):
            if call.intent and not call.keyed and not outcome.ok:
                self.log.note(_records.Unsent(call.intent))
            if ticket and outcome.ok:
                item.answers[ticket] = outcome
            return outcome
        if isinstance(outcome, Unsent):
            if call.intent and not call.keyed:
                self.log.note(_records.Unsent(call.intent))
            raise _Stop(Pause(outcome.why, asked=outcome.after, everywhere=True, locked_out=outcome.locked_out))
        if outcome.answered and call.intent and not call.keyed:
            self._settled[call.intent] = 0.0
        elsewhere = outcome.status in {0, 502, 503, 504}
        raise _Stop(Pause(outcome.why, asked=outcome.after, everywhere=elsewhere))

    def _wait_for(self, intent: str) -> None:
        """Let a request whose answer was lost take its effect, if it will, before anyone looks."""
        now = self._monotonic()
        age = self._clock() - self.state.intents.get(intent, 0.0)
        until = self._settled.setdefault(intent, now + min(self._settle, max(0.0, self._settle - age)))
        if until > now:
            raise _Stop(Pause("an answer was lost: its effect is awaited", delay=until - now, quiet=True))
        self._settled.pop(intent, None)

    def _recall(self, name: str) -> str | None:
        if self._directory is None:
            return None
        try:
            self._mission_lock = self._directory.mission_lock(self._base_url, name)
            if not self._mission_lock.try_acquire():
                self._mission_lock = None
                raise _Stop(Pause("another run looks the mission up", delay=0.05, quiet=True))
        except OSError:
            self._mission_lock = None  # no lock to be had here: the server's list decides
        return self._directory.recall(self._base_url, name)

    def _remember(self, action: Remember) -> None:
        if self._directory is not None:
            try:
                self._directory.remember(self._base_url, action.name, action.mission_id)
            except OSError:
                pass  # it will be looked up again
        self._release_mission()

    def _forget(self, name: str) -> None:
        if self._directory is not None:
            self._directory.forget(self._base_url, name)

    def _release_mission(self) -> None:
        lock, self._mission_lock = self._mission_lock, None
        if lock is not None:
            lock.release()

    def _finish(self, item: Item, refusals: list[Refusal]) -> None:
        fact_id = item.fact.id if item.fact is not None else ""
        ours = fact_id.startswith(self._writer)
        self.delivered += ours and not refusals
        self.rejected += ours and bool(refusals)
        if refusals:
            first = refusals[0]
            reason = "; ".join(refusal.reason for refusal in refusals)
            self.log.note(_records.Rejected(item.position, item.end, fact_id, reason, first.operation, first.status))
        else:
            self.log.note(_records.Acknowledged(item.position, item.end))
        if item.fact is not None and not item.free:
            self.state.learn(item.fact)
        item.done = True

    def close(self) -> None:
        """Give the run up; another process may go on."""
        self._closed = True
        self._reader.close()
        self.log.close()


def _item(position: int, end: int, content: bytes) -> Item:
    try:
        fact = facts.decode(content)
    except (msgspec.MsgspecError, RecursionError):
        return Item(position, end, None)
    return Item(position, end, fact, free=is_free(fact))


def relearn(lane: Lane, lines: Iterator[Line]) -> None:
    """Take in again the facts that an earlier sender delivered, so that the run can be ended right."""
    for line in lines:
        if line.position >= lane.state.cursor:
            break
        if not line.content.startswith(_EVENT):
            try:
                lane.state.learn(facts.decode(line.content))
            except msgspec.MsgspecError:
                continue
