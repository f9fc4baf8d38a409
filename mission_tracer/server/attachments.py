"""Knowledge bases, MCP servers and tools of a mission: whatever JSON was sent, with an id and a time.

The contract declares no shape for them. An object is stored with its fields; anything else becomes the field `value`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from mission_tracer.server.answers import Answer, encode, many, one
from mission_tracer.server.calls import missing, new_id
from mission_tracer.server.validation import decode_any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mission_tracer.server.calls import Call

KINDS: Mapping[str, str] = {
    "knowledge_bases": "knowledge_base_id",
    "mcp_servers": "mcp_server_id",
    "tools": "tool_id",
}
"""What can be attached, and what its id is called in a path."""


def attached(call: Call, kind: str) -> list[bytes]:
    """Return what of one kind is attached to the mission of the path."""
    return call.listed("attachments", mission_id=call.path["mission_id"], kind=kind)


def copy_attachments(call: Call, *, source: str, target: str) -> None:
    """Attach copies of all that one mission has to another, under new ids."""
    for kind in KINDS:
        for doc in call.store.select("attachments", mission_id=source, kind=kind):
            _insert(call, msgspec.json.decode(doc), kind=kind, mission_id=target)


def handlers(kind: str) -> dict[str, Callable[[Call], Answer]]:
    """Return the five operations on one kind, by name."""
    operations = {"list": _list, "create": _create, "retrieve": _retrieve, "update": _update, "delete": _delete}
    return {f"{kind}.{name}": partial(operation, kind=kind) for name, operation in operations.items()}


def _list(call: Call, *, kind: str) -> Answer:
    call.mission(any_id=True)
    return many(200, attached(call, kind))


def _create(call: Call, *, kind: str) -> Answer:
    call.mission(any_id=True)
    return one(201, _insert(call, _fields(call.body), kind=kind, mission_id=call.path["mission_id"]))


def _retrieve(call: Call, *, kind: str) -> Answer:
    return one(200, _fetch(call, kind))


def _update(call: Call, *, kind: str) -> Answer:
    old = msgspec.json.decode(_fetch(call, kind))
    doc = encode(
        {**_fields(call.body), "id": old["id"], "created_at": old["created_at"], "updated_at": call.now},
    )
    call.store.replace("attachments", doc, _where(call, kind))
    return one(200, doc)


def _delete(call: Call, *, kind: str) -> Answer:
    call.mission(any_id=True)
    if not call.store.delete("attachments", **_where(call, kind)):
        return call.absent_delete(_words(kind), call.path[KINDS[kind]])
    return Answer(204)


def _fetch(call: Call, kind: str) -> bytes:
    call.mission(any_id=True)
    doc = call.store.fetch("attachments", **_where(call, kind))
    if doc is None:
        raise missing(_words(kind), call.path[KINDS[kind]])
    return doc


def _words(kind: str) -> str:
    return KINDS[kind].removesuffix("_id").replace("_", " ")


def _where(call: Call, kind: str) -> dict[str, str]:
    return {"mission_id": call.path["mission_id"], "kind": kind, "id": call.path[KINDS[kind]]}


def _fields(body: bytes) -> dict[str, Any]:
    value = decode_any(body) if body.strip() else {}
    return value if isinstance(value, dict) else {"value": value}


def _insert(call: Call, fields: dict[str, Any], *, kind: str, mission_id: str) -> bytes:
    new = new_id()
    doc = encode({**fields, "id": new, "created_at": call.now, "updated_at": call.now})
    call.store.insert("attachments", doc, mission_id=mission_id, kind=kind, id=new)
    return doc
