"""Telnyx's resources: the 33 schemas of the Missions API, under its own names.

Requests: a field left out stays absent on the wire (`UNSET`); the API knows no nulls.

Answers are read leniently, since the server may be newer than this package: unknown fields are skipped,
`null` reads as absent, every time is aware (one without an offset is UTC), and a status or type is a plain
string, so that a value added tomorrow can be read today. The enums are strings too, so
`run.status == RunStatus.RUNNING` works as expected.
"""

from datetime import datetime, timezone
from enum import Enum
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType
from typing_extensions import dataclass_transform

JSONObject: TypeAlias = dict[str, Any]


class _Word(str, Enum):
    def __str__(self) -> str:
        return str(self.value)


class ExecutionMode(_Word):
    """Who executes a mission: a program of yours, or Telnyx."""

    EXTERNAL = "external"
    MANAGED = "managed"


class RunStatus(_Word):
    """Where a run stands."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class StepStatus(_Word):
    """Where a plan step stands."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    SKIPPED = "skipped"
    FAILED = "failed"


class EventType(_Word):
    """What an event tells of."""

    STATUS_CHANGE = "status_change"
    STEP_STARTED = "step_started"
    STEP_COMPLETED = "step_completed"
    STEP_FAILED = "step_failed"
    TOOL_CALL = "tool_call"
    TOOL_RESULT = "tool_result"
    MESSAGE = "message"
    ERROR = "error"
    CUSTOM = "custom"


# What an answer holds: a known value of the enum in `extra`, or a newer one.
ExecutionModeText: TypeAlias = Annotated[str, msgspec.Meta(extra={"enum": ExecutionMode})]
RunStatusText: TypeAlias = Annotated[str, msgspec.Meta(extra={"enum": RunStatus})]
StepStatusText: TypeAlias = Annotated[str, msgspec.Meta(extra={"enum": StepStatus})]
EventTypeText: TypeAlias = Annotated[str, msgspec.Meta(extra={"enum": EventType})]


# The decorator says to type checkers that these hold for every subclass; at run time all but `kw_only` do.
@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class _Schema(msgspec.Struct, frozen=True, omit_defaults=True):
    pass


class _Answer(_Schema):
    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if type(value) is datetime and value.tzinfo is None:
                msgspec.structs.force_setattr(self, name, value.replace(tzinfo=timezone.utc))


# -- requests --------------------------------------------------------------------------------------


class CreateMissionRequest(_Schema, kw_only=True):
    """A mission to create; the server's default for `execution_mode` is `external`."""

    name: str
    description: str | UnsetType = UNSET
    model: str | UnsetType = UNSET
    instructions: str | UnsetType = UNSET
    execution_mode: ExecutionMode | UnsetType = UNSET
    metadata: JSONObject | UnsetType = UNSET


class UpdateMissionRequest(_Schema, kw_only=True):
    """The new definition of a mission."""

    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    model: str | UnsetType = UNSET
    instructions: str | UnsetType = UNSET
    execution_mode: ExecutionMode | UnsetType = UNSET
    metadata: JSONObject | UnsetType = UNSET


class CreateMissionRunRequest(_Schema, kw_only=True):
    """A run to start; `input` cannot change afterwards."""

    input: JSONObject | UnsetType = UNSET
    metadata: JSONObject | UnsetType = UNSET


class UpdateMissionRunRequest(_Schema, kw_only=True):
    """The progress or outcome of a run."""

    status: RunStatus | UnsetType = UNSET
    result_summary: str | UnsetType = UNSET
    result_payload: JSONObject | UnsetType = UNSET
    error: str | UnsetType = UNSET
    metadata: JSONObject | UnsetType = UNSET


class CreatePlanStepRequest(_Schema, kw_only=True):
    """One step of a plan; `step_id` is chosen by the client and stands in URLs."""

    step_id: str
    description: str
    sequence: int
    parent_step_id: str | UnsetType = UNSET
    metadata: JSONObject | UnsetType = UNSET


class CreatePlanRequest(_Schema, kw_only=True):
    """The first steps of a run's plan."""

    steps: list[CreatePlanStepRequest]


class AddPlanStepsRequest(_Schema, kw_only=True):
    """More steps for a run's plan."""

    steps: list[CreatePlanStepRequest]


class UpdatePlanStepRequest(_Schema, kw_only=True):
    """The progress of a step; nothing else of a step can change."""

    status: StepStatus | UnsetType = UNSET
    metadata: JSONObject | UnsetType = UNSET


class CreateEventRequest(_Schema, kw_only=True):
    """An event to log; with an `idempotency_key` it can be sent again without appearing twice."""

    type: EventType
    summary: str
    step_id: str | UnsetType = UNSET
    agent_id: str | UnsetType = UNSET
    payload: JSONObject | UnsetType = UNSET
    idempotency_key: str | UnsetType = UNSET


class LinkTelnyxAgentRequest(_Schema, kw_only=True):
    """A Telnyx agent to link to a run."""

    telnyx_agent_id: str


# -- what is answered ------------------------------------------------------------------------------


class MissionData(_Answer, kw_only=True):
    """A mission: the definition that runs are started from."""

    mission_id: str
    name: str
    execution_mode: ExecutionModeText
    created_at: datetime
    updated_at: datetime
    description: str | None = None
    model: str | None = None
    instructions: str | None = None
    metadata: JSONObject | None = None


class MissionRunData(_Answer, kw_only=True):
    """One run of a mission."""

    run_id: str
    mission_id: str
    status: RunStatusText
    started_at: datetime
    updated_at: datetime
    finished_at: datetime | None = None
    input: JSONObject | None = None
    metadata: JSONObject | None = None
    result_payload: JSONObject | None = None
    result_summary: str | None = None
    error: str | None = None


class PlanStepData(_Answer, kw_only=True):
    """One step of a run's plan."""

    step_id: str
    run_id: str
    sequence: int
    description: str
    status: StepStatusText
    parent_step_id: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    metadata: JSONObject | None = None


class EventData(_Answer, kw_only=True):
    """One entry of a run's audit trail."""

    event_id: str
    run_id: str
    type: EventTypeText
    summary: str
    timestamp: datetime
    step_id: str | None = None
    agent_id: str | None = None
    payload: JSONObject | None = None
    idempotency_key: str | None = None


class TelnyxAgentData(_Answer, kw_only=True):
    """The link of a Telnyx agent to a run."""

    run_id: str
    telnyx_agent_id: str
    created_at: datetime


class Meta(_Answer, kw_only=True):
    """Where a page stands among all pages."""

    page_number: int
    page_size: int
    total_pages: int
    total_results: int


# -- envelopes -------------------------------------------------------------------------------------


class MissionResponse(_Answer, kw_only=True):
    """One mission."""

    data: MissionData


class MissionRunResponse(_Answer, kw_only=True):
    """One run."""

    data: MissionRunData


class PlanStepResponse(_Answer, kw_only=True):
    """One step."""

    data: PlanStepData


class EventResponse(_Answer, kw_only=True):
    """One event."""

    data: EventData


class TelnyxAgentResponse(_Answer, kw_only=True):
    """One link."""

    data: TelnyxAgentData


class PlanResponse(_Answer, kw_only=True):
    """All steps of a plan."""

    data: list[PlanStepData]


class PlanStepsCreatedResponse(_Answer, kw_only=True):
    """The steps that were created."""

    data: list[PlanStepData]


class TelnyxAgentsListResponse(_Answer, kw_only=True):
    """All links of a run."""

    data: list[TelnyxAgentData]


class MissionsListResponse(_Answer, kw_only=True):
    """A page of missions."""

    data: list[MissionData]
    meta: Meta


class MissionRunsListResponse(_Answer, kw_only=True):
    """A page of runs."""

    data: list[MissionRunData]
    meta: Meta


class EventsListResponse(_Answer, kw_only=True):
    """A page of events."""

    data: list[EventData]
    meta: Meta


# -- refusals --------------------------------------------------------------------------------------


class ValidationError(_Answer, kw_only=True):
    """One fault of a request: where, and what."""

    loc: list[str | int]
    msg: str
    type: str


class HTTPValidationError(_Answer, kw_only=True):
    """The body of a 422."""

    detail: list[ValidationError] | None = None
