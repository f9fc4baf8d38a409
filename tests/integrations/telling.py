"""Say what was recorded in few words, for comparing it whole."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from mission_tracer.facts import Event, Fact, RunClosed, RunOpened, StepEntered, StepLeft

VOLATILE = {"mission_tracer", "duration_ms", "traceback", "notes"}


def tell(facts: Iterable[Fact]) -> list[tuple[Any, ...]]:
    """Say each fact: its kind, and what it is about."""
    return [_said(fact) for fact in facts]


def payloads(facts: Iterable[Fact], kind: str) -> list[dict[str, Any]]:
    """Return the payloads of the events of one type, without what differs from run to run."""
    bodies = [msgspec.json.decode(fact.body) for fact in facts if isinstance(fact, Event)]
    return [_stable(body.get("payload", {})) for body in bodies if body["type"] == kind]


def runs(facts: Iterable[Fact]) -> list[list[tuple[Any, ...]]]:
    """Say each run apart; the facts are those of whole journals, one after the other."""
    found: list[list[tuple[Any, ...]]] = []
    for line in tell(facts):
        if line[0] == "run_opened":
            found.append([])
        found[-1].append(line)
    return found


def _said(fact: Fact) -> tuple[Any, ...]:
    if isinstance(fact, Event):
        body = msgspec.json.decode(fact.body)
        return (body["type"], body.get("step_id"), body["summary"])
    if isinstance(fact, RunOpened):
        return ("run_opened", fact.mission.name)
    if isinstance(fact, StepEntered):
        return ("step_entered", fact.step_id, fact.parent_step_id)
    if isinstance(fact, StepLeft):
        return ("step_left", fact.step_id, fact.status)
    if isinstance(fact, RunClosed):
        return ("run_closed", fact.status, fact.error or fact.payload)
    return (type(fact).__name__,)


def _stable(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _stable(item) for name, item in value.items() if name not in VOLATILE}
    return [_stable(item) for item in value] if isinstance(value, list) else value
