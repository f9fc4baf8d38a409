"""The operations on the Telnyx agents linked to a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mission_tracer.models import LinkTelnyxAgentRequest, TelnyxAgentData
from mission_tracer.server.answers import Answer, conflict, encode, many, one

if TYPE_CHECKING:
    from mission_tracer.server.calls import Call


def list_linked(call: Call) -> Answer:
    """List the agents linked to a run."""
    call.run_doc()
    return many(200, call.listed("agents", run_id=call.path["run_id"]))


def link(call: Call) -> Answer:
    """Link an agent to a run."""
    call.run_doc()
    request: LinkTelnyxAgentRequest = call.body
    where = {"run_id": call.path["run_id"], "telnyx_agent_id": request.telnyx_agent_id}
    first = call.store.fetch("agents", **where)
    if first is not None:
        if call.behaviour.second_link == "conflict":
            raise conflict(f"agent {request.telnyx_agent_id!r} is linked already", duplicate=True)
        return one(201, first)
    doc = encode(TelnyxAgentData(**where, created_at=call.now))
    call.store.insert("agents", doc, **where)
    return one(201, doc)


def unlink(call: Call) -> Answer:
    """Unlink an agent from a run; its history stays."""
    call.run_doc()
    agent_id = call.path["telnyx_agent_id"]
    if not call.store.delete("agents", run_id=call.path["run_id"], telnyx_agent_id=agent_id):
        return call.absent_delete("linked agent", agent_id)
    return Answer(204)
