"""Show runs, steps and tool calls as OpenTelemetry spans, in the traces of the program that records them."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET

from mission_tracer import _context, facts
from mission_tracer._base.guard import guarded
from mission_tracer._version import VERSION
from mission_tracer.facts import EventBody, EventWritten
from mission_tracer.integrations._patches import require
from mission_tracer.recorder import Recorder

require("opentelemetry.trace", "1.20", distribution="opentelemetry-api")

from opentelemetry import trace  # noqa: E402 - the version is checked first
from opentelemetry.trace import Span, Status, StatusCode  # noqa: E402

OURS = "mission_tracer"
"""The instrumentation scope of the spans; `MissionSpanProcessor` leaves them alone."""

_WAITING = 1000  # paused runs whose spans are kept for the day they go on


class Export:
    """Mirror facts as spans: a run is one, and so is each of its steps and tool calls; other events are theirs.

    The spans go to the global tracer provider, whichever it is at the time. A run's span is a child of the span that is
    current when the run begins. What is recorded from spans is not mirrored: it would be there twice.

    Args:
        recorder: Whose facts they are; takes errors of ours.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._tracer = trace.get_tracer(OURS, VERSION)
        self._forget()

    def _forget(self) -> None:
        self._pid = os.getpid()
        self._runs: dict[str, Span] = {}
        self._steps: dict[tuple[str, str], Span] = {}
        self._calls: dict[tuple[str, str], Span] = {}
        self._waiting: dict[str, None] = {}  # the keys of paused runs, in the order they were paused

    def trouble(self, error: Exception, where: str) -> None:
        """Take an error of ours, as the recorder does."""
        self._recorder.trouble(error, where)

    @guarded()
    def observe(self, key: str, fact: facts.WrittenFact) -> None:
        """Mirror one fact."""
        if _context.quiet.get():
            return
        if self._pid != os.getpid():
            # The spans of a forked child's parent are its parent's to end.
            self._forget()
        with _context.silence():
            self._mirror(key, fact)

    def _mirror(self, key: str, fact: facts.WrittenFact) -> None:
        at = _nanoseconds(fact.at)
        if isinstance(fact, EventWritten):
            self._event(key, fact.body, at)
        elif isinstance(fact, facts.StepEntered):
            self._enter(key, fact, at)
        elif isinstance(fact, facts.StepLeft):
            step = self._steps.pop((key, fact.step_id), None)
            if step is not None:
                _end(step, at, fact.status, fact.reason)
        elif isinstance(fact, facts.RunOpened):
            self._open(key, fact, at)
        elif isinstance(fact, facts.RunPaused):
            self._pause(key, at)
        elif isinstance(fact, facts.RunResumed):
            self._waiting.pop(key, None)
        elif isinstance(fact, facts.RunClosed):
            self._close(key, at, fact.status, fact.error, fact.summary)

    def _open(self, key: str, fact: facts.RunOpened, at: int) -> None:
        attributes = {
            "gen_ai.operation.name": "invoke_workflow",
            "gen_ai.workflow.name": fact.mission.name,
            "mission_tracer.run.key": key,
        }
        if fact.input:
            attributes["mission_tracer.run.input"] = _json(fact.input)
        parent = self._runs.get(fact.metadata.get("mission_tracer", {}).get("parent_run", {}).get("key"))
        context = trace.set_span_in_context(parent) if parent is not None else None
        self._runs[key] = self._tracer.start_span(fact.mission.name, context, start_time=at, attributes=attributes)

    def _enter(self, key: str, fact: facts.StepEntered, at: int) -> None:
        attributes: dict[str, Any] = {
            "mission_tracer.run.key": key,
            "mission_tracer.step.id": fact.step_id,
            "mission_tracer.step.description": fact.description,
            "mission_tracer.step.attempt": fact.attempt,
        }
        self._steps[key, fact.step_id] = self._begin(key, fact.parent_step_id, fact.step_id, at, attributes)

    def _begin(self, key: str, step_id: str | None, name: str, at: int, attributes: dict[str, Any]) -> Span:
        above = self._place(key, step_id)
        # Of a run that began elsewhere we have no span: then it is the one that is current.
        context = trace.set_span_in_context(above) if above is not None else None
        return self._tracer.start_span(name, context, start_time=at, attributes=attributes)

    def _place(self, key: str, step_id: str | None) -> Span | None:
        step = self._steps.get((key, step_id)) if step_id is not None else None
        return step or self._runs.get(key)

    def _event(self, key: str, body: EventBody, at: int) -> None:
        payload = body.payload if body.payload is not UNSET else {}
        step_id = body.step_id if body.step_id is not UNSET else None
        call_id = payload.get("call_id")
        if body.type == "tool_call" and call_id is not None:
            attributes = {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": str(payload.get("tool")),
                "gen_ai.tool.call.id": str(call_id),
                "gen_ai.tool.call.arguments": _json(payload.get("arguments")),
                "mission_tracer.run.key": key,
            }
            name = f"execute_tool {payload.get('tool')}"
            self._calls[key, str(call_id)] = self._begin(key, step_id, name, at, attributes)
            return
        call = self._calls.pop((key, str(call_id)), None)
        if call is not None:
            _end_call(call, body, payload, at)
            return
        place = self._place(key, step_id)
        if place is not None:
            told = {name: value for name, value in payload.items() if name != "mission_tracer"}
            attributes = {"summary": body.summary, **({"payload": _json(told)} if told else {})}
            place.add_event(body.type, attributes, timestamp=at)

    def _pause(self, key: str, at: int) -> None:
        """Keep the spans of a run that waits; of very many, those that wait longest may go on in another process."""
        self._waiting[key] = None
        if len(self._waiting) > _WAITING:
            self._close(next(iter(self._waiting)), at, "paused")

    def _close(self, key: str, at: int, status: str, error: str | None = None, summary: str | None = None) -> None:
        self._waiting.pop(key, None)
        for spans in (self._calls, self._steps):
            for name in [name for name in list(spans) if name[0] == key]:
                _end(spans.pop(name), at, "abandoned", None)
        run = self._runs.pop(key, None)
        if run is not None:
            if summary:
                run.set_attribute("mission_tracer.run.summary", summary)
            _end(run, at, status, error)


def _end(span: Span, at: int, status: str, reason: str | None) -> None:
    span.set_attribute("mission_tracer.status", status)
    if status == "failed":
        span.set_status(Status(StatusCode.ERROR, reason))
    span.end(at)


def _end_call(span: Span, body: EventBody, payload: dict[str, Any], at: int) -> None:
    if "result" in payload:
        span.set_attribute("gen_ai.tool.call.result", _json(payload["result"]))
    if body.type == "error":
        error = payload.get("error")
        said: Mapping[str, Any] = error if isinstance(error, Mapping) else {"message": error}
        told = {
            "exception.type": said.get("type"),
            "exception.message": said.get("message"),
            "exception.stacktrace": said.get("traceback"),
        }
        known = {name: str(value) for name, value in told.items() if value is not None}
        if known:  # a call that was cancelled has no exception
            span.add_event("exception", known, timestamp=at)
    if body.type == "error" or "raised" in payload:
        span.set_status(Status(StatusCode.ERROR, body.summary))
    span.end(at)


def _json(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _nanoseconds(moment: dt.datetime) -> int:
    since = moment - dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000
