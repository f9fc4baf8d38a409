"""What a type checker knows about both clients; read by it, never run."""

from collections.abc import Coroutine
from typing import Any

from typing_extensions import assert_type

from mission_tracer.client import AsyncMissionsClient, AsyncPage, MissionsClient, Page, PendingPage
from mission_tracer.models import EventData, EventType, MissionData, MissionRunData, PlanStepData, RunStatus


def synchronous(client: MissionsClient) -> None:
    runs = client.missions.runs
    assert_type(client.missions.create(name="x"), MissionData)
    assert_type(client.missions.clone("m"), Any)
    assert_type(runs.pause_run("r", mission_id="m"), MissionRunData)
    assert_type(runs.update("r", mission_id="m", status=RunStatus.RUNNING), MissionRunData)
    assert_type(runs.plan.create("r", mission_id="m", steps=[{"step_id": "a"}]), list[PlanStepData])
    assert_type(runs.events.log("r", mission_id="m", type=EventType.CUSTOM, summary="s"), EventData)
    assert_type(runs.list("m"), Page[MissionRunData])
    for run in runs.list("m"):
        assert_type(run, MissionRunData)
    for page in client.missions.list().pages():
        assert_type(page.data, list[MissionData])


def mistakes(client: MissionsClient) -> None:
    client.missions.create(nme="x")  # type: ignore[call-arg]
    client.missions.create("x")  # type: ignore[call-arg]
    client.missions.retrieve(7)  # type: ignore[arg-type]
    client.missions.runs.pause("r")  # type: ignore[call-arg]
    client.missions.runs.list("m").data[0].no_such_field  # type: ignore[attr-defined]  # noqa: B018 - the mistake


async def asynchronous(client: AsyncMissionsClient) -> None:
    runs = client.missions.runs
    pending: Coroutine[Any, Any, MissionData] = client.missions.create(name="x")
    assert_type(await pending, MissionData)
    client.missions.delete("m")  # type: ignore[unused-coroutine]
    assert_type(runs.list("m"), PendingPage[MissionRunData])
    assert_type(await runs.list("m"), AsyncPage[MissionRunData])
    async for run in runs.list("m"):
        assert_type(run, MissionRunData)
    async for page in runs.list("m").pages():
        assert_type(page, AsyncPage[MissionRunData])
