"""The planning of delivery: whatever is lost, refused or killed on the way, the end is right and nothing is twice."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

pytest.importorskip("starlette")

from mission_tracer import facts
from mission_tracer._handles.step_table import StepTable
from tests.lanes import DEATHS, LOSSES, World
from tests.test_unknowns import SWITCHES

NAMES = st.sampled_from(["research", "calls", "analyze"])
AGENTS = st.sampled_from(["agent-1", "agent-2"])
FAULTS = st.lists(st.sampled_from([*LOSSES, *DEATHS, "ok", "ok", "ok"]), max_size=12)
TORN = st.sampled_from([b"", b'{"did":"ack","posi', b"\x00\x00"])


SERVERS = st.fixed_dictionaries(
    {
        # A server that never changes a finished step has its new attempts as other steps: see `test_unknowns`.
        name: st.sampled_from([value for value in values if (name, value) != ("step_transitions", "strict")])
        for name, values in SWITCHES.items()
    }
)


class Delivery(RuleBasedStateMachine):
    """Record a run and deliver it, in any order, with every fault there is, to a server of any kind."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.table = StepTable()
        self.begun: list[str] = []
        self.agents: set[str] = set()
        self.summaries: list[str] = []
        self.paused = False
        self.closed = False

    @initialize(switches=SERVERS)
    def open(self, switches: dict[str, Any]) -> None:
        self._scratch = tempfile.TemporaryDirectory()
        self.world = World(Path(self._scratch.name), **switches)
        self.world.open()

    # ---- the program ----

    @precondition(lambda self: not self.closed)
    @rule(names=st.lists(NAMES, min_size=1, max_size=3, unique=True))
    def plan(self, names: list[str]) -> None:
        fresh = [facts.PlannedStep(name, name) for name in names if self.table.plan(name)]
        if fresh:
            self.world.write(facts.PlanDeclared, steps=fresh)

    @precondition(lambda self: not self.closed)
    @rule(name=NAMES, parent=st.booleans())
    def enter(self, name: str, parent: bool) -> None:
        above = self.begun[-1] if parent and self.begun else None
        step_id, attempt = self.table.enter(name)
        self.world.write(facts.StepEntered, step_id=step_id, description=name, parent_step_id=above, attempt=attempt)
        self.begun.append(step_id)

    @precondition(lambda self: self.begun and not self.closed)
    @rule(status=st.sampled_from(["completed", "failed", "skipped"]), data=st.data())
    def leave(self, status: str, data: Any) -> None:
        step_id = data.draw(st.sampled_from(self.begun))
        self.begun.remove(step_id)
        self.table.left(step_id, status)
        self.world.leave(step_id, status)

    @precondition(lambda self: not self.closed)
    @rule(linked=st.booleans())
    def event(self, linked: bool) -> None:
        summary = f"event {len(self.summaries)}"
        self.world.event(summary, step_id=self.begun[-1] if linked and self.begun else None)
        self.summaries.append(summary)

    @precondition(lambda self: not self.closed)
    @rule(agent=AGENTS)
    def link(self, agent: str) -> None:
        self.world.write(facts.AgentLinked, telnyx_agent_id=agent)
        self.agents.add(agent)

    @precondition(lambda self: not self.closed)
    @rule(agent=AGENTS)
    def unlink(self, agent: str) -> None:
        self.world.write(facts.AgentUnlinked, telnyx_agent_id=agent)
        self.agents.discard(agent)

    @precondition(lambda self: not self.closed)
    @rule()
    def pause_or_resume(self) -> None:
        self.world.write(facts.RunResumed if self.paused else facts.RunPaused)
        self.paused = not self.paused

    @precondition(lambda self: not self.closed)
    @rule(status=st.sampled_from(["succeeded", "failed", "cancelled"]))
    def close(self, status: str) -> None:
        self.status = status
        self.closed = True
        self.world.close(status)

    # ---- delivery ----

    @rule(faults=FAULTS, most=st.integers(1, 30))
    def deliver(self, faults: list[str], most: int) -> None:
        self.world.deliver(faults, most=most)

    @rule(torn=TORN)
    def kill(self, torn: bytes) -> None:
        self.world.die(torn)

    @rule()
    def restart(self) -> None:
        self.world.stop()

    @rule(seconds=st.sampled_from([0.5, 6.0, 400.0]))
    def wait(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    # ---- the laws ----

    @invariant()
    def nothing_is_twice(self) -> None:
        """At no moment the server holds anything twice."""
        assert len(self.world.rows("missions")) <= 1
        assert len(self.world.rows("runs")) <= 1
        assert max(Counter(step["step_id"] for step in self.world.rows("steps")).values(), default=1) == 1
        marks = Counter(event["payload"]["mission_tracer"]["id"] for event in self.world.events)
        assert max(marks.values(), default=1) == 1

    def teardown(self) -> None:
        """In peace everything arrives, in its order, and the end is what the program said last."""
        try:
            if not self.closed:
                self.close("succeeded")
            self.world.deliver()
            self.world.pass_time(60.0)
            lane = self.world.deliver()
            assert lane is not None
            assert lane.is_over()
            assert not lane.state.rejected
            self._check()
        finally:
            self.world.finish()
            self._scratch.cleanup()

    def _check(self) -> None:
        world = self.world
        assert world.run["status"] == self.status
        ended = {"in_progress": "failed", "pending": "skipped"}
        assert world.steps == {step: ended.get(status, status) for step, status in self.table.status.items()}
        events = world.events
        assert sorted(e["summary"] for e in events if e["type"] == "custom") == sorted(self.summaries)
        assert {agent["telnyx_agent_id"] for agent in world.rows("agents")} == self.agents
        # Whatever came between two changes of a step happened between them.
        numbers = [event["payload"]["mission_tracer"]["seq"] for event in events]
        borders = [n for n, event in enumerate(events) if event["type"] != "custom"]
        for border in borders:
            assert all(number < numbers[border] for number in numbers[:border])
            assert all(number > numbers[border] for number in numbers[border + 1 :])


Delivery.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestDelivery = Delivery.TestCase


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A run that was opened."""
    world = World(tmp_path)
    world.open()
    yield world
    world.finish()


def test_an_agent_that_is_taken_off_late_stays_linked_again(world: World) -> None:
    """A request to take an agent off that takes effect late does not undo that it is linked again."""
    world.write(facts.AgentLinked, telnyx_agent_id="agent-1")
    world.deliver()
    world.write(facts.AgentUnlinked, telnyx_agent_id="agent-1")
    world.write(facts.AgentLinked, telnyx_agent_id="agent-1")
    world.deliver(["delayed"])
    world.pass_time(60.0)
    assert [agent["telnyx_agent_id"] for agent in world.rows("agents")] == ["agent-1"]


@pytest.mark.parametrize("how", ["dies_before", "dies_after"])
def test_a_change_that_a_later_sender_lost_is_awaited_by_the_next(world: World, how: str) -> None:
    """A change that was under way when a sender died is awaited, also if the sender before it ended in order."""
    world.write(facts.PlanDeclared, steps=[facts.PlannedStep("research", "research")])
    world.deliver()
    world.stop()
    world.enter("research")
    world.deliver(["delayed", how])
    world.close()
    world.deliver()
    world.pass_time(60.0)
    assert world.steps == {"research": "failed"}


def test_a_change_that_came_late_is_undone_by_the_next_sender(world: World) -> None:
    """A change that took effect late is undone at the run's end, also by a sender that did not ask for it."""
    world.write(facts.PlanDeclared, steps=[facts.PlannedStep("research", "research")])
    world.deliver()
    world.enter("research")
    world.leave("research", "failed")
    world.deliver(["delayed"])
    assert world.steps == {"research": "failed"}
    world.pass_time(60.0)
    assert world.steps == {"research": "in_progress"}  # this server lets a step go back
    world.stop()
    world.close()
    world.deliver()
    assert world.steps == {"research": "failed"}
