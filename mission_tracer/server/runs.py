"""The operations on runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET, structs

from mission_tracer.models import (
    CreateMissionRunRequest,
    EventData,
    EventType,
    MissionRunData,
    RunStatus,
    UpdateMissionRunRequest,
)
from mission_tracer.server.answers import Answer, encode, one
from mission_tracer.server.calls import given, new_id
from mission_tracer.server.events import insert_event
from mission_tracer.server.transitions import act_on_run, move_run, with_metadata

if TYPE_CHECKING:
    from mission_tracer.server.calls import Call

PAGE_SIZE = 20


def list_all(call: Call) -> Answer:
    """List the runs of all missions."""
    return call.page("runs", default_size=PAGE_SIZE, status=call.query.get("status"))


def list_of_mission(call: Call) -> Answer:
    """List the runs of one mission."""
    call.mission()
    status = call.query.get("status")
    return call.page("runs", default_size=PAGE_SIZE, mission_id=call.path["mission_id"], status=status)


def create(call: Call) -> Answer:
    """Start a run: it is pending, and its `started_at` is now."""
    call.mission()
    request: CreateMissionRunRequest = call.body
    run = MissionRunData(
        run_id=new_id(),
        mission_id=call.path["mission_id"],
        status=RunStatus.PENDING,
        started_at=call.now,
        updated_at=call.now,
        input=given(request.input),
        metadata=given(request.metadata),
    )
    doc = encode(run)
    call.store.insert("runs", doc, run_id=run.run_id, mission_id=run.mission_id, status=run.status)
    return one(201, doc)


def retrieve(call: Call) -> Answer:
    """Return one run."""
    return one(200, call.run_doc())


def update(call: Call) -> Answer:
    """Report progress or the outcome."""
    run = call.run()
    request: UpdateMissionRunRequest = call.body
    changed = run
    if request.status is not UNSET:
        changed = move_run(run, request.status, now=call.now, behaviour=call.behaviour)
    if request.metadata is not UNSET:
        changed = with_metadata(changed, request.metadata, call.behaviour)
    outcome = {name: getattr(request, name) for name in ("result_summary", "result_payload", "error")}
    results = {name: value for name, value in outcome.items() if value is not UNSET}
    return _store(call, run, structs.replace(changed, **results))


def pause(call: Call) -> Answer:
    """Pause a running run."""
    return _act(call, RunStatus.PAUSED)


def resume(call: Call) -> Answer:
    """Resume a paused run."""
    return _act(call, RunStatus.RUNNING)


def cancel(call: Call) -> Answer:
    """Cancel a running or paused run."""
    return _act(call, RunStatus.CANCELLED)


def _act(call: Call, status: RunStatus) -> Answer:
    run = call.run()
    return _store(call, run, act_on_run(run, status, now=call.now, behaviour=call.behaviour))


def _store(call: Call, old: MissionRunData, new: MissionRunData) -> Answer:
    """Write the changed run, and the event of its new status if there is to be one."""
    doc = encode(structs.replace(new, updated_at=call.now))
    call.store.replace("runs", doc, {"run_id": new.run_id}, status=new.status)
    if old.status != new.status and call.behaviour.status_event == "write":
        event = EventData(
            event_id=new_id(),
            run_id=new.run_id,
            type=EventType.STATUS_CHANGE,
            summary=f"Run status changed from {old.status} to {new.status}",
            payload={"from": old.status, "to": new.status},
            timestamp=call.now,
        )
        insert_event(call.store, event, mission_id=new.mission_id)
    return one(200, doc)
