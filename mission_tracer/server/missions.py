"""The operations on missions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, structs

from mission_tracer.models import CreateMissionRequest, ExecutionMode, MissionData, UpdateMissionRequest
from mission_tracer.server.answers import Answer, RefusedError, conflict, encode, one
from mission_tracer.server.attachments import KINDS, attached, copy_attachments
from mission_tracer.server.calls import new_id

if TYPE_CHECKING:
    from mission_tracer.server.calls import Call

PAGE_SIZE = 20
_decoder = msgspec.json.Decoder(MissionData)
_fields_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


def list_missions(call: Call) -> Answer:
    """List all missions."""
    return call.page("missions", default_size=PAGE_SIZE)


def create(call: Call) -> Answer:
    """Create a mission."""
    request: CreateMissionRequest = call.body
    given = {name: value for name, value in structs.asdict(request).items() if value is not UNSET}
    return one(201, _insert(call, {"execution_mode": ExecutionMode.EXTERNAL, **given}))


def retrieve(call: Call) -> Answer:
    """Return one mission, with what is attached to it."""
    doc = call.mission()
    if call.behaviour.attached_in_mission == "omit":
        return one(200, doc)
    fields: dict[str, object] = dict(_fields_decoder.decode(doc))
    for kind in KINDS:
        docs = attached(call, kind)
        if docs:
            fields[kind] = [msgspec.Raw(doc) for doc in docs]
    return one(200, encode(fields))


def update(call: Call) -> Answer:
    """Replace a mission's definition; what the request leaves out is treated as `put_omitted` says."""
    mission = _decoder.decode(call.mission())
    request: UpdateMissionRequest = call.body
    given = structs.asdict(request)
    if call.behaviour.put_omitted == "clear":
        stays = {"name", "execution_mode"}
        given = {name: None if value is UNSET and name not in stays else value for name, value in given.items()}
    changes = {name: value for name, value in given.items() if value is not UNSET}
    doc = encode(structs.replace(mission, **changes, updated_at=call.now))
    call.store.replace("missions", doc, {"mission_id": mission.mission_id})
    return one(200, doc)


def delete(call: Call) -> Answer:
    """Delete a mission and all that belongs to it."""
    mission_id = call.path["mission_id"]
    try:
        call.mission()
    except RefusedError:
        return call.absent_delete("mission", mission_id)
    if call.behaviour.mission_delete == "conflict" and call.store.count("runs", mission_id=mission_id):
        raise conflict(f"mission {mission_id!r} has runs")
    call.store.delete("missions", mission_id=mission_id)
    return Answer(204)


def clone(call: Call) -> Answer:
    """Copy a mission and what is attached to it, not its runs."""
    mission = _decoder.decode(call.mission(any_id=True))
    fields = structs.asdict(mission)
    doc = _insert(call, {**fields, "name": f"{mission.name} (copy)"})
    copy_attachments(call, source=mission.mission_id, target=_decoder.decode(doc).mission_id)
    return one(201, doc)


def _insert(call: Call, fields: dict[str, object]) -> bytes:
    """Store a new mission with these fields."""
    new = {"mission_id": new_id(), "created_at": call.now, "updated_at": call.now}
    mission = MissionData(**{**fields, **new})  # type: ignore[arg-type]
    doc = encode(mission)
    call.store.insert("missions", doc, mission_id=mission.mission_id)
    return doc
