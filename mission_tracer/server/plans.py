"""The operations on a run's plan and its steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import UNSET

from mission_tracer.models import CreatePlanStepRequest, PlanStepData, StepStatus, UpdatePlanStepRequest
from mission_tracer.server.answers import Answer, InvalidError, conflict, encode, fault, many, one
from mission_tracer.server.calls import given, missing
from mission_tracer.server.transitions import move_step, with_metadata

if TYPE_CHECKING:
    from mission_tracer.server.calls import Call
    from mission_tracer.server.store import Store

PLAN_ORDER: Final = "sequence, seq"
_LARGEST = 2**63 - 1  # what SQLite can sort by; the document keeps the true number
_decoder = msgspec.json.Decoder(PlanStepData)


def retrieve(call: Call) -> Answer:
    """Return the steps of a plan."""
    run = call.run()
    if call.behaviour.absent_plan == "not_found" and not call.store.is_planned(run.run_id):
        raise missing("plan for run", run.run_id)
    return many(200, call.store.select("steps", order=PLAN_ORDER, run_id=run.run_id))


def create(call: Call) -> Answer:
    """Create the plan of a run."""
    run = call.run()
    if call.store.is_planned(run.run_id):
        if call.behaviour.second_plan == "conflict":
            raise conflict(f"run {run.run_id} has a plan already", duplicate=True)
        if call.behaviour.second_plan == "replace":
            call.store.delete("steps", run_id=run.run_id)
    return _add(call)


def add_steps(call: Call) -> Answer:
    """Add steps to the plan of a run."""
    run = call.run()
    if call.behaviour.steps_without_plan == "conflict" and not call.store.is_planned(run.run_id):
        raise conflict(f"run {run.run_id} has no plan to add to")
    return _add(call)


def retrieve_step(call: Call) -> Answer:
    """Return one step."""
    return one(200, _fetch(call))


def update_step(call: Call) -> Answer:
    """Report the progress of a step."""
    step = _decoder.decode(_fetch(call))
    request: UpdatePlanStepRequest = call.body
    if request.status is not UNSET:
        step = move_step(step, request.status, now=call.now, behaviour=call.behaviour)
    if request.metadata is not UNSET:
        step = with_metadata(step, request.metadata, call.behaviour)
    doc = encode(step)
    call.store.replace("steps", doc, {"run_id": step.run_id, "step_id": step.step_id})
    return one(200, doc)


def insert_step(store: Store, step: PlanStepData) -> bytes:
    """Store a step; return its document."""
    doc = encode(step)
    sequence = max(-_LARGEST, min(_LARGEST, step.sequence))
    store.insert("steps", doc, run_id=step.run_id, step_id=step.step_id, sequence=sequence)
    return doc


def _fetch(call: Call) -> bytes:
    call.run_doc()
    doc = call.store.fetch("steps", run_id=call.path["run_id"], step_id=call.path["step_id"])
    if doc is None:
        raise missing("step", call.path["step_id"])
    return doc


def _add(call: Call) -> Answer:
    """Store the steps of the request as far as the switches allow."""
    run_id, steps = call.path["run_id"], call.body.steps
    _check(call, steps)
    call.store.mark_planned(run_id)
    return many(201, [_insert(call, step) for step in steps])


def _insert(call: Call, request: CreatePlanStepRequest) -> bytes:
    run_id = call.path["run_id"]
    if call.behaviour.duplicate_step != "accept":
        first = call.store.fetch("steps", run_id=run_id, step_id=request.step_id)
        if first is not None:
            if call.behaviour.duplicate_step == "conflict":
                raise conflict(f"run {run_id} has a step {request.step_id!r} already", duplicate=True)
            return first
    step = PlanStepData(
        step_id=request.step_id,
        run_id=run_id,
        sequence=request.sequence,
        description=request.description,
        status=StepStatus.PENDING,
        parent_step_id=given(request.parent_step_id),
        metadata=given(request.metadata),
    )
    return insert_step(call.store, step)


def _check(call: Call, steps: list[CreatePlanStepRequest]) -> None:
    """Refuse a request whose steps cannot stand together."""
    behaviour = call.behaviour
    named = {step.step_id for step in steps}
    seen: set[str] = set()
    faults = []
    for index, step in enumerate(steps):
        where: list[str | int] = ["body", "steps", index]
        if not step.step_id:
            faults.append(fault([*where, "step_id"], "String should have at least 1 character", "string_too_short"))
        if step.step_id in seen and behaviour.duplicate_step == "conflict":
            faults.append(fault([*where, "step_id"], f"{step.step_id!r} stands twice in the request", "value_error"))
        seen.add(step.step_id)
        if step.parent_step_id is not UNSET and not _may_be_parent(call, step.parent_step_id, named):
            msg = f"{step.parent_step_id!r} cannot be a parent"
            faults.append(fault([*where, "parent_step_id"], msg, "value_error"))
    if faults:
        raise InvalidError(*faults)


def _may_be_parent(call: Call, parent: str, named: set[str]) -> bool:
    behaviour = call.behaviour
    if parent in named and behaviour.parent_in_request == "reject":
        return False
    if parent in named or behaviour.unknown_parent == "accept":
        return True
    return call.store.fetch("steps", run_id=call.path["run_id"], step_id=parent) is not None
