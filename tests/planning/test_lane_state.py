"""What delivery knows of a run: what records and delivered facts make of it, in which order ever they come."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_tracer import facts
from mission_tracer._planning import records as r
from mission_tracer._planning.lane_state import LaneState, Track

AT = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)


def folded(*records: Any) -> LaneState:
    state = LaneState()
    for record in records:
        state.apply(record)
    return state


def learned(*found: tuple[Any, dict[str, Any]]) -> LaneState:
    state = LaneState()
    for kind, fields in found:
        state.learn(kind(id="w.1", at=AT, **fields))
    return state


ENTERED = (facts.StepEntered, {"step_id": "s", "description": "s"})
LEFT = (facts.StepLeft, {"step_id": "s", "status": "completed", "metadata": {"a": 1}})


@given(st.permutations(range(8)), st.integers(0, 8))
def test_the_cursor_passes_what_is_done_in_a_row(order: list[int], most: int) -> None:
    """In whatever order facts are done, and done again, the cursor stands at the first that is not."""
    track = Track(100)
    for number in order[:most] * 2:
        track.finish(100 + 10 * number, 110 + 10 * number)
    left = [number for number in range(9) if number not in order[:most]]
    assert track.cursor == 100 + 10 * left[0]
    assert [n for n in range(8) if track.is_done(100 + 10 * n)] == sorted(order[:most])


@pytest.mark.parametrize("start", [0, 20, 30])
def test_what_is_done_in_a_row_may_be_known_in_part(start: int) -> None:
    """Facts that are done in a row count as a whole, whichever of them were known to be done."""
    track = Track(0)
    for position, end in ((0, 10), (10, 20), (20, 30), (40, 50), (60, 70), (start, 60)):
        track.finish(position, end)
    assert (track.cursor, track.done) == (70, {})


def test_file_and_memory_are_tracks_of_their_own() -> None:
    """What is done of the memory says nothing of the file, and the other way round."""
    state = folded(r.Acknowledged(facts.MEMORY, facts.MEMORY + 1))
    assert (state.cursor, state.memory.cursor) == (0, facts.MEMORY + 1)
    assert state.is_done(facts.MEMORY)
    assert not state.is_done(0)
    state.apply(r.Acknowledged(0, 10))
    assert (state.cursor, state.memory.cursor) == (10, facts.MEMORY + 1)


@pytest.mark.parametrize(
    ("intent", "record"),
    [
        ("create_mission", r.MissionFound("m")),
        ("create_run", r.RunBound("r")),
        ("declare_steps", r.StepsDeclared({"s": 1})),
        ("link:a", r.Unsent("link:a")),
        ("event:7", r.Acknowledged(7, 8)),
        ("event:7", r.Rejected(7, 8, "w.1", "no")),
    ],
)
def test_an_intent_ends_with_its_effect(intent: str, record: Any) -> None:
    """What was intended is settled by the record of its effect, or of its having none, and by no other."""
    state = folded(r.Intended(intent, 1.0), r.Intended("another", 1.0), record)
    assert state.intents == {"another": 1.0}


@pytest.mark.parametrize(("intent", "at"), [("create_run", 2.0), ("event:7", 1.0)])
def test_which_attempt_counts(intent: str, at: float) -> None:
    """Of a creation the last attempt counts, which may be under way still; of an event the first, whose key ages."""
    assert folded(r.Intended(intent, 1.0), r.Intended(intent, 2.0)).intents == {intent: at}


def test_a_refused_fact_is_its_owners() -> None:
    """A refused fact is to be sent again, or is given up, as its owner says, once; what is not refused is neither."""
    refused = r.Rejected(7, 8, "w.1", "no")
    assert folded(refused).rejected == {7}
    state = folded(refused, r.Retried(7))
    assert (state.rejected, state.retries, state.given_up) == (set(), {7}, set())
    state.apply(r.Dropped(7))  # too late
    assert (state.rejected, state.retries, state.given_up) == (set(), {7}, set())
    state.apply(r.Acknowledged(7, 8))
    assert (state.rejected, state.retries, state.given_up) == (set(), set(), set())
    state = folded(refused, r.Retried(7), refused)
    assert (state.rejected, state.retries) == ({7}, set())
    state.apply(r.Dropped(7))
    assert (state.rejected, state.given_up) == (set(), {7})
    assert folded(r.Retried(7), r.Dropped(7)) == LaneState()


def test_a_lost_mission_is_counted_until_the_run_is_tried_anew() -> None:
    """Each lost mission counts, so that this ends some time; a run that is tried again begins to count anew."""
    state = folded(r.MissionFound("m"), r.MissionLost(), r.MissionLost(), r.Parked("why"))
    assert (state.mission_id, state.mission_losses, state.parked) == (None, 2, "why")
    state.apply(r.Unparked())
    assert (state.mission_losses, state.parked) == (0, None)


def test_declared_steps_are_in_the_plan() -> None:
    """Declared steps are the server's, refused or not before; the plan goes on after the highest number."""
    state = folded(r.StepRefused("a"), r.StepsDeclared({"a": 0, "b": 7}), r.StepsDeclared({"c": 3}))
    assert {step_id: (step.declared, step.refused) for step_id, step in state.steps.items()} == dict.fromkeys(
        "abc", (True, False)
    )
    assert state.sequence == 7
    assert not folded(r.StepRefused("a")).plan_exists
    assert folded(r.StepsDeclared({"a": 0})).plan_exists  # a server that numbers from 0


def test_a_plan_makes_no_step_begin_anew() -> None:
    """A plan tells of steps that are not heard of; those that have begun stay where they are."""
    plan = (facts.PlanDeclared, {"steps": [facts.PlannedStep("s", "s"), facts.PlannedStep("t", "t")]})
    state = learned(ENTERED, plan)
    assert {step_id: step.status for step_id, step in state.steps.items()} == {"s": "in_progress", "t": "pending"}
    assert LaneState().step("x").status == "unknown"


def test_a_step_keeps_what_is_said_of_it() -> None:
    """A step's metadata adds up over its attempts, and its status is what was said last."""
    again = (facts.StepEntered, {"step_id": "s", "description": "s", "attempt": 2})
    state = learned(ENTERED, LEFT, again)
    assert (state.step("s").status, state.step("s").metadata) == ("in_progress", {"a": 1, "attempt": 2})
    state = learned(ENTERED, LEFT)
    assert (state.step("s").status, state.step("s").metadata) == ("completed", {"a": 1})


def test_a_run_is_opened_or_joined_and_closed() -> None:
    """The first fact says whose run it is; the last one adds to its metadata."""
    spec = facts.MissionSpec("m")
    opened = (facts.RunOpened, {"key": "k", "mission": spec, "metadata": {"a": 1}})
    state = learned(opened, (facts.RunClosed, {"status": "failed", "metadata": {"b": 2}}))
    assert (state.key, state.mission, state.joined, state.closed) == ("k", spec, False, True)
    assert state.metadata == {"a": 1, "b": 2}
    state = learned((facts.RunJoined, {"key": "k", "mission": spec}))
    assert (state.key, state.mission, state.joined, state.closed) == ("k", spec, True, False)
