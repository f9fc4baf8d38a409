"""Read what a user gives as an event. Whatever it is, an event comes of it; strict, a wrong argument is an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from mission_tracer._base.checks import check_mapping, check_text, unless_none
from mission_tracer.models import EventType

if TYPE_CHECKING:
    from mission_tracer._capture import Capture

_TYPES = {str(kind): str(kind) for kind in EventType}
_SUMMARY = 500  # characters


GivenEvent: TypeAlias = "tuple[str, str, dict[str, Any] | None, str | None, str | None, str | None]"
"""An event that can be recorded: type, summary, payload, step, agent and idempotency key."""


def check_event(type: object, summary: object, payload: object, **ids: object) -> None:
    """Check an event's arguments.

    Raises:
        ValueError: The type is none of the API's.
        TypeError: An argument has the wrong type.
    """
    if not isinstance(type, str) or type not in _TYPES:
        raise ValueError(f"type must be one of {', '.join(sorted(_TYPES))}, not {type!r:.200}")
    check_text(summary, "summary")
    unless_none(check_mapping, payload, "payload")
    for what, value in ids.items():
        unless_none(check_text, value, what)


def read_event(
    capture: Capture, type: Any, summary: Any, payload: Any, step: Any, agent_id: Any, idempotency_key: Any
) -> GivenEvent:
    """Make an event of any arguments: an unknown type becomes `custom`, with its name in the payload."""
    shown = None if payload is None else capture.mapping(payload)
    kind = _TYPES.get(type) if isinstance(type, str) else None
    if kind is None:
        kind, shown = "custom", {**(shown or {}), "event_type": capture.text(type)}
    return (
        kind,
        capture.text(summary, max_chars=_SUMMARY),
        shown,
        None if step is None else _id(step, capture.name, capture),
        None if agent_id is None else _id(agent_id, capture.name, capture),
        None if idempotency_key is None else _id(idempotency_key, capture.key, capture),
    )


def _id(value: Any, shown: Callable[[str], str], capture: Capture) -> str:
    return shown(value if isinstance(value, str) else capture.text(value))
