"""Which status may follow which, and what moves with it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from msgspec import structs

from mission_tracer.models import MissionRunData, PlanStepData, RunStatus, StepStatus
from mission_tracer.server.answers import conflict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mission_tracer.server.behaviour import Behaviour

R, S = RunStatus, StepStatus
_Thing = TypeVar("_Thing", MissionRunData, PlanStepData)

FINISHED_RUN = frozenset({R.SUCCEEDED, R.FAILED, R.CANCELLED})
FINISHED_STEP = frozenset({S.COMPLETED, S.FAILED, S.SKIPPED})

RUN_FOLLOWS: Mapping[RunStatus, frozenset[RunStatus]] = {
    R.PENDING: FINISHED_RUN | {R.RUNNING},
    R.RUNNING: FINISHED_RUN | {R.PAUSED},
    R.PAUSED: FINISHED_RUN | {R.RUNNING},
}
"""What PATCH may make of a run; a finished one stays as it is."""

ACTION_NEEDS: Mapping[RunStatus, frozenset[RunStatus]] = {
    R.PAUSED: frozenset({R.RUNNING}),
    R.RUNNING: frozenset({R.PAUSED}),
    R.CANCELLED: frozenset({R.RUNNING, R.PAUSED}),
}
"""What a run has to be before pause, resume or cancel make it the key's status."""

STEP_FOLLOWS: Mapping[StepStatus, frozenset[StepStatus]] = {
    S.PENDING: FINISHED_STEP | {S.IN_PROGRESS},
    S.IN_PROGRESS: FINISHED_STEP,
}
"""What PATCH may make of a step; `step_transitions=conflict` adds failed -> in_progress."""


def move_run(run: MissionRunData, status: RunStatus, *, now: datetime, behaviour: Behaviour) -> MissionRunData:
    """Return the run in the status that a PATCH asks for.

    Raises:
        RefusedError: 409, as `same_status` and `run_transitions` say.
    """
    allowed = status in RUN_FOLLOWS.get(RunStatus(run.status), ())
    return _move_run(run, status, allowed=allowed, now=now, behaviour=behaviour)


def act_on_run(run: MissionRunData, status: RunStatus, *, now: datetime, behaviour: Behaviour) -> MissionRunData:
    """Return the run in the status that pause, resume or cancel lead to.

    Raises:
        RefusedError: 409, as `same_status` and `run_transitions` say.
    """
    allowed = run.status in ACTION_NEEDS[status]
    return _move_run(run, status, allowed=allowed, now=now, behaviour=behaviour)


def _move_run(
    run: MissionRunData, status: RunStatus, *, allowed: bool, now: datetime, behaviour: Behaviour
) -> MissionRunData:
    if run.status == status:
        if behaviour.same_status == "conflict":
            raise conflict(f"run {run.run_id} is {status} already")
        return run
    if not allowed and behaviour.run_transitions == "conflict":
        raise conflict(f"run {run.run_id} is {run.status}: it cannot become {status}")
    finished_at = now if status in FINISHED_RUN else None
    return structs.replace(run, status=status.value, finished_at=finished_at)


def move_step(step: PlanStepData, status: StepStatus, *, now: datetime, behaviour: Behaviour) -> PlanStepData:
    """Return the step in the status that a PATCH asks for, with its times.

    Raises:
        RefusedError: 409, as `same_status` and `step_transitions` say.
    """
    if step.status == status:
        if behaviour.same_status == "conflict":
            raise conflict(f"step {step.step_id!r} is {status} already")
        return step
    if not _step_follows(StepStatus(step.status), status, behaviour):
        raise conflict(f"step {step.step_id!r} is {step.status}: it cannot become {status}")
    moved = structs.replace(step, status=status.value)
    return moved if behaviour.step_times == "none" else _timed(moved, status, now)


def _step_follows(old: StepStatus, new: StepStatus, behaviour: Behaviour) -> bool:
    if behaviour.step_transitions == "accept" or new in STEP_FOLLOWS.get(old, ()):
        return True
    return behaviour.step_transitions == "conflict" and (old, new) == (S.FAILED, S.IN_PROGRESS)


def _timed(step: PlanStepData, status: StepStatus, now: datetime) -> PlanStepData:
    """Set the times that go with a new status; a step that only was skipped never started."""
    if status == S.PENDING:
        return structs.replace(step, started_at=None, completed_at=None)
    started_at = step.started_at if status == S.SKIPPED else step.started_at or now
    completed_at = now if status in FINISHED_STEP else None
    return structs.replace(step, started_at=started_at, completed_at=completed_at)


def with_metadata(thing: _Thing, metadata: dict[str, object], behaviour: Behaviour) -> _Thing:
    """Return the run or step with the metadata of a PATCH."""
    old = (thing.metadata or {}) if behaviour.patch_metadata == "merge" else {}
    return structs.replace(thing, metadata={**old, **metadata})
