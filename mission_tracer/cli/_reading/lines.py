"""Draw a run as plain lines: whole, or what is new of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from mission_tracer.cli._reading.picture import (
    EventPicture,
    RunPicture,
    StepPicture,
    aware,
    in_words,
    run_seconds,
    step_seconds,
)
from mission_tracer.cli.output import blanked, clip

REPEATED = frozenset({"step_started", "step_completed", "step_failed", "status_change"})
"""Events that say again what the steps and the run say."""

_WIDTH = 110


def head(run: RunPicture) -> str:
    """Say in one line what a run is and how it is."""
    took = in_words(run_seconds(run))
    return blanked("  ".join(part for part in (run.mission, f"[{run.status}]", took) if part))


def names(run: RunPicture) -> list[str]:
    """Say by what names a run is known."""
    known = (("run", run.run_id), ("mission", run.mission_id), ("key", run.key))
    return [blanked(f"{what} {name}") for what, name in known if name]


def ends(run: RunPicture) -> list[str]:
    """Say what came of a run, and what of it is not delivered yet."""
    said = (("result", run.summary), ("error", run.error), ("note", run.waiting))
    return [f"{what}: {clip(text, 400)}" for what, text in said if text]


def whole(run: RunPicture, *, events: bool = True) -> list[str]:
    """Draw a run: its plan as an outline, each step with its events."""
    drawn = [head(run), f"  {', '.join(names(run))}"]
    for depth, step in outline(run):
        drawn.append("  " * (depth + 1) + step_line(step))
        if events:
            drawn += ["  " * (depth + 2) + event_line(event) for event in events_of(run, step.step_id)]
    if events:
        drawn += [f"  {event_line(event)}" for event in events_of(run, None)]
    return drawn + [f"  {line}" for line in ends(run)]


def outline(run: RunPicture) -> Iterator[tuple[int, StepPicture]]:
    """Go through the steps in the plan's order, each followed by its parts, with their depth."""
    known = {step.step_id for step in run.steps}
    seen: set[str] = set()

    def below(parent: str | None, depth: int) -> Iterator[tuple[int, StepPicture]]:
        for step in run.steps:
            above = step.parent_step_id if step.parent_step_id in known else None
            if above == parent and step.step_id not in seen:
                seen.add(step.step_id)
                yield depth, step
                yield from below(step.step_id, depth + 1)

    yield from below(None, 0)
    # Steps that are each other's parents hang from nothing; they are shown all the same.
    yield from ((0, step) for step in run.steps if step.step_id not in seen)


def events_of(run: RunPicture, step_id: str | None) -> list[EventPicture]:
    """List the events to be drawn at a step; `None`: those of no step that is drawn."""
    known = {step.step_id for step in run.steps}
    return [
        event
        for event in run.events
        if event.type not in REPEATED and (event.step_id if event.step_id in known else None) == step_id
    ]


def step_line(step: StepPicture) -> str:
    """Say in one line what a step is and how it is."""
    about = step.description if step.description != step.step_id else ""
    again = f"(attempt {step.attempt})" if step.attempt > 1 else ""
    said = (clip(text, _WIDTH // 2) for text in (about, step.reason or ""))
    parts = (step.step_id, f"[{step.status}]", in_words(step_seconds(step)), again, *said)
    return blanked("  ".join(part for part in parts if part))


def event_line(event: EventPicture) -> str:
    """Say in one line what happened."""
    return blanked(f"- {event.type}: {clip(event.summary, _WIDTH - 20)}")


class News:
    """Say what is new of a run each time it is looked at, in the order in which it happened."""

    def __init__(self) -> None:
        """Begin with nothing said."""
        self._status = ""
        self._said: set[tuple[str, ...]] = set()

    def of(self, run: RunPicture) -> list[str]:
        """Return a line for every change since the last look."""
        said = []
        if not self._status:
            said.append(blanked(f"run {run.name} of {run.mission}"))
        if run.is_open:
            said += self._turn(run)
        for _at, mark, line in sorted(_happenings(run), key=lambda happening: happening[0]):
            if mark not in self._said:
                self._said.add(mark)
                said.append(blanked(line))
        return said + self._turn(run)

    def _turn(self, run: RunPicture) -> list[str]:
        """Say how the run is now, if it was not before."""
        if self._status == run.status:
            return []
        self._status = run.status
        return [f"run {head(run)}", *([] if run.is_open else ends(run))]


def _happenings(run: RunPicture) -> Iterator[tuple[datetime, tuple[str, ...], str]]:
    """Go through what happened: when, a mark that tells it from all else, and a line."""
    told = {(event.type, event.step_id) for event in run.events}
    for number, event in enumerate(run.events):
        where = f"  ({event.step_id})" if event.step_id and event.type not in REPEATED else ""
        yield aware(event.at), ("event", event.event_id or str(number)), event_line(event) + where
    for step in run.steps:
        for status, at in (("in_progress", step.started_at), (step.status, step.completed_at)):
            if at is not None and (_TOLD_BY.get(status, ""), step.step_id) not in told:
                mark = ("step", step.step_id, status, str(step.attempt))
                ended = status != "in_progress"
                said = (in_words(step_seconds(step)), clip(step.reason or "", _WIDTH // 2)) if ended else ()
                yield aware(at), mark, "  ".join(part for part in ("step", step.step_id, f"[{status}]", *said) if part)


_TOLD_BY = {"in_progress": "step_started", "completed": "step_completed", "failed": "step_failed"}
