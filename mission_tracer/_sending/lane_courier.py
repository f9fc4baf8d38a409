"""Carry one fact to the server: drive its flow, send its calls, note its records, and stop where it must wait."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec

from mission_tracer import facts
from mission_tracer._api.endpoints import OPERATIONS
from mission_tracer._base.locks import LockFile
from mission_tracer._disk.delivery_log import DeliveryLog
from mission_tracer._disk.directory import Directory
from mission_tracer._planning import records
from mission_tracer._planning.actions import (
    CHANGES,
    Again,
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
from mission_tracer._planning.deliver_event import leave_out
from mission_tracer._planning.flows import deliver

Exchange: TypeAlias = Callable[[Call], "Answer | Unsent | Lost"]

_FAR = frozenset({0, 502, 503, 504})
"""The statuses that tell of the way to the server, not of the request; 0 is none at all."""

_LOOK = "missions.runs.retrieve"
"""The request that tells of the run, and of no fact: while the server fails on it, it is out altogether."""

_CREATE_MISSION = "create_mission"
_LOOK_AGAIN = 0.05  # seconds


@dataclass(slots=True, eq=False)
class Item:
    """One fact on its way.

    Args:
        position: Where it stands.
        end: Where the next one stands.
        fact: The fact; `None`: its line is damaged.
        free: True: it may be delivered together with its neighbours.
        late: True: facts after it were delivered before it.
        sent_at: When an earlier sender may have sent it, in seconds since the epoch; `None`: none did.
    """

    position: int
    end: int
    fact: facts.Fact | None
    free: bool = False
    late: bool = False
    sent_at: float | None = None
    running: bool = False
    done: bool = False
    next_at: float = 0.0
    attempts: int = 0
    failures: int = 0
    blamed: int = 0
    answers: dict[Any, Answer] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pause:
    """A fact could not be delivered now.

    Args:
        why: What hindered it.
        delay: How long to wait, in seconds; `None`: longer each time.
        asked: How long the server asks to wait at least, in seconds; `None`: it does not.
        everywhere: True: the server itself is out of reach, for every run.
        locked_out: True: the key is at fault.
        quiet: True: nothing is wrong.
    """

    why: str
    delay: float | None = None
    asked: float | None = None
    everywhere: bool = False
    locked_out: bool = False
    quiet: bool = False


class _Stop(Exception):  # noqa: N818 - control flow inside this file
    def __init__(self, pause: Pause, *, is_fault: bool = False) -> None:
        self.pause = pause
        self.is_fault = is_fault  # the fact may be to blame


class Courier:
    """Carry the facts of one run; several at once, from several threads.

    Args:
        log: The run's delivery log, opened.
        directory: Where mission names are remembered; `None`: nowhere.
        base_url: The address of the API, for those names.
        settle: How long an effect whose answer was lost is awaited, in seconds.
        timeout: The longest time a request is under way, in seconds.
        clock: Seconds since the epoch.
        monotonic: Seconds that never go back.
    """

    def __init__(
        self,
        log: DeliveryLog,
        *,
        directory: Directory | None,
        base_url: str,
        settle: float,
        timeout: float,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self.latency = 0.0
        self._log = log
        self._state = log.state
        self._directory = directory
        self._base_url = base_url
        self._settle = settle
        self._timeout = timeout
        self._clock = clock
        self._monotonic = monotonic
        self._clear_at: dict[str, float] = {}
        self._mission_lock: LockFile | None = None
        self._mission_name = ""
        self._noting = threading.Lock()
        if log.predecessor_at is not None:
            # What the sender before us asked for may still be under way.
            self._state.shaky = True
            self._clear_at[CHANGES] = monotonic() + self._patience(log.predecessor_at)

    def carry(
        self, item: Item, fact: facts.Fact, exchange: Exchange, upcoming: Callable[[], Iterable[facts.Fact]]
    ) -> Pause | list[Refusal]:
        """Try to deliver a fact; return why it has to wait, or what the server refused of it."""
        situation = Situation(
            state=self._state,
            upcoming=upcoming,
            now=self._clock(),
            position=item.position,
            failures=item.failures,
            blamed=item.blamed,
            sent_at=item.sent_at,
            late=item.late,
        )
        try:
            return self._drive(item, deliver(fact, situation), exchange)
        except _Stop as stop:
            item.failures += stop.is_fault
            return self._leave_out(item, fact, situation, exchange, stop.pause) if stop.is_fault else stop.pause
        except Park as reason:
            self.note(records.Parked(str(reason)))
            return Pause(str(reason), delay=0.0)
        except Again as reason:
            item.failures += 1
            return Pause(str(reason))
        except NotYet as reason:
            return Pause(str(reason), quiet=True)
        except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
            # The answer had not the form that was promised: ask again later, in the hope of a better one.
            item.failures += 1
            return Pause(f"an answer could not be understood ({type(error).__name__}: {error})")
        finally:
            self._release_mission()

    def _leave_out(
        self, item: Item, fact: facts.Fact, situation: Situation, exchange: Exchange, pause: Pause
    ) -> Pause | list[Refusal]:
        """Give a fact up on which the server fails again and again, if in this moment it takes a note of that."""
        if not situation.poisoned:
            return pause
        try:
            return self._drive(item, leave_out(fact, situation), exchange)
        except (_Stop, Park):
            return pause

    def is_clear(self) -> bool:
        """Say whether nothing that was asked for can still take effect late, or may have done so."""
        return not self._state.shaky and max(self._clear_at.values(), default=0.0) <= self._monotonic()

    def note(self, record: records.Record) -> None:
        """Write a record down and take it in."""
        with self._noting:
            self._log.note(record)

    def catch_up(self) -> None:
        """Take in what the owner of refused facts decided.

        Raises:
            OSError: The delivery log cannot be read.
        """
        with self._noting:
            self._log.catch_up()

    def _drive(self, item: Item, flow: Any, exchange: Exchange) -> list[Refusal]:
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
            return self._await(action.intent)
        if isinstance(action, Recall):
            return self._recall(action.name)
        if isinstance(action, Remember):
            return self._remember(action.name, action.mission_id)
        if isinstance(action, Forget):
            return self._forget(action.name)
        return self.note(action)

    # ---- calls ----

    def _call(self, item: Item, call: Call, exchange: Exchange) -> Answer:
        # A flow that starts again is not to repeat an acknowledged change: it gets the answer of the first time.
        # A creation is guarded by its intent, and by what the flow notes once it has understood the answer.
        is_change = OPERATIONS[call.operation].method != "GET" and call.intent is None
        ticket = (call.operation, *call.path.values(), msgspec.json.encode(call.body)) if is_change else None
        if ticket in item.answers:
            return item.answers[ticket]
        if call.intent and not call.keyed:
            self._intend(call.intent)
        if self._log.seems_at_rest and OPERATIONS[call.operation].method != "GET":
            self.note(records.Taken())
        started = self._monotonic()
        outcome = exchange(call)
        took = self._monotonic() - started
        if isinstance(outcome, Answer):
            if call.keyed:  # an event: one request, and not the first of the process, which opens the connection
                self.latency = took if not self.latency else 0.8 * self.latency + 0.2 * took
            if not outcome.ok:
                self._withdraw(call)
            elif ticket:
                item.answers[ticket] = outcome
            return outcome
        if isinstance(outcome, Unsent):
            self._withdraw(call)
            if call.doubtful and outcome.locked_out and outcome.here:
                return Answer(403, why=outcome.why)
            everywhere = not outcome.here
            pause = Pause(outcome.why, asked=outcome.after, everywhere=everywhere, locked_out=outcome.locked_out)
        else:
            self._lose(call, outcome, is_change=is_change, closing=isinstance(item.fact, facts.RunClosed))
            failed = outcome.status >= 500 and outcome.status not in _FAR
            item.blamed += failed and call.intent is not None and not call.keyed
            if call.tolerant and failed:
                return Answer(outcome.status, why=outcome.why)
            pause = Pause(outcome.why, asked=outcome.after, everywhere=outcome.status in _FAR)
        raise _Stop(pause, is_fault=not pause.everywhere and call.operation != _LOOK)

    def _intend(self, intent: str) -> None:
        now = self._clock()
        self._clear_at.pop(intent, None)
        self.note(records.Intended(intent, now))
        if intent == _CREATE_MISSION and self._directory is not None:
            with suppress(OSError):
                self._directory.remember(self._base_url, self._mission_name, None, tried_at=now)

    def _withdraw(self, call: Call) -> None:
        """Take an intent back: the request had no effect."""
        if call.intent and not call.keyed:
            self.note(records.Unsent(call.intent))
            if call.intent == _CREATE_MISSION:
                self._forget(self._mission_name)

    def _lose(self, call: Call, outcome: Lost, *, is_change: bool, closing: bool) -> None:
        """Take in that nobody knows whether a request had its effect, or will have it."""
        clear_at = self._monotonic() + (0.0 if outcome.answered else self._settle)
        if call.intent and call.keyed:
            if call.intent not in self._state.intents:
                self.note(records.Intended(call.intent, self._clock()))
        elif call.intent:
            self._clear_at[call.intent] = clear_at
        elif is_change and not closing and not outcome.answered:
            # The last change of all may come as late as it likes.
            self._state.shaky = True
            self._clear_at[CHANGES] = clear_at

    def _await(self, intent: str) -> None:
        """Let a request whose answer was lost take its effect, if it will, before anyone looks."""
        clear_at = self._clear_at.get(intent)
        if clear_at is None:
            clear_at = self._monotonic() + self._patience(self._state.intents.get(intent, 0.0))
            self._clear_at[intent] = clear_at
        self._hold_until(clear_at)

    def _hold_until(self, moment: float) -> None:
        left = moment - self._monotonic()
        if left > 0:
            raise _Stop(Pause("an answer was lost: its effect is awaited", delay=left, quiet=True))

    def _patience(self, since: float) -> float:
        """Say how long what was asked for at `since`, by another process perhaps, may still take to be seen."""
        age = self._clock() - since
        return min(self._settle, max(0.0, self._timeout + self._settle - age))

    # ---- the names of missions ----

    def _recall(self, name: str) -> str | None:
        self._mission_name = name
        if self._directory is None:
            return None
        known = self._directory.recall(self._base_url, name)
        if known is not None and known.mission_id is not None:
            return known.mission_id
        lock = self._directory.mission_lock(self._base_url, name)
        try:
            if not lock.try_acquire():
                raise _Stop(Pause("another run looks the mission up", delay=_LOOK_AGAIN, quiet=True))
            self._mission_lock = lock
        except OSError:
            pass  # no lock to be had here: the server's list decides
        known = self._directory.recall(self._base_url, name)
        if known is None or known.mission_id is not None:
            return known.mission_id if known is not None else None
        intent = f"{_CREATE_MISSION}:{known.tried_at}"
        if intent not in self._clear_at:
            self._clear_at[intent] = self._monotonic() + self._patience(known.tried_at)
        self._hold_until(max(self._clear_at[intent], self._clear_at.get(_CREATE_MISSION, 0.0)))
        return None

    def _remember(self, name: str, mission_id: str) -> None:
        if self._directory is not None:
            with suppress(OSError):  # it will be looked up again
                self._directory.remember(self._base_url, name, mission_id)
        self._release_mission()

    def _forget(self, name: str) -> None:
        if self._directory is not None:
            with suppress(OSError):
                self._directory.forget(self._base_url, name)

    def _release_mission(self) -> None:
        lock, self._mission_lock = self._mission_lock, None
        if lock is not None:
            lock.release()
