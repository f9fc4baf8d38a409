"""What a user gives as an event."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

import mission_tracer as mt
from mission_tracer import EventType, facts

Journal = Callable[[], list[facts.Fact]]


def bodies(found: list[facts.Fact]) -> list[dict[str, Any]]:
    events = [json.loads(bytes(fact.body)) for fact in found if isinstance(fact, facts.Event)]
    for event in events:
        event["payload"].pop("mission_tracer")
        event.pop("idempotency_key")
    return events


class Quote:
    def __repr__(self) -> str:
        return "a quote"


@pytest.mark.parametrize(
    ("given", "recorded"),
    [
        ({"summary": 5}, {"summary": "5"}),
        ({"summary": ""}, {"summary": ""}),
        ({"payload": "text"}, {"payload": {"result": "text"}}),
        ({"payload": 0}, {"payload": {"result": 0}}),
        ({"payload": [1, 2]}, {"payload": {"result": [1, 2]}}),
        ({"payload": {}}, {"payload": {}}),
        ({"type": "note"}, {"payload": {"event_type": "note"}}),
        ({"type": ["note"]}, {"payload": {"event_type": '["note"]'}}),
        ({"type": None, "payload": [1]}, {"payload": {"event_type": "null", "result": [1]}}),
        ({"type": Quote()}, {"payload": {"event_type": "a quote"}}),
        ({"type": "message"}, {"type": "message"}),
        ({"type": EventType.MESSAGE}, {"type": "message"}),
        ({"step": 5}, {"step_id": "5"}),
        ({"agent_id": 5}, {"agent_id": "5"}),
    ],
)
def test_an_event_comes_of_anything(given: dict[str, Any], recorded: dict[str, Any], journal: Journal) -> None:
    """Whatever its arguments are, an event is recorded, in the form the API takes."""
    mt.configure(log_level="off")
    with mt.mission_run("m") as run:
        run.log_event(**{"summary": "it", **given})
    assert bodies(journal()) == [{"type": "custom", "summary": "it", "payload": {}, **recorded}]


def test_a_key_of_any_kind_is_kept(journal: Journal) -> None:
    """An idempotency key that is no text becomes one."""
    with mt.mission_run("m") as run:
        run.log_event("it", idempotency_key=7)  # type: ignore[arg-type]
    [event] = [fact for fact in journal() if isinstance(fact, facts.Event)]
    assert b'"idempotency_key":"7"' in bytes(event.body)


def test_keys_that_differ_only_in_a_secret_stay_different(journal: Journal) -> None:
    """An idempotency key is kept without the secret in it, and two different ones never become one."""
    tokens = ["ghp_" + letter * 36 for letter in "ab"]
    with mt.mission_run("m") as run:
        for token in [*tokens, tokens[0]]:
            run.log_event("it", idempotency_key=f"once {token}")
    events = [json.loads(bytes(fact.body)) for fact in journal() if isinstance(fact, facts.Event)]
    first, second, again = (event["idempotency_key"] for event in events)
    assert first == again != second
    assert not any(token in key for token in tokens for key in (first, second))


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"summary": 5}, TypeError, "summary must be a string, not int"),
        ({"summary": None}, TypeError, "summary must be a string"),
        ({"type": "note"}, ValueError, "type must be one of custom, error, .*, not 'note'"),
        ({"type": ["note"]}, ValueError, "type must be one of"),
        ({"payload": [1]}, TypeError, "payload must be a mapping"),
        ({"step": 5}, TypeError, "step must be a string"),
        ({"agent_id": 5}, TypeError, "agent_id must be a string"),
        ({"idempotency_key": 5}, TypeError, "idempotency_key must be a string"),
    ],
)
def test_strict_a_wrong_argument_is_an_error(given: dict[str, Any], error: Any, words: str, journal: Journal) -> None:
    """Strict, a wrong argument is an error at the call that names it, and nothing is recorded."""
    mt.configure(strict=True)
    with mt.mission_run("m") as run, pytest.raises(error, match=words):
        run.log_event(**{"summary": "it", **given})
    assert bodies(journal()) == []
