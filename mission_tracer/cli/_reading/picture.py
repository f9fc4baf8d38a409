"""What a person is shown of a run, wherever it is read from: the API or a journal."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

OPEN = frozenset({"pending", "running", "paused", "in_progress"})
"""The statuses that are no end."""


class EventPicture(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One event."""

    at: dt.datetime | None
    type: str
    summary: str
    step_id: str | None = None
    agent_id: str | None = None
    payload: Any = None
    event_id: str | None = None


class StepPicture(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One step of the plan."""

    step_id: str
    description: str
    status: str
    parent_step_id: str | None = None
    started_at: dt.datetime | None = None
    completed_at: dt.datetime | None = None
    duration_ms: float | None = None
    attempt: int = 1
    reason: str | None = None
    metadata: Any = None


class RunPicture(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One run with its plan and its events."""

    key: str | None = None
    run_id: str | None = None
    mission: str
    mission_id: str | None = None
    status: str
    source: str
    started_at: dt.datetime | None = None
    finished_at: dt.datetime | None = None
    input: Any = None
    summary: str | None = None
    payload: Any = None
    error: str | None = None
    steps: list[StepPicture] = []
    events: list[EventPicture] = []
    waiting: str | None = None

    @property
    def is_open(self) -> bool:
        """Say whether the run has not ended."""
        return self.status in OPEN

    @property
    def name(self) -> str:
        """What to call the run in a command: its id at Telnyx, or our key."""
        return self.run_id or self.key or "?"


def lasted(start: dt.datetime | None, end: dt.datetime | None) -> float | None:
    """Return the seconds between two moments; `None` when one is not known."""
    if start is None or end is None:
        return None
    return max(0.0, (aware(end) - aware(start)).total_seconds())


def run_seconds(run: RunPicture) -> float | None:
    """Return how long a run took, in seconds; `None` while it goes on.

    The server knows of a run, and of its end, later than they happened: the events say when.
    """
    if run.finished_at is None:
        return None
    moments = [aware(event.at) for event in run.events if event.at is not None]
    return lasted(min([aware(run.started_at), *moments]), max([aware(run.finished_at), *moments]))


def step_seconds(step: StepPicture) -> float | None:
    """Return how long a step took, in seconds: what its own process measured, else what the times say."""
    if step.duration_ms is not None:
        return step.duration_ms / 1000
    return lasted(step.started_at, step.completed_at)


def in_words(seconds: float | None) -> str:
    """Say a duration shortly; nothing for `None`."""
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def aware(moment: dt.datetime | None) -> dt.datetime:
    """Return a moment with its zone, UTC when none is said; the first of all moments for `None`."""
    if moment is None:
        return dt.datetime.min.replace(tzinfo=dt.timezone.utc)
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.timezone.utc)
