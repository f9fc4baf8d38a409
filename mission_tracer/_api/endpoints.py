"""Know the 41 operations of the Missions API as data: how a request is built and what its answer means.

Pure: nothing here opens a connection, reads a clock or an environment variable.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import msgspec
from msgspec import UNSET

from mission_tracer import models as m
from mission_tracer.errors import APIResponseError, RequestLine, error_for, excerpt, explain

MAX_RETRY_AFTER = 3600.0
"""The longest wait `retry_after` reports, in seconds."""

_LONGEST_DATE = 64


class Request(NamedTuple):
    """One request, ready for any transport: only the base URL and the headers are missing."""

    method: str
    path: str
    query: str
    content: bytes | None

    @property
    def target(self) -> str:
        """Give the path with its query, as it follows the base URL."""
        return f"{self.path}?{self.query}" if self.query else self.path


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One row of the API.

    Args:
        name: our name, as in `client.missions.runs.pause`.
        sdk: the name in the official SDK.
        method: the HTTP method.
        path: the path template, with `{names}`.
        status: the declared status of success.
        request: the body's type; None: the API declares no body, any JSON may be sent.
        answer: the answer's type; None: any JSON, or nothing (204).
        query: the names of the query parameters, all optional.
        params: the names in the path, in order.
        pattern: the path with `%s` for each of `params`.
        unwrap: the answer is nothing but its `data`.
    """

    name: str
    sdk: str
    method: str
    path: str
    status: int
    request: type[msgspec.Struct] | None
    answer: type[msgspec.Struct] | None
    query: tuple[str, ...]
    params: tuple[str, ...]
    pattern: str
    unwrap: bool

    @property
    def repeatable(self) -> bool:
        """Tell whether sending it twice does what sending it once does (RFC 9110, 9.2.2; PATCH sets values)."""
        return self.method != "POST"


def build(
    operation: Operation,
    path: Mapping[str, str] = MappingProxyType({}),
    query: Mapping[str, object] = MappingProxyType({}),
    body: object = UNSET,
) -> Request:
    """Build the request of an operation.

    Args:
        operation: the row.
        path: every id of the path by name; each becomes exactly one percent-encoded segment.
        query: query parameters by name; None: not sent.
        body: a Struct of the operation's type; a mapping, which is checked against that type and sent whole,
            unknown fields included; `bytes` or `msgspec.Raw`, sent as they are; anything JSON where no type is
            declared; UNSET: no body, or an empty object where a type is declared.

    Raises:
        ValueError: an id is empty, `.` or `..`; a parameter is unknown or missing; the body has not the right type.
        TypeError: an id is no string, or something in the body has no JSON form.
    """
    if len(path) != len(operation.params):
        raise ValueError(f"{operation.name} takes the ids {operation.params}, not {tuple(path)}")
    where = operation.pattern % tuple([_segment(name, path.get(name)) for name in operation.params])
    return Request(operation.method, where, _query(operation, query), _content(operation, body))


def parse(
    operation: Operation,
    status: int,
    headers: Mapping[str, str],
    content: bytes,
    *,
    now: float,
    request: RequestLine | None = None,
) -> Any:
    """Give what a response means: the answer's data, a page with its `meta`, any JSON, or None on a 204.

    Args:
        operation: the row.
        status: the HTTP status; any 2xx is a success, whichever is declared.
        headers: names in lower case, or a mapping that ignores case.
        content: the body.
        now: seconds since the epoch, to read a `Retry-After` date.
        request: what was asked, for the errors; None: the row's method and path template.

    Raises:
        APIResponseError: a success whose body cannot be used.
        APIStatusError: any other status, as the class that stands for it.
    """
    line = request or RequestLine(operation.method, operation.path)
    if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        raise error_for(status)(
            _refusal(status, headers, content),
            request=line,
            status=status,
            body=_body(content),
            request_id=headers.get("x-request-id"),
            retry_after=retry_after(headers, now),
        )
    if operation.status == HTTPStatus.NO_CONTENT or (operation.answer is None and not content.strip()):
        return None
    try:
        answer: Any = msgspec.json.decode(content, type=operation.answer or Any)
    except (msgspec.DecodeError, RecursionError) as error:
        raise APIResponseError(
            _unusable(status, headers, content, error), request=line, status=status, body=excerpt(content)
        ) from None
    return answer.data if operation.unwrap else answer


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Read how many seconds the server asks to wait, at most `MAX_RETRY_AFTER`; None when it does not say.

    `retry-after-ms` wins over `Retry-After`, which is seconds or an HTTP date. A time that is past, and
    anything that cannot be read, is as if nothing was said.

    Args:
        headers: names in lower case, or a mapping that ignores case.
        now: seconds since the epoch.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name, "")[:_LONGEST_DATE].strip()
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
            return min(float(text) * unit, MAX_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(headers.get("retry-after", "")[:_LONGEST_DATE])
        seconds = moment.timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return None
    return min(seconds, MAX_RETRY_AFTER) if seconds >= 0 else None


def _segment(name: str, value: object) -> str:
    """Make an id one path segment: nothing in it can climb, split or end the path."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, not {type(value).__name__}")
    if value in {"", ".", ".."}:
        raise ValueError(f"{name} must not be {value!r}")
    return quote(value, safe="")


def _query(operation: Operation, query: Mapping[str, object]) -> str:
    if not query:
        return ""
    unknown = query.keys() - set(operation.query)
    if unknown:
        raise ValueError(f"{operation.name} takes the parameters {operation.query}, not {sorted(unknown)}")
    return urlencode([(name, value) for name, value in query.items() if value is not None])


def _content(operation: Operation, body: object) -> bytes | None:
    if isinstance(body, bytes):
        return body
    if isinstance(body, msgspec.Raw):
        return bytes(body)
    if operation.request is None:
        return None if body is UNSET else msgspec.json.encode(body)
    given = {} if body is UNSET else body
    if isinstance(given, Mapping):
        try:
            msgspec.convert(given, operation.request)
        except msgspec.ValidationError as error:
            raise ValueError(f"{operation.name}: {error}") from None
    elif not isinstance(given, operation.request):
        raise TypeError(f"{operation.name} takes a {operation.request.__name__}, not a {type(given).__name__}")
    return msgspec.json.encode(given)


def _refusal(status: int, headers: Mapping[str, str], content: bytes) -> str:
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        target = excerpt(headers.get("location", "an unnamed place").encode())
        return f"{status}: the server redirects to {target}; redirects are not followed, set base_url to where it ends"
    return explain(status, headers.get("content-type"), content)


def _body(content: bytes) -> Any:
    if not content.strip():
        return None
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError):
        return content.decode("utf-8", "replace")


def _unusable(status: int, headers: Mapping[str, str], content: bytes, error: Exception) -> str:
    if not content.strip():
        return f"{status}, and the body is empty"
    if isinstance(error, msgspec.ValidationError):
        return f"{status}, and the answer is not as declared: {error}"
    return f"{status}, and the body is no usable JSON: {explain(status, headers.get('content-type'), content)}"


def _row(
    name: str,
    method: str,
    path: str,
    *,
    sdk: str | None = None,
    status: int = 200,
    request: type[msgspec.Struct] | None = None,
    answer: type[msgspec.Struct] | None = None,
    query: tuple[str, ...] = (),
) -> tuple[str, Operation]:
    name = f"missions.{name}"
    where = f"/ai/missions{path}"
    row = Operation(
        name=name,
        sdk=f"{name.rpartition('.')[0]}.{sdk}" if sdk else name,
        method=method,
        path=where,
        status=status,
        request=request,
        answer=answer,
        query=query,
        params=tuple(re.findall(r"\{(\w+)\}", where)),
        pattern=re.sub(r"\{\w+\}", "%s", where),
        unwrap=answer is not None and answer.__struct_fields__ == ("data",),
    )
    return name, row


_PAGE = ("page[number]", "page[size]")
_MISSION = "/{mission_id}"
_RUN = "/{mission_id}/runs/{run_id}"
_STEPS = "/{mission_id}/runs/{run_id}/plan/steps"
_AGENTS = "/{mission_id}/runs/{run_id}/telnyx-agents"
_BASES = "/{mission_id}/knowledge-bases"
_SERVERS = "/{mission_id}/mcp-servers"
_TOOLS = "/{mission_id}/tools"

# fmt: off
OPERATIONS: Mapping[str, Operation] = MappingProxyType(dict([
    _row("list", "GET", "", query=_PAGE, answer=m.MissionsListResponse),
    _row("create", "POST", "", status=201, request=m.CreateMissionRequest, answer=m.MissionResponse),
    _row("list_events", "GET", "/events", query=("type", *_PAGE), answer=m.EventsListResponse),
    _row("retrieve", "GET", _MISSION, answer=m.MissionResponse),
    _row("update", "PUT", _MISSION,
         sdk="update_mission", request=m.UpdateMissionRequest, answer=m.MissionResponse),
    _row("delete", "DELETE", _MISSION, sdk="delete_mission", status=204),
    _row("clone", "POST", _MISSION + "/clone", sdk="clone_mission", status=201),

    _row("runs.list_runs", "GET", "/runs", query=("status", *_PAGE), answer=m.MissionRunsListResponse),
    _row("runs.list", "GET", _MISSION + "/runs", query=("status", *_PAGE), answer=m.MissionRunsListResponse),
    _row("runs.create", "POST", _MISSION + "/runs",
         status=201, request=m.CreateMissionRunRequest, answer=m.MissionRunResponse),
    _row("runs.retrieve", "GET", _RUN, answer=m.MissionRunResponse),
    _row("runs.update", "PATCH", _RUN, request=m.UpdateMissionRunRequest, answer=m.MissionRunResponse),
    _row("runs.cancel", "POST", _RUN + "/cancel", sdk="cancel_run", answer=m.MissionRunResponse),
    _row("runs.pause", "POST", _RUN + "/pause", sdk="pause_run", answer=m.MissionRunResponse),
    _row("runs.resume", "POST", _RUN + "/resume", sdk="resume_run", answer=m.MissionRunResponse),

    _row("runs.events.list", "GET", _RUN + "/events",
         query=("type", "step_id", "agent_id", *_PAGE), answer=m.EventsListResponse),
    _row("runs.events.log", "POST", _RUN + "/events",
         status=201, request=m.CreateEventRequest, answer=m.EventResponse),
    _row("runs.events.retrieve", "GET", _RUN + "/events/{event_id}",
         sdk="get_event_details", answer=m.EventResponse),

    _row("runs.plan.retrieve", "GET", _RUN + "/plan", answer=m.PlanResponse),
    _row("runs.plan.create", "POST", _RUN + "/plan",
         status=201, request=m.CreatePlanRequest, answer=m.PlanStepsCreatedResponse),
    _row("runs.plan.add_steps", "POST", _STEPS,
         sdk="add_steps_to_plan", status=201, request=m.AddPlanStepsRequest, answer=m.PlanStepsCreatedResponse),
    _row("runs.plan.step", "GET", _STEPS + "/{step_id}", sdk="get_step_details", answer=m.PlanStepResponse),
    _row("runs.plan.update_step", "PATCH", _STEPS + "/{step_id}",
         request=m.UpdatePlanStepRequest, answer=m.PlanStepResponse),

    _row("runs.telnyx_agents.list", "GET", _AGENTS, answer=m.TelnyxAgentsListResponse),
    _row("runs.telnyx_agents.link", "POST", _AGENTS,
         status=201, request=m.LinkTelnyxAgentRequest, answer=m.TelnyxAgentResponse),
    _row("runs.telnyx_agents.unlink", "DELETE", _AGENTS + "/{telnyx_agent_id}", status=204),

    _row("knowledge_bases.list", "GET", _BASES, sdk="list_knowledge_bases"),
    _row("knowledge_bases.create", "POST", _BASES, sdk="create_knowledge_base", status=201),
    _row("knowledge_bases.retrieve", "GET", _BASES + "/{knowledge_base_id}", sdk="get_knowledge_base"),
    _row("knowledge_bases.update", "PUT", _BASES + "/{knowledge_base_id}", sdk="update_knowledge_base"),
    _row("knowledge_bases.delete", "DELETE", _BASES + "/{knowledge_base_id}",
         sdk="delete_knowledge_base", status=204),

    _row("mcp_servers.list", "GET", _SERVERS, sdk="list_mcp_servers"),
    _row("mcp_servers.create", "POST", _SERVERS, sdk="create_mcp_server", status=201),
    _row("mcp_servers.retrieve", "GET", _SERVERS + "/{mcp_server_id}", sdk="get_mcp_server"),
    _row("mcp_servers.update", "PUT", _SERVERS + "/{mcp_server_id}", sdk="update_mcp_server"),
    _row("mcp_servers.delete", "DELETE", _SERVERS + "/{mcp_server_id}", sdk="delete_mcp_server", status=204),

    _row("tools.list", "GET", _TOOLS, sdk="list_tools"),
    _row("tools.create", "POST", _TOOLS, sdk="create_tool", status=201),
    _row("tools.retrieve", "GET", _TOOLS + "/{tool_id}", sdk="get_tool"),
    _row("tools.update", "PUT", _TOOLS + "/{tool_id}", sdk="update_tool"),
    _row("tools.delete", "DELETE", _TOOLS + "/{tool_id}", sdk="delete_tool", status=204),
]))
# fmt: on
"""Every operation of the API by our name."""
