"""Statuses and what moves with them, for every pair and every setting."""

from datetime import datetime, timedelta, timezone
from itertools import product

import pytest

from mission_tracer.models import MissionRunData, PlanStepData, RunStatus, StepStatus
from mission_tracer.server import Behaviour
from mission_tracer.server.answers import RefusedError
from mission_tracer.server.transitions import FINISHED_RUN, FINISHED_STEP, act_on_run, move_run, move_step

THEN = datetime(2026, 11, 7, tzinfo=timezone.utc)
NOW = THEN + timedelta(hours=1)


def run_in(status):
    finished_at = THEN if status in FINISHED_RUN else None
    return MissionRunData(
        run_id="r", mission_id="m", status=status, started_at=THEN, updated_at=THEN, finished_at=finished_at
    )


def step_in(status):
    completed_at = THEN if status in FINISHED_STEP else None
    started_at = None if status == StepStatus.PENDING else THEN
    return PlanStepData(
        step_id="s",
        run_id="r",
        sequence=1,
        description="d",
        status=status,
        started_at=started_at,
        completed_at=completed_at,
    )


@pytest.mark.parametrize(("old", "new"), list(product(RunStatus, RunStatus)))
def test_a_run_has_an_end_exactly_when_it_is_over(old, new):
    """Whatever is accepted, `finished_at` is there in the final statuses and in no other."""
    for move in (move_run, act_on_run):
        if move is act_on_run and new not in {RunStatus.PAUSED, RunStatus.RUNNING, RunStatus.CANCELLED}:
            continue
        moved = move(run_in(old), new, now=NOW, behaviour=Behaviour(run_transitions="accept"))
        assert moved.status == new
        assert (moved.finished_at is not None) == (new in FINISHED_RUN)
        assert moved.started_at == THEN


@pytest.mark.parametrize(("old", "new"), list(product(StepStatus, StepStatus)))
def test_a_step_has_the_times_of_its_status(old, new):
    """Whatever is accepted, `completed_at` is there in the final statuses only, and never before `started_at`."""
    moved = move_step(step_in(old), new, now=NOW, behaviour=Behaviour(step_transitions="accept"))
    assert moved.status == new
    assert (moved.completed_at is not None) == (new in FINISHED_STEP)
    if new == StepStatus.PENDING:
        assert moved.started_at is None
    if new in {StepStatus.IN_PROGRESS, StepStatus.COMPLETED, StepStatus.FAILED}:
        assert moved.started_at is not None
        assert moved.completed_at is None or moved.started_at <= moved.completed_at


@pytest.mark.parametrize(("old", "new"), list(product(StepStatus, StepStatus)))
def test_each_setting_allows_at_least_what_a_stricter_one_does(old, new):
    """What `strict` allows `conflict` allows, and what `conflict` allows `accept` allows."""
    allowed = []
    for value in ("strict", "conflict", "accept"):
        try:
            move_step(step_in(old), new, now=NOW, behaviour=Behaviour(step_transitions=value))
        except RefusedError:
            allowed.append(False)
        else:
            allowed.append(True)
    assert allowed == sorted(allowed)
    assert allowed[-1]
