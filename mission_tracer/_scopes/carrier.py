"""Say a run or step in one text, and read such a text back from whatever carried it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlencode

from mission_tracer._context import HEADER
from mission_tracer._disk.directory import read_head
from mission_tracer.runs import Run
from mission_tracer.steps import Step

Carrier: TypeAlias = "Mapping[Any, Any] | Iterable[tuple[Any, Any]] | None"
"""Names and values, as a mapping or as pairs; texts or bytes."""

_NAMES = (HEADER, "http-mission-run", "mission-tracer-parent")  # the strongest first; the second is WSGI's
_LONGEST = 16384  # characters of a carrier's value


class UnreadableError(ValueError):
    """A carrier's value names no run."""


def describe(scope: Run | Step | None) -> str | None:
    """Say a run or step in one text that `continue_run` understands; `None` when nothing is recorded of it.

    From then on other processes may take part in the run.
    """
    run = scope.run if isinstance(scope, Step) else scope
    if run is None or run.stream is None:
        return None
    run.stream.shared = True
    values = {
        "key": run.key,
        "name": run.name,
        "mission_id": run.mission_id or _given_mission(run),
        "run_id": run.run_id,
        "step": scope.id if isinstance(scope, Step) else None,
    }
    return urlencode({name: value for name, value in values.items() if value is not None}, errors="replace")


def _given_mission(run: Run) -> str | None:
    """Return the id of a mission that was given by its id, before the server said anything."""
    directory = run.recorder.directory
    place = directory.find(run.key) if directory is not None else None
    head = read_head(directory, run.key) if directory is not None and place is not None else None
    return head.mission.id if head is not None else None


def read(carrier: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> dict[str, str] | None:
    """Return what a carrier says of a run: at least its `key`; `None` when it says nothing.

    Raises:
        UnreadableError: It says something that names no run.
    """
    found: dict[str, Any] = {}
    # Not every mapping of headers says that it is one: email's `Message` does not.
    items = getattr(carrier, "items", None)
    pairs: Any = carrier if items is None else items()
    for name, value in pairs:
        word = _text(name).lower().replace("_", "-")
        if word in _NAMES:
            found[word] = value
        elif name == "headers" and isinstance(value, (list, tuple)):  # ASGI's scope
            return read(value)
    for word in _NAMES:
        if word in found:
            return _parse(_text(found[word]))
    return None


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _parse(text: str) -> dict[str, str]:
    try:
        named = dict(parse_qsl(text, max_num_fields=20)) if len(text) <= _LONGEST else {}
    except ValueError:
        named = {}
    key = named.get("key", "")
    # It becomes a file's name: nothing but what `new_key` makes may pass.
    if not (1 <= len(key) <= 64 and key.isascii() and key.isalnum()):
        raise UnreadableError(f"{text!r:.200}")
    return named
