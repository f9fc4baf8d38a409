"""Begin a run, and say which run and step are under way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from mission_tracer import _context, facts
from mission_tracer.recorder import Recorder, about_this_process, handle_signals
from mission_tracer.runs import Run
from mission_tracer.steps import Step


def current_run() -> Run | None:
    """Return the run under way in this context; `None` outside of one."""
    scope = _context.current()
    return scope.run if isinstance(scope, Step) else scope


def current_step() -> Step | None:
    """Return the innermost step under way in this context; `None` outside of one."""
    scope = _context.current()
    return scope if isinstance(scope, Step) else None


def open_run(
    recording: Recorder,
    mission: facts.MissionSpec,
    *,
    values: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    plan: Iterable[facts.PlannedStep] = (),
    detached: bool = False,
) -> Run:
    """Begin a run; whoever begins it also ends it (`Run.end`).

    Args:
        recording: Takes the facts.
        mission: The mission it belongs to.
        values: The run's input, captured already; `None`: none.
        metadata: The run's metadata, any values.
        plan: The steps known beforehand.
        detached: True: the run under way in this context is not its parent.
    """
    if recording.settings.handle_signals:
        handle_signals(recording)
    mission = _without_secrets(mission, recording)
    outer = None if detached else _context.current()
    key = recording.new_key()
    stream = recording.open_stream(key, create=True)
    mark = {"key": key, **about_this_process()}
    run = Run(recording, stream, name=mission.name, outer=outer)
    parent = run.parent
    if parent is not None:
        mark["parent_run"] = {"key": parent.key, "mission": parent.name}
    recording.runs[key] = run
    recording.record(
        stream,
        facts.RunOpened,
        key=key,
        mission=mission,
        base_url=recording.settings.base_url if recording.settings.api_key else None,
        sends=recording.sends,
        input=values or None,
        metadata={**({} if metadata is None else recording.capture.mapping(metadata)), "mission_tracer": mark},
    )
    steps = list(plan)
    if steps:
        run.plan_read(steps)
    if parent is not None:
        child = {"key": key, "mission": mission.name}
        parent.log_event(f"Started run {key} of {mission.name!r}", payload={"child_run": child}, step=current_step())
    return run


def _without_secrets(mission: facts.MissionSpec, recording: Recorder) -> facts.MissionSpec:
    capture = recording.capture
    texts: dict[str, str] = {"name": capture.name(mission.name)}
    texts |= {
        name: capture.value(text)
        for name, text in (("description", mission.description), ("instructions", mission.instructions))
        if text
    }
    if mission.model:
        texts["model"] = capture.name(mission.model)
    return msgspec.structs.replace(mission, **texts)
