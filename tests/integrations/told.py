"""What the tests of the integrations read in a journal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from mission_tracer import facts


def bodies(found: Iterable[facts.Fact]) -> list[dict[str, Any]]:
    """The events of a journal, as they are sent, without our own mark."""
    told = []
    for fact in found:
        if isinstance(fact, facts.Event):
            body = msgspec.json.decode(fact.body)
            body.pop("idempotency_key")
            body["payload"].pop("mission_tracer")
            told.append(body)
    return told


def events(found: Iterable[facts.Fact]) -> list[tuple[str, str, str | None]]:
    """The events of a journal: type, summary and step."""
    return [(body["type"], body["summary"], body.get("step_id")) for body in bodies(found)]


def sequence(found: Iterable[facts.Fact]) -> list[str]:
    """What happened, in order: the facts' kinds, and events by their type and summary."""
    told = []
    for fact in found:
        if isinstance(fact, facts.Event):
            body = msgspec.json.decode(fact.body)
            told.append(f"{body['type']}: {body['summary']}")
        elif isinstance(fact, (facts.StepEntered, facts.StepLeft)):
            told.append(f"{fact.__struct_config__.tag} {fact.step_id}")
        else:
            told.append(str(fact.__struct_config__.tag))
    return told


def are_the_same(found: Iterable[Any], expected: Iterable[Any]) -> bool:
    """Say whether things are the very same; a wrapper is equal to what it wraps."""
    return all(one is other for one, other in zip(found, expected, strict=True))
