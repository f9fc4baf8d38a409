"""Read runs from the Missions API, or from the local server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any

import msgspec

from mission_tracer.cli._reading.picture import EventPicture, RunPicture, StepPicture, aware
from mission_tracer.client import MissionsClient
from mission_tracer.errors import NotFoundError
from mission_tracer.models import EventData, MissionRunData, PlanStepData

_SEARCHED = 1000
_PAGE = 100


def picture(client: MissionsClient, mission_id: str, run_id: str) -> RunPicture:
    """Read a run with its plan and all of its events.

    Raises:
        APIError: It cannot be read.
    """
    runs = client.missions.runs
    data = runs.retrieve(run_id, mission_id=mission_id)
    mission = client.missions.retrieve(mission_id)
    seen = outline(data, mission.name)
    try:
        plan = runs.plan.retrieve(run_id, mission_id=mission_id)
    except NotFoundError:
        plan = []  # a run without a plan
    seen.steps = [_step(step) for step in plan]
    events = runs.events.list(run_id, mission_id=mission_id, page_size=_PAGE)
    # The server stamps events as they arrive and may list them from either end; ours carry when they happened.
    seen.events = sorted((_event(event) for event in events), key=lambda event: aware(event.at))
    return seen


def outline(data: MissionRunData, mission: str) -> RunPicture:
    """Turn a run as the API gives it into a picture without plan and events."""
    return RunPicture(
        key=key_of(data),
        run_id=data.run_id,
        mission=mission,
        mission_id=data.mission_id,
        status=str(data.status),
        source="api",
        started_at=data.started_at,
        finished_at=data.finished_at,
        input=data.input,
        summary=data.result_summary,
        payload=data.result_payload,
        error=data.error,
    )


def key_of(data: MissionRunData) -> str | None:
    """Return our key of a run; `None` when another program made it."""
    mark = (data.metadata or {}).get("mission_tracer")
    key = mark.get("key") if isinstance(mark, dict) else None
    return key if isinstance(key, str) else None


def find_run(client: MissionsClient, word: str) -> MissionRunData | None:
    """Find the run that a word means among the recent ones: an id of Telnyx, our key, or the start of either.

    Raises:
        APIError: The runs cannot be listed.
        LookupError: The word means more than one.
    """
    found = {data.run_id: data for data in recent(client) if _means(word, data)}
    if len(found) > 1:
        raise LookupError(f"{word!r} means {len(found)} runs: {', '.join(list(found)[:4])}")
    return next(iter(found.values()), None)


def newest(client: MissionsClient) -> MissionRunData | None:
    """Find the recent run that began last; `None`: there is none.

    Raises:
        APIError: The runs cannot be listed.
    """
    return max(recent(client), key=lambda data: aware(data.started_at), default=None)


def recent(client: MissionsClient) -> Iterator[MissionRunData]:
    """Go through the recent runs of all missions."""
    return islice(client.missions.runs.list_runs(page_size=_PAGE), _SEARCHED)


def _means(word: str, data: MissionRunData) -> bool:
    return any(name.startswith(word) for name in (data.run_id, key_of(data) or ""))


def _step(data: PlanStepData) -> StepPicture:
    about: dict[str, Any] = data.metadata or {}
    ours = about.get("mission_tracer")
    took = ours.get("duration_ms") if isinstance(ours, dict) else None
    reason = about.get("reason")
    return StepPicture(
        step_id=data.step_id,
        description=data.description,
        status=str(data.status),
        parent_step_id=data.parent_step_id,
        started_at=data.started_at,
        completed_at=data.completed_at,
        duration_ms=took if isinstance(took, (int, float)) else None,
        reason=reason if isinstance(reason, str) else None,
        metadata=data.metadata,
    )


def _event(data: EventData) -> EventPicture:
    mark = (data.payload or {}).get("mission_tracer")
    return EventPicture(
        at=_moment(mark.get("at") if isinstance(mark, dict) else None) or data.timestamp,
        type=str(data.type),
        summary=data.summary,
        step_id=data.step_id,
        agent_id=data.agent_id,
        payload=data.payload,
        event_id=data.event_id,
    )


def _moment(text: object) -> datetime | None:
    try:
        return msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return None
