"""Name the operations on runs and on what belongs to a run: its events, its plan, its Telnyx agents."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from mission_tracer._api.flow import Call, call
from mission_tracer._api.pages import D, Listing, Resource, lists, sends
from mission_tracer.models import (
    CreatePlanStepRequest,
    EventData,
    EventType,
    MissionRunData,
    PlanStepData,
    RunStatus,
    StepStatus,
    TelnyxAgentData,
)

JSON: TypeAlias = Mapping[str, Any]
Steps: TypeAlias = Iterable[CreatePlanStepRequest | JSON]
StepList: TypeAlias = list[PlanStepData]  # inside the classes `list` is an operation
AgentList: TypeAlias = list[TelnyxAgentData]


class Events(Resource[D]):
    """The audit trail of a run."""

    @sends
    def log(
        self,
        run_id: str,
        *,
        mission_id: str,
        summary: str,
        type: EventType | str,
        agent_id: str | None = None,
        idempotency_key: str | None = None,
        payload: JSON | None = None,
        step_id: str | None = None,
    ) -> Call[EventData]:
        """Log an event.

        Args:
            run_id: the run.
            mission_id: its mission.
            summary: one line for people.
            type: one of `EventType`.
            agent_id: who tells.
            idempotency_key: any string of your own; with it the event may be sent again and is retried after a lost
                answer, without it it is not.
            payload: anything JSON.
            step_id: the plan step it belongs to.
        """
        body = {
            "type": type,
            "summary": summary,
            "step_id": step_id,
            "agent_id": agent_id,
            "payload": payload,
            "idempotency_key": idempotency_key,
        }
        return call("runs.events.log", body=body, mission_id=mission_id, run_id=run_id)

    @lists
    def list(
        self,
        run_id: str,
        *,
        mission_id: str,
        agent_id: str | None = None,
        page_number: int | None = None,
        page_size: int | None = None,
        step_id: str | None = None,
        type: EventType | str | None = None,
    ) -> Listing[EventData]:
        """List a run's events, of one agent, step or type if given.

        Args:
            page_number: the page to begin with, from 1; None: the first.
            page_size: how many items a page has; None: as many as the server likes.
        """
        query = {"type": type, "step_id": step_id, "agent_id": agent_id, "page[size]": page_size}
        return Listing("runs.events.list", page_number, query, {"mission_id": mission_id, "run_id": run_id})

    @sends
    def retrieve(self, event_id: str, *, mission_id: str, run_id: str) -> Call[EventData]:
        """Get one event."""
        return call("runs.events.retrieve", mission_id=mission_id, run_id=run_id, event_id=event_id)

    get_event_details = retrieve


class Plan(Resource[D]):
    """The plan of a run."""

    @sends
    def create(self, run_id: str, *, mission_id: str, steps: Steps) -> Call[StepList]:
        """Create a run's plan.

        Args:
            run_id: the run.
            mission_id: its mission.
            steps: each with `step_id`, `description` and `sequence`, as `CreatePlanStepRequest` or as a dict.
        """
        return call("runs.plan.create", body={"steps": [*steps]}, mission_id=mission_id, run_id=run_id)

    @sends
    def retrieve(self, run_id: str, *, mission_id: str) -> Call[StepList]:
        """Get all steps of a run's plan."""
        return call("runs.plan.retrieve", mission_id=mission_id, run_id=run_id)

    @sends
    def add_steps(self, run_id: str, *, mission_id: str, steps: Steps) -> Call[StepList]:
        """Add steps to a run's plan; the answer holds the new ones."""
        return call("runs.plan.add_steps", body={"steps": [*steps]}, mission_id=mission_id, run_id=run_id)

    @sends
    def step(self, step_id: str, *, mission_id: str, run_id: str) -> Call[PlanStepData]:
        """Get one step."""
        return call("runs.plan.step", mission_id=mission_id, run_id=run_id, step_id=step_id)

    @sends
    def update_step(
        self,
        step_id: str,
        *,
        mission_id: str,
        run_id: str,
        metadata: JSON | None = None,
        status: StepStatus | str | None = None,
    ) -> Call[PlanStepData]:
        """Report a step's progress; nothing else of a step can change."""
        body = {"status": status, "metadata": metadata}
        return call("runs.plan.update_step", body=body, mission_id=mission_id, run_id=run_id, step_id=step_id)

    add_steps_to_plan = add_steps
    get_step_details = step


class TelnyxAgents(Resource[D]):
    """The Telnyx agents linked to a run."""

    @sends
    def list(self, run_id: str, *, mission_id: str) -> Call[AgentList]:
        """List a run's links."""
        return call("runs.telnyx_agents.list", mission_id=mission_id, run_id=run_id)

    @sends
    def link(self, run_id: str, *, mission_id: str, telnyx_agent_id: str) -> Call[TelnyxAgentData]:
        """Link an agent to a run."""
        body = {"telnyx_agent_id": telnyx_agent_id}
        return call("runs.telnyx_agents.link", body=body, mission_id=mission_id, run_id=run_id)

    @sends
    def unlink(self, telnyx_agent_id: str, *, mission_id: str, run_id: str) -> Call[None]:
        """Remove the link of an agent to a run; the run stays as it is."""
        return call("runs.telnyx_agents.unlink", mission_id=mission_id, run_id=run_id, telnyx_agent_id=telnyx_agent_id)


class Runs(Resource[D]):
    """The runs of missions."""

    def __init__(self, driver: D) -> None:
        super().__init__(driver)
        self.events = Events(driver)
        self.plan = Plan(driver)
        self.telnyx_agents = TelnyxAgents(driver)

    @sends
    def create(
        self, mission_id: str, *, input: JSON | None = None, metadata: JSON | None = None
    ) -> Call[MissionRunData]:
        """Start a run of a mission; `input` cannot change afterwards."""
        return call("runs.create", body={"input": input, "metadata": metadata}, mission_id=mission_id)

    @sends
    def retrieve(self, run_id: str, *, mission_id: str) -> Call[MissionRunData]:
        """Get one run."""
        return call("runs.retrieve", mission_id=mission_id, run_id=run_id)

    @sends
    def update(
        self,
        run_id: str,
        *,
        mission_id: str,
        error: str | None = None,
        metadata: JSON | None = None,
        result_payload: JSON | None = None,
        result_summary: str | None = None,
        status: RunStatus | str | None = None,
    ) -> Call[MissionRunData]:
        """Report a run's progress or outcome; what is left at None stays as it is."""
        body = {
            "status": status,
            "result_summary": result_summary,
            "result_payload": result_payload,
            "error": error,
            "metadata": metadata,
        }
        return call("runs.update", body=body, mission_id=mission_id, run_id=run_id)

    @lists
    def list(
        self,
        mission_id: str,
        *,
        page_number: int | None = None,
        page_size: int | None = None,
        status: RunStatus | str | None = None,
    ) -> Listing[MissionRunData]:
        """List a mission's runs, of one status if given.

        Args:
            mission_id: the mission.
            page_number: the page to begin with, from 1; None: the first.
            page_size: how many items a page has; None: as many as the server likes.
            status: one of `RunStatus`; None: any.
        """
        query = {"status": status, "page[size]": page_size}
        return Listing("runs.list", page_number, query, {"mission_id": mission_id})

    @lists
    def list_runs(
        self,
        *,
        page_number: int | None = None,
        page_size: int | None = None,
        status: RunStatus | str | None = None,
    ) -> Listing[MissionRunData]:
        """List the recent runs of every mission, of one status if given.

        Args:
            page_number: the page to begin with, from 1; None: the first.
            page_size: how many items a page has; None: as many as the server likes.
            status: one of `RunStatus`; None: any.
        """
        return Listing("runs.list_runs", page_number, {"status": status, "page[size]": page_size}, {})

    @sends
    def cancel(self, run_id: str, *, mission_id: str, body: object = None) -> Call[MissionRunData]:
        """Cancel a running or paused run."""
        return call("runs.cancel", json=body, mission_id=mission_id, run_id=run_id)

    @sends
    def pause(self, run_id: str, *, mission_id: str, body: object = None) -> Call[MissionRunData]:
        """Pause a running run."""
        return call("runs.pause", json=body, mission_id=mission_id, run_id=run_id)

    @sends
    def resume(self, run_id: str, *, mission_id: str, body: object = None) -> Call[MissionRunData]:
        """Resume a paused run."""
        return call("runs.resume", json=body, mission_id=mission_id, run_id=run_id)

    cancel_run = cancel
    pause_run = pause
    resume_run = resume
