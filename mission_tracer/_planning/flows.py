"""Say which flow delivers which kind of fact. Pure: see `actions`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mission_tracer import facts
from mission_tracer._planning.actions import Call, Flow, Park, Situation
from mission_tracer._planning.deliver_event import link_agent, unlink_agent, write_event
from mission_tracer._planning.deliver_run import close_run, join_run, open_run, pause_run, resume_run
from mission_tracer._planning.deliver_step import declare_plan, enter_step, leave_step

_FLOWS: dict[type, Callable[[Any, Situation], Flow]] = {
    facts.RunOpened: open_run,
    facts.RunJoined: join_run,
    facts.PlanDeclared: declare_plan,
    facts.StepEntered: enter_step,
    facts.StepLeft: leave_step,
    facts.Event: write_event,
    facts.AgentLinked: link_agent,
    facts.AgentUnlinked: unlink_agent,
    facts.RunPaused: pause_run,
    facts.RunResumed: resume_run,
    facts.RunClosed: close_run,
}


def deliver(fact: facts.Fact, at: Situation) -> Flow:
    """Return the flow that delivers one fact.

    Raises:
        Park: (by the flow) The run cannot be delivered as things are.
        NotYet: (by the flow) Another machine must create the run first.
    """
    if at.state.run_id is None and not isinstance(fact, (facts.RunOpened, facts.RunJoined)):
        return _park("the journal does not say which mission the run belongs to: its first line is damaged")
    flow = _FLOWS[type(fact)](fact, at)
    return _with_a_look(flow, at) if at.stubborn and at.state.run_id is not None else flow


def _with_a_look(flow: Flow, at: Situation) -> Flow:
    """Blame the fact only when the server can be asked for the run: else it is out altogether."""
    yield Call("missions.runs.retrieve", at.path())
    yield from flow


def _park(why: str) -> Flow:
    yield from ()
    raise Park(why)


def is_free(fact: facts.Fact) -> bool:
    """Say whether a fact may be delivered together with its neighbours of the same kind, in any order."""
    return type(fact) is facts.Event
