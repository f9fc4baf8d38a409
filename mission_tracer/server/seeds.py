"""Fill a store from a file or mapping, with the ids given there."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import structs

from mission_tracer.errors import ConfigurationError
from mission_tracer.models import (
    EventData,
    EventType,
    ExecutionMode,
    MissionData,
    MissionRunData,
    PlanStepData,
    RunStatus,
    StepStatus,
    TelnyxAgentData,
)
from mission_tracer.server.answers import encode
from mission_tracer.server.attachments import KINDS
from mission_tracer.server.calls import new_id
from mission_tracer.server.events import insert_event
from mission_tracer.server.plans import insert_step
from mission_tracer.server.transitions import FINISHED_RUN

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from mission_tracer.server.store import Store

    Row = dict[str, Any]

SECTIONS = ("missions", "runs", "steps", "events", "agents", *KINDS)


def read_seed(source: Mapping[str, Any] | str | os.PathLike[str] | None) -> Mapping[str, Any]:
    """Return a seed as a mapping of lists.

    Args:
        source: a mapping, the path of a JSON file, or None for nothing.

    Raises:
        ConfigurationError: the file cannot be read, or is not a JSON object of lists of objects.
    """
    if source is None:
        return {}
    if isinstance(source, Mapping):
        return check_seed(source)
    try:
        return check_seed(msgspec.json.decode(Path(source).read_bytes()))
    except OSError as error:
        raise ConfigurationError(f"cannot read the seed {error.filename}: {error.strerror}") from error
    except ConfigurationError as error:
        raise ConfigurationError(f"{source}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{source} is no JSON: {error}") from error


def check_seed(seed: Any) -> Mapping[str, Any]:
    """Return the seed if it is a mapping of known sections to lists of mappings.

    Raises:
        ConfigurationError: it is something else.
    """
    if not isinstance(seed, Mapping):
        raise ConfigurationError("the seed is not a JSON object")
    for name, rows in seed.items():
        if name not in SECTIONS:
            raise ConfigurationError(f"the seed has a section {name!r}; there are {', '.join(SECTIONS)}")
        if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
            raise ConfigurationError(f"the section {name} of the seed is not a list of objects")
    return seed


def load_seed(store: Store, seed: Mapping[str, Any], *, now: datetime) -> dict[str, int]:
    """Put a seed into the store, inside the caller's transaction.

    Args:
        store: where to; what is there stays.
        seed: what `read_seed` or `check_seed` returned.
        now: the time of everything that has none.

    Returns:
        How many rows each section had.

    Raises:
        ConfigurationError: a row lacks what it needs, repeats an id, or hangs on something that is not there.
    """
    for section in SECTIONS:
        for index, row in enumerate(seed.get(section, ())):
            with _placed(f"seed, {section}[{index}]"):
                _load(store, section, dict(row), now)
    return {section: len(seed.get(section, ())) for section in SECTIONS}


@contextmanager
def _placed(where: str) -> Iterator[None]:
    """Say of every error which row of the seed it is about."""
    try:
        yield
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{where}: {error}") from error
    except KeyError as error:
        raise ConfigurationError(f"{where}: {error} is missing") from error
    except sqlite3.IntegrityError as error:
        why = "its id is there already" if "UNIQUE" in str(error) else "its mission or run is not there"
        raise ConfigurationError(f"{where}: {why}") from error


def _load(store: Store, section: str, row: Row, now: datetime) -> None:
    loaders: dict[str, Callable[[Store, Row, datetime], None]] = {
        "missions": _load_mission,
        "runs": _load_run,
        "steps": _load_step,
        "events": _load_event,
        "agents": _load_agent,
    }
    if section in loaders:
        loaders[section](store, row, now)
    else:
        _load_attachment(store, section, row, now)


def _load_mission(store: Store, row: Row, now: datetime) -> None:
    mission = _convert(
        {"name": "Mission", "execution_mode": "external", "created_at": now, **_named(row, "mission_id", made=True)},
        MissionData,
        same={"updated_at": "created_at"},
    )
    _known(ExecutionMode, mission.execution_mode)
    store.insert("missions", encode(mission), mission_id=mission.mission_id)


def _load_run(store: Store, row: Row, now: datetime) -> None:
    run = _convert(
        {"status": "pending", "started_at": now, **_named(row, "run_id", made=True)},
        MissionRunData,
        same={"updated_at": "started_at"},
    )
    if _known(RunStatus, run.status) in FINISHED_RUN and run.finished_at is None:
        run = structs.replace(run, finished_at=run.updated_at)
    store.insert("runs", encode(run), run_id=run.run_id, mission_id=run.mission_id, status=run.status)


def _load_step(store: Store, row: Row, _now: datetime) -> None:
    row = _named(row, "step_id")
    sequence = store.count("steps", run_id=row["run_id"]) + 1
    row = {"sequence": sequence, "description": row["step_id"], "status": "pending", **row}
    step = _convert(row, PlanStepData)
    _known(StepStatus, step.status)
    if store.fetch("steps", run_id=step.run_id, step_id=step.step_id) is not None:
        raise sqlite3.IntegrityError("UNIQUE")  # a plan built by a seed names each step once
    insert_step(store, step)
    store.mark_planned(step.run_id)


def _load_event(store: Store, row: Row, now: datetime) -> None:
    row = {"type": "custom", "summary": "", "timestamp": now, **_named(row, "event_id", made=True)}
    event = _convert(row, EventData)
    _known(EventType, event.type)
    run = store.fetch("runs", run_id=event.run_id)
    if run is None:
        raise sqlite3.IntegrityError("FOREIGN KEY")
    insert_event(store, event, mission_id=msgspec.json.decode(run, type=MissionRunData).mission_id)


def _load_agent(store: Store, row: Row, now: datetime) -> None:
    agent = _convert({"created_at": now, **_named(row, "telnyx_agent_id")}, TelnyxAgentData)
    store.insert("agents", encode(agent), run_id=agent.run_id, telnyx_agent_id=agent.telnyx_agent_id)


def _load_attachment(store: Store, kind: str, row: Row, now: datetime) -> None:
    own = msgspec.convert(row.get("id", row.get(KINDS[kind], new_id())), str)
    doc = {"created_at": now, **row, "id": own}
    store.insert("attachments", encode(doc), mission_id=row["mission_id"], kind=kind, id=own)


def _named(row: Row, name: str, *, made: bool = False) -> Row:
    """Return the row with its id under the name the API gives it; `id` means the same.

    Args:
        row: the fields.
        name: the API's name for the id.
        made: invent an id when there is none.
    """
    if name in row:
        return row
    if "id" in row:
        return {**row, name: row["id"]}
    if made:
        return {**row, name: new_id()}
    raise KeyError(name)


def _convert(row: Row, kind: Any, *, same: Mapping[str, str] | None = None) -> Any:
    """Return the row as an answer of the API, its times in UTC.

    Args:
        row: the fields, with defaults.
        kind: the type.
        same: fields that take another one's value when they are left out.
    """
    for name, other in (same or {}).items():
        row.setdefault(name, row[other])
    thing = msgspec.convert(row, kind)
    times = {name: value for name, value in structs.asdict(thing).items() if isinstance(value, datetime)}
    return structs.replace(thing, **{name: value.astimezone(timezone.utc) for name, value in times.items()})


def _known(words: Any, word: str) -> Any:
    try:
        return words(word)
    except ValueError:
        allowed = ", ".join(map(str, words))
        raise msgspec.ValidationError(f"{word!r} is not one of {allowed}") from None
