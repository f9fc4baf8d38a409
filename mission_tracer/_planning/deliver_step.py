"""Plan the requests that declare steps and change their status. Pure: see `actions`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from mission_tracer import facts
from mission_tracer._planning.actions import MALFORMED, Answer, Call, Flow, Refusal, Settle, Situation, park_if_gone
from mission_tracer._planning.deliver_event import post_event
from mission_tracer._planning.lane_state import LaneState, StepState
from mission_tracer._planning.records import StepRefused, StepRenamed, StepsDeclared, Unsent

_BATCH = 100
_UPDATE = "missions.runs.plan.update_step"
_FINAL = {"completed", "failed", "skipped"}


def declare_plan(fact: facts.PlanDeclared, at: Situation) -> Flow:
    yield from _declare(fact.steps, at)


def _declare(first: Iterable[facts.PlannedStep], at: Situation) -> Flow:
    """Put steps into the server's plan, together with those that are known to follow."""
    state = at.state
    # A late fact is one that somebody wants to be tried once more.
    refused = [step for step in first if at.late and state.step(step.step_id).refused]
    wanted = _missing([*first, *_foreseen(at.upcoming())], state)
    if not (refused or _missing(first, state)):
        return
    if "declare_steps" in state.intents:
        yield Settle("declare_steps")
        yield from _read_plan(at)
    elif state.joined:
        yield from _read_plan(at)
    for planned in refused:
        yield from _declare_again(planned, at)
    while batch := _batch(wanted, state):
        yield from _declare_batch(batch, at)


def _declare_again(planned: facts.PlannedStep, at: Situation) -> Flow:
    """Declare a step that was refused, and bring it to where it is by now."""
    step, before = at.state.step(planned.step_id), -1
    while step.refused and at.state.sequence != before:  # the plan may not be what we think
        before = at.state.sequence
        yield from _declare_batch([planned], at)
    if step.refused:
        return
    if step.status == "in_progress" or step.status in _FINAL:
        yield from set_step(at, planned.step_id, step, step.status, {})
    if at.state.closed:
        yield from end_step(at, planned.step_id, step)


def end_step(at: Situation, step_id: str, step: StepState) -> Flow:
    """End a step with its run when it is open, or was never reached."""
    if step.status == "in_progress":
        yield from set_step(at, step_id, step, "failed", {"reason": "the run ended while this step was open"})
    elif step.status == "pending" and step.declared:
        yield from set_step(at, step_id, step, "skipped", {"reason": "never reached"})


def _missing(steps: Iterable[facts.PlannedStep], state: LaneState) -> list[facts.PlannedStep]:
    """Choose the steps, each once and in their order, that the server neither has nor refused."""
    unique: dict[str, facts.PlannedStep] = {}
    for step in steps:
        known = state.steps.get(step.step_id)
        if known is None or not (known.declared or known.refused):
            unique.setdefault(step.step_id, step)
    return list(unique.values())


def _batch(wanted: list[facts.PlannedStep], state: LaneState) -> list[facts.PlannedStep]:
    """Choose steps for one request: never a child together with its parent, which no source allows or forbids."""
    missing = _missing(wanted, state)
    ids = {step.step_id for step in missing}
    return [step for step in missing if step.parent_step_id not in ids][:_BATCH] or missing[:1]


def _foreseen(upcoming: Iterable[facts.Fact]) -> Iterable[facts.PlannedStep]:
    for fact in upcoming:
        if isinstance(fact, facts.PlanDeclared):
            yield from fact.steps
        elif isinstance(fact, facts.StepEntered):
            yield _planned(fact)
        elif isinstance(fact, facts.RunClosed):
            return


def _planned(fact: facts.StepEntered) -> facts.PlannedStep:
    return facts.PlannedStep(fact.step_id, fact.description, fact.parent_step_id)


def _declare_batch(batch: list[facts.PlannedStep], at: Situation) -> Flow:
    state = at.state
    numbered = {step.step_id: state.sequence + n for n, step in enumerate(batch, start=1)}
    # A run joined from elsewhere may have its plan created by the other machine in this very moment.
    operation = "missions.runs.plan.add_steps" if state.plan_exists or state.joined else "missions.runs.plan.create"
    answer: Answer = yield Call(
        operation,
        at.path(),
        body={"steps": [_body(s, numbered[s.step_id]) for s in batch]},
        intent="declare_steps",
    )
    if answer.ok:
        yield StepsDeclared(numbered)
        return
    yield from park_if_gone(answer, at)
    before = state.sequence
    yield from _read_plan(at)
    if state.sequence != before or all(state.step(step.step_id).declared for step in batch):
        return  # the plan is not what we thought: go on from what it is
    if not state.plan_exists and operation == "missions.runs.plan.add_steps":
        answer = yield Call(
            "missions.runs.plan.create",
            at.path(),
            body={"steps": [_body(s, numbered[s.step_id]) for s in batch]},
            intent="declare_steps",
        )
        if answer.ok:
            yield StepsDeclared(numbered)
            return
    if len(batch) > 1:
        for step in batch:
            yield from _declare_batch([step], at)
        return
    yield from _declare_bare(batch[0], operation, answer, at)


def _declare_bare(step: facts.PlannedStep, operation: str, refused: Answer, at: Situation) -> Flow:
    """Declare a step without what the server may object to; when that fails too, the run goes on without the step."""
    if refused.status in MALFORMED | {404, 409} and (
        step.parent_step_id or step.metadata or len(step.description) > 200
    ):
        bare = facts.PlannedStep(step.step_id, step.description[:200])
        number = at.state.sequence + 1
        answer = yield Call(operation, at.path(), body={"steps": [_body(bare, number)]}, intent="declare_steps")
        if answer.ok:
            yield StepsDeclared({step.step_id: number})
            return
    yield StepRefused(step.step_id)
    yield Refusal(operation, refused.status, f"step {step.step_id!r}: {refused.why}")


def _body(step: facts.PlannedStep, sequence: int) -> dict[str, Any]:
    body: dict[str, Any] = {"step_id": step.step_id, "description": step.description, "sequence": sequence}
    if step.parent_step_id:
        body["parent_step_id"] = step.parent_step_id
    if step.metadata:
        body["metadata"] = step.metadata
    return body


def _read_plan(at: Situation) -> Flow:
    """Take in which steps the server has."""
    answer = yield Call("missions.runs.plan.retrieve", at.path())
    if answer.ok:
        found = {str(item["step_id"]): int(item.get("sequence") or 0) for item in answer.data}
        if found:
            yield StepsDeclared(found)
    elif answer.status == 404:
        yield from park_if_gone(answer, at)
    yield Unsent("declare_steps")


def enter_step(fact: facts.StepEntered, at: Situation) -> Flow:
    step = at.state.step(fact.step_id)
    yield from _declare([_planned(fact)], at)
    again = f" (attempt {fact.attempt})" if fact.attempt > 1 else ""
    metadata = {"attempt": fact.attempt} if fact.attempt > 1 else {}
    if not step.refused and not (at.late and step.status != "in_progress"):
        if fact.attempt > 1 and step.status in _FINAL:
            yield from _reopen_step(fact, step, at, metadata)
        else:
            yield from set_step(at, fact.step_id, step, "in_progress", metadata)
    about = fact.description if fact.description != fact.step_id else ""
    summary = f"Started {fact.step_id}{again}" + (f": {about}" if about else "")
    yield from _log(fact, at, "step_started", summary, metadata)


def _reopen_step(fact: facts.StepEntered, step: StepState, at: Situation, metadata: dict[str, Any]) -> Flow:
    """Begin a step again; where the server lets none go back, its new attempt gets a step of its own."""
    if step.sent_as is None or step.sent_as == fact.step_id:
        body = {"status": "in_progress", "metadata": {**step.metadata, **metadata}}
        answer = yield Call(_UPDATE, at.path(step_id=fact.step_id), body=body)
        if answer.ok:
            return
        current = yield Call("missions.runs.plan.step", at.path(step_id=fact.step_id))
        if current.ok and current.data.get("status") == "in_progress":
            return
    name = f"{fact.step_id}-attempt-{fact.attempt}"
    yield from _declare([facts.PlannedStep(name, fact.description, fact.parent_step_id)], at)
    yield StepRenamed(fact.step_id, name)
    yield from set_step(at, fact.step_id, step, "in_progress", metadata)


def leave_step(fact: facts.StepLeft, at: Situation) -> Flow:
    step = at.state.step(fact.step_id)
    metadata: dict[str, Any] = dict(fact.metadata)
    times: dict[str, Any] = {"ended_at": fact.at}
    if fact.duration_ms is not None:
        times["duration_ms"] = fact.duration_ms
    if fact.reason:
        metadata["reason"] = fact.reason
    if not step.refused and not (at.late and step.status != fact.status):
        yield from set_step(at, fact.step_id, step, fact.status, {**metadata, "mission_tracer": times})
    kind, verb = _ENDS.get(fact.status, ("status_change", fact.status))
    summary = f"{verb} {fact.step_id}" + (f": {fact.reason}" if fact.reason else "")
    details = {
        "status": fact.status,
        **({"duration_ms": fact.duration_ms} if fact.duration_ms is not None else {}),
        **({"error": fact.error} if fact.error else {}),
    }
    yield from _log(fact, at, kind, summary, details)


_ENDS = {
    "completed": ("step_completed", "Completed"),
    "failed": ("step_failed", "Failed"),
    "skipped": ("status_change", "Skipped"),
}


def set_step(at: Situation, step_id: str, step: StepState, status: str, metadata: dict[str, Any]) -> Flow:
    """Bring a step to a status, by way of what the server insists on."""
    sent_as = step.sent_as or step_id
    path = at.path(step_id=sent_as)
    whole = {**step.metadata, **metadata}
    body = {"status": status, "metadata": whole} if whole else {"status": status}
    answer: Answer = yield Call(_UPDATE, path, body=body, tolerant=at.stubborn)
    if answer.ok:
        return
    yield from park_if_gone(answer, at)
    current: Answer = yield Call("missions.runs.plan.step", path)
    known = current.data.get("status") if current.ok else None
    if known == status:
        return
    if current.status == 404:
        yield from _declare_batch([facts.PlannedStep(sent_as, sent_as)], at)
    if status != "in_progress":
        # It may not have begun for the server, or a change that came late has ended it.
        yield Call(_UPDATE, path, body={"status": "in_progress"})
    retry: Answer = yield Call(_UPDATE, path, body=body, tolerant=at.stubborn)
    if whole and not retry.ok:
        retry = yield Call(_UPDATE, path, body={"status": status})
    if not retry.ok:
        yield Refusal(_UPDATE, answer.status, f"step {step_id!r}: {answer.why}")


def straighten_steps(at: Situation) -> Flow:
    """Bring the steps back to where they were before a change whose answer was lost came late."""
    answer: Answer = yield Call("missions.runs.plan.retrieve", at.path())
    found = {item["step_id"]: item for item in answer.data} if answer.ok else {}
    for step_id, step in at.state.steps.items():
        sent_as = step.sent_as or step_id
        held = found.get(sent_as)
        if held is None or step.status not in _FINAL:
            continue
        body: dict[str, Any] = {} if held.get("status") == step.status else {"status": step.status}
        about = held.get("metadata") or step.metadata
        if body or any(about.get(name) != value for name, value in step.metadata.items()):
            yield Call(
                _UPDATE,
                at.path(step_id=sent_as),
                body={**body, "metadata": step.metadata} if step.metadata else body,
            )


def _log(
    fact: facts.StepEntered | facts.StepLeft, at: Situation, kind: str, summary: str, details: dict[str, Any]
) -> Flow:
    """Log the event that goes with a step's change."""
    refused = at.state.step(fact.step_id).refused
    payload = {**details, "mission_tracer": facts.mark(fact.id, fact.at)}
    if refused:
        payload["step_id"] = fact.step_id
    body = facts.EventBody(
        type=kind,
        summary=summary,
        step_id=msgspec.UNSET if refused else fact.step_id,
        agent_id=fact.agent_id or msgspec.UNSET,
        payload=payload,
        idempotency_key=f"{at.state.key}.{fact.id}",
    )
    yield from post_event(facts.encode(body), at)
