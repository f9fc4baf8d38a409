"""The operations on events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from mission_tracer.models import CreateEventRequest, EventData
from mission_tracer.server.answers import Answer, InvalidError, conflict, encode, fault, one
from mission_tracer.server.calls import given, missing, new_id
from mission_tracer.server.transitions import FINISHED_RUN

if TYPE_CHECKING:
    from mission_tracer.server.calls import Call
    from mission_tracer.server.store import Store

PAGE_SIZE = 50


def list_all(call: Call) -> Answer:
    """List the events of all runs."""
    return call.page("events", default_size=PAGE_SIZE, type=call.query.get("type"))


def list_of_run(call: Call) -> Answer:
    """List the events of one run."""
    call.run_doc()
    filters = {name: call.query.get(name) for name in ("type", "step_id", "agent_id")}
    return call.page("events", default_size=PAGE_SIZE, run_id=call.path["run_id"], **filters)


def retrieve(call: Call) -> Answer:
    """Return one event."""
    call.run_doc()
    doc = call.store.fetch("events", event_id=call.path["event_id"], run_id=call.path["run_id"])
    if doc is None:
        raise missing("event", call.path["event_id"])
    return one(200, doc)


def log(call: Call) -> Answer:
    """Log an event, once per idempotency key."""
    call.run_doc()
    request: CreateEventRequest = call.body
    first = _first_with_key(call, request)
    if first is not None:
        if call.behaviour.repeated_key == "conflict":
            raise conflict(f"an event with the key {request.idempotency_key!r} was logged already", duplicate=True)
        return one(201 if call.behaviour.repeated_key == "created" else 200, first)
    _check(call, request)
    event = EventData(
        event_id=new_id(),
        run_id=call.path["run_id"],
        type=request.type,
        summary=request.summary,
        timestamp=call.now,
        step_id=given(request.step_id),
        agent_id=given(request.agent_id),
        payload=given(request.payload),
        idempotency_key=given(request.idempotency_key),
    )
    return one(201, insert_event(call.store, event, mission_id=call.path["mission_id"]))


def insert_event(store: Store, event: EventData, *, mission_id: str) -> bytes:
    """Store an event; return its document."""
    doc = encode(event)
    store.insert(
        "events",
        doc,
        event_id=event.event_id,
        run_id=event.run_id,
        mission_id=mission_id,
        type=event.type,
        step_id=event.step_id,
        agent_id=event.agent_id,
        key=event.idempotency_key,
        at=event.timestamp.timestamp(),
    )
    return doc


def _first_with_key(call: Call, request: CreateEventRequest) -> bytes | None:
    key, lifetime = request.idempotency_key, call.behaviour.key_lifetime
    if key is UNSET or lifetime == 0:
        return None
    scope = {}
    if call.behaviour.key_scope != "organization":
        name = f"{call.behaviour.key_scope}_id"
        scope[name] = call.path[name]
    since = 0.0 if lifetime == "forever" else call.now.timestamp() - lifetime
    return call.store.find_key(key, since=since, **scope)


def _check(call: Call, request: CreateEventRequest) -> None:
    """Refuse an event that the run's state or plan does not allow."""
    if call.behaviour.event_after_finish == "conflict":
        run = call.run()
        if run.status in FINISHED_RUN:
            raise conflict(f"run {run.run_id} is {run.status}: it takes no more events")
    if call.behaviour.event_unknown_step == "accept" or request.step_id is UNSET:
        return
    if call.store.fetch("steps", run_id=call.path["run_id"], step_id=request.step_id) is None:
        msg = f"The plan has no step {request.step_id!r}"
        raise InvalidError(fault(["body", "step_id"], msg, "value_error"))
