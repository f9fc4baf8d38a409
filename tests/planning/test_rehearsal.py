"""Delivery to memory: what a server that takes everything would hold of a run."""

from __future__ import annotations

import json
from typing import Any

from mission_tracer import facts
from mission_tracer._planning.rehearsal import Rehearsal
from tests.flows import KEY, fact


def opened(**fields: Any) -> Any:
    return fact(facts.RunOpened, key=KEY, mission=facts.MissionSpec("M", description="about"), **fields)


def event(summary: str, key: str) -> Any:
    return fact(facts.EventWritten, body=facts.EventBody("custom", summary, idempotency_key=key))


def test_a_run_has_its_mission_input_and_end() -> None:
    """The run reads as the API would show it, with its mission beside it."""
    closed = fact(facts.RunClosed, status="succeeded", summary="done", payload={"a": 1}, metadata={"now": 2})
    held = Rehearsal().run([opened(input={"city": "Chicago"}, metadata={"before": 1}), closed])
    assert held["mission"] == {"name": "M", "description": "about"}
    assert (held["status"], held["input"], held["result_summary"]) == ("succeeded", {"city": "Chicago"}, "done")
    assert (held["result_payload"], held["metadata"]) == ({"a": 1}, {"before": 1, "now": 2})
    assert Rehearsal().run([opened()])["status"] == "running"
    assert Rehearsal().run([])["status"] == "pending"


def test_steps_have_their_statuses_and_all_their_metadata() -> None:
    """Steps are declared once, change as they are told, and end with their run."""
    planned = fact(facts.PlanDeclared, steps=[facts.PlannedStep(name, name) for name in ("a", "b", "c")])
    entered = [fact(facts.StepEntered, step_id=name, description=name) for name in ("a", "b")]
    left = fact(facts.StepLeft, step_id="a", status="completed", metadata={"x": 1})
    again = fact(facts.StepEntered, step_id="a", description="a", attempt=2)
    held = Rehearsal().run([opened(), planned, *entered, left, again, left, fact(facts.RunClosed, status="failed")])
    assert [(step["step_id"], step["status"]) for step in held["steps"]] == [
        ("a", "completed"),
        ("b", "failed"),
        ("c", "skipped"),
    ]
    assert (held["steps"][0]["metadata"]["x"], held["steps"][0]["metadata"]["attempt"]) == (1, 2)


def test_an_event_with_a_key_is_there_once() -> None:
    """Of events with the same key the first is kept; all others are there in their order."""
    held = Rehearsal().run([opened(), event("a", "1"), event("b", "2"), event("not kept", "1")])
    assert [said["summary"] for said in held["events"]] == ["a", "b"]


def test_agents_and_pauses() -> None:
    """Agents are linked and taken off, and a run is paused and resumed."""
    link = [fact(facts.AgentLinked, telnyx_agent_id=agent) for agent in ("x", "y")]
    off = [fact(facts.AgentUnlinked, telnyx_agent_id=agent) for agent in ("x", "never there")]
    assert Rehearsal().run([opened(), *link, *off])["agents"] == ["y"]
    assert Rehearsal().run([opened(), fact(facts.RunPaused)])["status"] == "paused"
    assert Rehearsal().run([opened(), fact(facts.RunPaused), fact(facts.RunResumed)])["status"] == "running"


def test_runs_have_ids_of_their_own_and_nothing_else_in_common() -> None:
    """Each run of a rehearsal stands for itself, and all of it is plain data."""
    rehearsal = Rehearsal()
    first, second = (rehearsal.run([opened(), event("a", "1")]) for _ in range(2))
    assert len(first["events"]) == len(second["events"]) == 1
    assert json.loads(json.dumps(first)) == first == second
