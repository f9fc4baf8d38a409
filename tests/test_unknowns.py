"""What no source tells about the API: delivery ends right under every answer that the local server can give."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")

from mission_tracer import facts
from mission_tracer.server.behaviour import allowed_values
from tests.lanes import DEATHS, LOSSES, World

SWITCHES = {
    name: [float(value) if value[0].isdigit() else value for value in values]
    for name, values in {
        **allowed_values(),
        "key_lifetime": ("forever", "600"),  # a key is relied on for five minutes
        "max_body": ("unlimited",),  # what is too large is cut: see the oversized event's case
    }.items()
}
"""Every switch with all its values."""

TOGETHER = {
    "events": (
        "repeated_key",
        "key_scope",
        "key_lifetime",
        "event_unknown_step",
        "event_after_finish",
        "status_event",
        "error_shape",
    ),
    "plans": (
        "second_plan",
        "absent_plan",
        "steps_without_plan",
        "duplicate_step",
        "parent_in_request",
        "unknown_parent",
        "list_order",
    ),
    "changes": (
        "run_transitions",
        "step_transitions",
        "same_status",
        "step_times",
        "patch_metadata",
        "second_link",
        "absent_delete",
        "unknown_fields",
    ),
}
"""Which switches meet in the same requests: all combinations of each group are driven."""


def products(group: str) -> Iterator[dict[str, Any]]:
    names = TOGETHER[group]
    for values in itertools.product(*(SWITCHES[name] for name in names)):
        yield dict(zip(names, values, strict=True))


def drawn(seed: int) -> dict[str, Any]:
    chance = random.Random(seed)
    return {name: chance.choice(values) for name, values in SWITCHES.items()}


def record(world: World) -> None:
    """Write a run with everything there is."""
    world.open(input={"city": "Chicago"})
    planned = [facts.PlannedStep(name, name) for name in ("research", "calls", "never")]
    world.write(facts.PlanDeclared, steps=planned)
    world.write(facts.AgentLinked, telnyx_agent_id="assistant-1")
    world.write(facts.AgentLinked, telnyx_agent_id="assistant-2")
    world.enter("research")
    world.event("found", step_id="research", payload={"hits": [1]})
    world.leave("research")
    world.write(facts.AgentUnlinked, telnyx_agent_id="assistant-2")
    world.enter("calls")
    world.write(facts.StepEntered, step_id="dial", description="dial", parent_step_id="calls")
    world.event("busy", step_id="dial")
    world.leave("dial", "failed")
    world.write(facts.StepEntered, step_id="dial", description="dial", parent_step_id="calls", attempt=2)
    world.event("answered", step_id="dial")
    world.leave("dial")
    world.write(facts.RunPaused)
    world.event("waiting")
    world.write(facts.RunResumed)
    world.leave("calls")
    world.enter("left-open")
    world.close()


def check(world: World, switches: dict[str, Any]) -> None:
    """Hold the server's state against what was written down."""
    assert world.run["status"] == "succeeded"
    assert world.run["input"] == {"city": "Chicago"}
    assert world.run["result_summary"] == "done"
    [mission] = world.rows("missions")
    assert mission["name"] == "A mission"
    ended = {"research": "completed", "calls": "completed", "never": "skipped", "left-open": "failed"}
    again = {"dial": "completed"}
    if "dial-attempt-2" in world.steps:
        again = {"dial": "failed", "dial-attempt-2": "completed"}
        assert switches.get("step_transitions") == "strict"
    assert world.steps == {**ended, **again}
    parents = {step["step_id"]: step.get("parent_step_id") for step in world.rows("steps")}
    assert parents["dial"] == "calls"
    assert {agent["telnyx_agent_id"] for agent in world.rows("agents")} == {"assistant-1"}
    events = world.events
    assert Counter(event["summary"] for event in events if event["type"] == "custom") == Counter(
        ["found", "busy", "answered", "waiting"]
    )
    assert max(Counter(event["payload"]["mission_tracer"]["id"] for event in events).values()) == 1
    numbers = [event["payload"]["mission_tracer"]["seq"] for event in events]
    assert numbers == sorted(numbers)
    linked = {event["summary"]: event.get("step_id") for event in events if event["type"] == "custom"}
    assert linked == {"found": "research", "busy": "dial", "answered": "dial", "waiting": None}


def drive(place: Path, switches: dict[str, Any], *, seed: int | None) -> None:
    """Deliver one run under some behaviour; with a seed, in bad weather first."""
    world = World(place, **switches)
    try:
        record(world)
        if seed is not None:
            chance = random.Random(seed)
            kinds = ["ok"] * 2 * len(LOSSES) + [*LOSSES, *DEATHS]
            for _ in range(6):
                world.deliver([chance.choice(kinds) for _ in range(8)], most=8)
                world.pass_time(chance.choice([0.1, 1.0, 7.0, 40.0, 400.0]))
        world.deliver()
        world.pass_time(60.0)
        lane = world.deliver()
        assert lane is not None
        assert lane.is_over()
        assert not lane.state.rejected
        check(world, switches)
    finally:
        world.finish()


@pytest.mark.parametrize("part", range(3))
@pytest.mark.parametrize("group", list(TOGETHER))
def test_every_combination_of_what_meets_ends_right(group: str, part: int, tmp_path: Path) -> None:
    """Each combination of the switches that meet in the same requests ends right; every third in bad weather too."""
    for number, switches in enumerate(products(group)):
        if number % 3 != part:
            continue
        for seed in (None, number) if number % 9 // 3 == part else (None,):
            try:
                drive(tmp_path / f"{number}-{seed}", switches, seed=seed)
            except BaseException as error:
                raise AssertionError(f"under {switches}, seed {seed}") from error


@pytest.mark.parametrize("seed", range(4))
def test_drawn_combinations_of_all_switches_end_right(seed: int, tmp_path: Path) -> None:
    """Combinations drawn from all switches end right in bad weather."""
    for number in range(20 * seed, 20 * (seed + 1)):
        try:
            drive(tmp_path / str(number), drawn(number), seed=number)
        except BaseException as error:
            raise AssertionError(f"under {drawn(number)}, seed {number}") from error


def test_every_switch_is_driven() -> None:
    """Every switch of the server that a delivery can meet stands in a group."""
    told = {name for names in TOGETHER.values() for name in names}
    asked_by_nobody = {"put_omitted", "attached_in_mission", "mission_delete", "max_body"}
    assert told | asked_by_nobody == set(SWITCHES)
