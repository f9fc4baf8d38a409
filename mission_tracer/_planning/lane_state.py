"""Fold a run's delivery log and its delivered facts into what delivery must know. Pure: no I/O, no clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mission_tracer import facts
from mission_tracer._planning.records import (
    Acknowledged,
    Dropped,
    Finished,
    Intended,
    MissionFound,
    MissionLost,
    Parked,
    Record,
    Rejected,
    Released,
    Retried,
    RunBound,
    StepRefused,
    StepRenamed,
    StepsDeclared,
    Taken,
    Unparked,
    Unsent,
)


@dataclass(slots=True)
class StepState:
    """What the server should know of one step."""

    status: str = "unknown"  # until a fact of ours says something: another machine's steps are not ours to end
    sequence: int = 0
    declared: bool = False
    refused: bool = False
    sent_as: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Track:
    """Which facts of one place, the file or the memory, need nothing more: all before the cursor, and some after it."""

    cursor: int = 0
    done: dict[int, int] = field(default_factory=dict)

    @property
    def end(self) -> int:
        """Return the position after the last fact that needs nothing more."""
        return max(self.cursor, *self.done.values()) if self.done else self.cursor

    def is_done(self, position: int) -> bool:
        """Say whether the fact at a position needs nothing more."""
        return position < self.cursor or position in self.done

    def finish(self, position: int, end: int) -> None:
        """Mark a fact, or several in a row, as needing nothing more; move the cursor over all that are done in a row.

        Of several some may be known to be done: those before the cursor, or any further on.
        """
        if end > self.cursor:
            self.done[max(position, self.cursor)] = end
        while self.cursor in self.done:
            self.cursor = self.done.pop(self.cursor)
        for passed in [start for start in self.done if start < self.cursor]:
            del self.done[passed]


@dataclass(slots=True)
class LaneState:
    """What the server should know of one run, and which facts it has.

    `shaky` says that an answer to a change of a status was lost: the change may come late and undo a later one.
    """

    key: str = ""
    mission: facts.MissionSpec | None = None
    joined: bool = False
    closed: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)
    mission_id: str | None = None
    run_id: str | None = None
    steps: dict[str, StepState] = field(default_factory=dict)
    sequence: int = 0
    intents: dict[str, float] = field(default_factory=dict)
    file: Track = field(default_factory=Track)
    memory: Track = field(default_factory=lambda: Track(facts.MEMORY))
    rejected: set[int] = field(default_factory=set)
    given_up: set[int] = field(default_factory=set)
    parked: str | None = None
    is_at_rest: bool = True  # nothing that a sender asked for may be under way
    retries: set[int] = field(default_factory=set)
    mission_losses: int = 0
    shaky: bool = False

    @property
    def cursor(self) -> int:
        """Return the position in the file before which no fact needs anything more."""
        return self.file.cursor

    @property
    def plan_exists(self) -> bool:
        """Say whether the server has a plan for the run."""
        return self.sequence > 0

    def step(self, step_id: str) -> StepState:
        """Return a step's state; a new one for a step not heard of."""
        return self.steps.setdefault(step_id, StepState())

    def is_done(self, position: int) -> bool:
        """Say whether the fact at a position needs nothing more."""
        return self.track(position).is_done(position)

    def track(self, position: int) -> Track:
        """Return the track that a position is on."""
        return self.file if position < facts.MEMORY else self.memory

    def apply(self, record: Record) -> None:
        """Take in one record of the delivery log."""
        if not isinstance(record, (Retried, Dropped)):  # those are their owner's, and ask the server for nothing
            self.is_at_rest = isinstance(record, (Released, Finished))
        _APPLY[type(record)](self, record)

    def learn(self, fact: facts.Fact) -> None:
        """Take in one delivered fact."""
        _LEARN.get(type(fact), _nothing)(self, fact)

    def finish(self, position: int, end: int) -> None:
        """Mark a fact as needing nothing more."""
        self.intents.pop(f"event:{position}", None)
        self.track(position).finish(position, end)


def _nothing(_state: LaneState, _what: Any) -> None:
    pass


def _intended(state: LaneState, record: Intended) -> None:
    # Of a creation the last attempt counts, which may still be under way; of an event the first, whose key grows old.
    if record.intent not in state.intents or not record.intent.startswith("event:"):
        state.intents[record.intent] = record.at


def _unsent(state: LaneState, record: Unsent) -> None:
    state.intents.pop(record.intent, None)


def _mission_found(state: LaneState, record: MissionFound) -> None:
    state.mission_id = record.mission_id
    state.intents.pop("create_mission", None)


def _mission_lost(state: LaneState, _record: MissionLost) -> None:
    state.mission_id = None
    state.mission_losses += 1


def _run_bound(state: LaneState, record: RunBound) -> None:
    state.run_id = record.run_id
    state.intents.pop("create_run", None)


def _steps_declared(state: LaneState, record: StepsDeclared) -> None:
    for step_id, sequence in record.steps.items():
        step = state.step(step_id)
        step.declared, step.refused, step.sequence = True, False, sequence
        state.sequence = max(state.sequence, sequence, 1)
    state.intents.pop("declare_steps", None)


def _step_refused(state: LaneState, record: StepRefused) -> None:
    state.step(record.step_id).refused = True


def _step_renamed(state: LaneState, record: StepRenamed) -> None:
    state.step(record.step_id).sent_as = record.sent_as


def _acknowledged(state: LaneState, record: Acknowledged) -> None:
    state.retries.discard(record.position)
    state.finish(record.position, record.end)


def _rejected(state: LaneState, record: Rejected) -> None:
    state.retries.discard(record.position)
    state.rejected.add(record.position)
    state.finish(record.position, record.end)


def _retried(state: LaneState, record: Retried) -> None:
    if record.position in state.rejected:
        state.rejected.discard(record.position)
        state.retries.add(record.position)


def _dropped(state: LaneState, record: Dropped) -> None:
    if record.position in state.rejected:
        state.rejected.discard(record.position)
        state.given_up.add(record.position)


def _parked(state: LaneState, record: Parked) -> None:
    state.parked = record.reason


def _unparked(state: LaneState, _record: Unparked) -> None:
    state.parked = None
    state.mission_losses = 0


_APPLY: dict[type, Any] = {
    Intended: _intended,
    Unsent: _unsent,
    MissionFound: _mission_found,
    MissionLost: _mission_lost,
    RunBound: _run_bound,
    StepsDeclared: _steps_declared,
    StepRefused: _step_refused,
    StepRenamed: _step_renamed,
    Acknowledged: _acknowledged,
    Rejected: _rejected,
    Retried: _retried,
    Dropped: _dropped,
    Parked: _parked,
    Unparked: _unparked,
    Taken: _nothing,
    Released: _nothing,
    Finished: _nothing,
}


def _opened(state: LaneState, fact: facts.RunOpened) -> None:
    state.key, state.mission, state.metadata = fact.key, fact.mission, dict(fact.metadata)


def _joined(state: LaneState, fact: facts.RunJoined) -> None:
    state.key, state.mission, state.joined = fact.key, fact.mission, True


def _planned(state: LaneState, fact: facts.PlanDeclared) -> None:
    for planned in fact.steps:
        step = state.step(planned.step_id)
        if step.status == "unknown":
            step.status = "pending"


def _entered(state: LaneState, fact: facts.StepEntered) -> None:
    step = state.step(fact.step_id)
    step.status = "in_progress"
    if fact.attempt > 1:
        step.metadata["attempt"] = fact.attempt


def _left(state: LaneState, fact: facts.StepLeft) -> None:
    step = state.step(fact.step_id)
    step.status = fact.status
    step.metadata.update(fact.metadata)


def _closed(state: LaneState, fact: facts.RunClosed) -> None:
    state.closed = True
    state.metadata.update(fact.metadata)


_LEARN: dict[type, Any] = {
    facts.RunOpened: _opened,
    facts.RunJoined: _joined,
    facts.PlanDeclared: _planned,
    facts.StepEntered: _entered,
    facts.StepLeft: _left,
    facts.RunClosed: _closed,
}
