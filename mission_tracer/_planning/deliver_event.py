"""Plan the requests that log an event and that link Telnyx agents. Pure: see `actions`."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import msgspec

from mission_tracer import facts
from mission_tracer._planning.actions import (
    Action,
    Answer,
    Call,
    Flow,
    Refusal,
    Settle,
    Situation,
    park_if_gone,
    select,
)
from mission_tracer._planning.records import Intended, Unsent

KEY_TRUST = 300.0
"""How long an idempotency key is relied on, in seconds. Nobody says how long the server keeps one, so an event whose
first answer was lost longer ago is looked for before it is sent again."""

_LOG = "missions.runs.events.log"


def write_event(fact: facts.Event, at: Situation) -> Flow:
    """Log an event as it was recorded."""
    yield from post_event(fact.body, at)


def post_event(body: bytes | msgspec.Raw, at: Situation) -> Flow:
    """Log an event; the server sees to it that its key takes effect once."""
    intent = f"event:{at.position}"
    first = at.state.intents.get(intent, at.sent_at)
    if first is not None and at.now - first > KEY_TRUST and (yield from _exists(body, at)):
        return
    answer: Answer = yield _post(body, at, tolerant=at.stubborn)
    if answer.ok:
        return
    yield from park_if_gone(answer, at)
    if answer.status == 409:
        if (yield from _exists(body, at)):
            return
        if first is not None:  # the first request may be under way still, with which this one is then in conflict
            yield Intended(intent, first)
            yield Settle(intent)
    for smaller in _smaller(answer.status, body):
        retry: Answer = yield _post(smaller, at)
        if retry.ok:
            return
    yield Refusal(_LOG, answer.status, answer.why)


def _post(body: bytes | msgspec.Raw, at: Situation, *, tolerant: bool = False) -> Call:
    return Call(_LOG, at.path(), body=body, intent=f"event:{at.position}", keyed=True, tolerant=tolerant)


def _smaller(status: int, body: bytes | msgspec.Raw) -> Iterator[bytes]:
    if status == 413 or status >= 500:
        yield _shrink(body)
    elif status in {400, 404, 409, 422}:
        event = _read(body)
        step_id = event.pop("step_id", None)
        if step_id is not None:  # the server may know no such step
            event["payload"] = {**event["payload"], "step_id": step_id}
            yield msgspec.json.encode(event)


def _read(body: bytes | msgspec.Raw) -> dict[str, Any]:
    """Read an event's body, which always has a payload then; what a later version wrote may have any form."""
    found = msgspec.json.decode(body)
    event: dict[str, Any] = found if isinstance(found, dict) else {}
    if not isinstance(event.get("payload"), dict):
        event["payload"] = {}
    return event


def _shrink(body: bytes | msgspec.Raw) -> bytes:
    """Keep an event's type, summary and place, and of its payload only how large it was."""
    event = _read(body)
    payload = event["payload"]
    event["summary"] = str(event.get("summary", ""))[:1000]
    event["payload"] = {
        "truncated": {
            "bytes": len(msgspec.json.encode(payload)),
            "keys": [str(key)[:100] for key in payload][:50],
        },
        "mission_tracer": payload.get("mission_tracer"),
    }
    return msgspec.json.encode(event)


def _exists(body: bytes | msgspec.Raw, at: Situation) -> Generator[Action, Any, bool]:
    """Look for an event among the run's by its key, or by our mark in its payload."""
    event = _read(body)
    key, ours = event.get("idempotency_key"), _mark(event)

    def same(item: dict[str, Any]) -> bool:
        return (key is not None and item.get("idempotency_key") == key) or (ours is not None and _mark(item) == ours)

    _, found = yield from select("missions.runs.events.list", at.path(), {"type": event.get("type")}, same, first=True)
    return bool(found)


def _mark(event: dict[str, Any]) -> str | None:
    payload = event.get("payload")
    ours = payload.get("mission_tracer") if isinstance(payload, dict) else None
    return ours.get("id") if isinstance(ours, dict) else None


def leave_out(fact: facts.Fact, at: Situation) -> Flow:
    """Give a fact up on which the server fails again and again, if it takes a note of that in its place.

    When the server takes nothing at all, this is an outage, and the fact waits like every other one.
    """
    kind = fact.__struct_config__.tag
    body = facts.EventBody(
        type="error",
        summary=f"mission_tracer could not deliver a fact ({kind}): the server failed on it {at.failures} times",
        payload={"mission_tracer": {"left_out": fact.id, "fact": kind, "at": fact.at}},
        idempotency_key=f"{at.state.key}.{fact.id}.left-out",
    )
    answer: Answer = yield Call(_LOG, at.path(), body=facts.encode(body), intent=f"left-out:{at.position}", keyed=True)
    yield from park_if_gone(answer, at)
    yield Refusal("", 500, f"the server failed on it {at.failures} times, and takes other facts")


def link_agent(fact: facts.AgentLinked, at: Situation) -> Flow:
    """Link a Telnyx agent to the run, once."""
    agent = fact.telnyx_agent_id
    intent = f"link:{agent}"
    if intent in at.state.intents:
        yield Settle(intent)
        if (yield from _is_linked(agent, at)):
            yield Unsent(intent)
            return
    answer: Answer = yield Call(
        "missions.runs.telnyx_agents.link", at.path(), body={"telnyx_agent_id": agent}, intent=intent
    )
    yield Unsent(intent)
    if not answer.ok:
        yield from park_if_gone(answer, at)
        if not (yield from _is_linked(agent, at)):
            yield Refusal("missions.runs.telnyx_agents.link", answer.status, answer.why)


def _is_linked(agent: str, at: Situation) -> Generator[Action, Any, bool]:
    answer: Answer = yield Call("missions.runs.telnyx_agents.list", at.path())
    return answer.ok and any(item.get("telnyx_agent_id") == agent for item in answer.data)


def unlink_agent(fact: facts.AgentUnlinked, at: Situation) -> Flow:
    """Take a Telnyx agent off the run; one that is not there is off already.

    A request whose answer was lost is awaited: it might come after the agent was linked again.
    """
    intent = f"unlink:{fact.telnyx_agent_id}"
    if intent in at.state.intents:
        yield Settle(intent)
    answer: Answer = yield Call(
        "missions.runs.telnyx_agents.unlink", at.path(telnyx_agent_id=fact.telnyx_agent_id), intent=intent
    )
    yield Unsent(intent)
    if not answer.ok and answer.status != 404:
        yield Refusal("missions.runs.telnyx_agents.unlink", answer.status, answer.why)
