"""Log what spans tell: calls of tools, and answers of models."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from mission_tracer._capture import Capture
from mission_tracer._capture.plain import type_name
from mission_tracer.runs import Run
from mission_tracer.steps import Step
from mission_tracer.tools import KnownCall, fail_call

Scope: TypeAlias = "Run | Step"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a model answered, as far as it is known."""

    text: str = ""
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    model: str | None = None
    provider: str | None = None
    usage: dict[str, int] = field(default_factory=dict)


class Call:
    """Record one call of a tool: `tool_call` at once, then `tool_result` or `error`.

    Args:
        place: The run or step it belongs to.
        name: The tool's name.
        arguments: What it is called with.
        call_id: The framework's id of the call; `None`: one of ours.
        began: When it began, by `time.perf_counter`.
        known: Told what it is, for a decorated function inside that is this very call; `None`: there can be none.
    """

    __slots__ = ("_about", "_began", "_known", "_run", "_step_id")

    def __init__(
        self,
        place: Scope,
        name: str,
        arguments: Mapping[str, Any],
        *,
        call_id: str | None,
        began: float,
        known: KnownCall | None = None,
    ) -> None:
        run, step = split(place)
        self._run = run
        self._step_id = step.id if step is not None else None
        self._began = began
        self._known = known
        self._about: dict[str, Any] = {}
        if run.stream is None:
            return
        capture = run.recorder.capture
        shown = arguments_of(capture, arguments)
        self._about = {"tool": capture.text(name), "call_id": call_id or run.stream.name_call()}
        said = capture.call(self._about["tool"], shown)
        run.write_event("tool_call", said, {**self._about, "arguments": shown}, self._step_id)
        if known is not None:
            known.begin(run, self._step_id, self._about["tool"], shown)

    def end(self, result: Any, error: BaseException | None) -> None:
        """Log what came of it."""
        run = self._run
        if run.stream is None:
            return
        capture = run.recorder.capture
        about = {**self._about, "duration_ms": round((time.perf_counter() - self._began) * 1000, 3)}
        raised = self._known.end() if self._known is not None else None
        if raised is not None and error is not None and error.__traceback__ is None:
            error = raised  # of the framework's only words are left
        if error is not None:
            fail_call(run, self._step_id, error, about, since=self._began)
            return
        if raised is not None:  # and handled before the framework heard of it
            run.note_error(raised, self._step_id, since=self._began, tool=about["tool"])
        full = capture.mode == "full"
        if full:
            about["result"] = capture.value(result)
        summary = capture.summary(result) if full else ""
        said = f"{about['tool']}: {summary}" if summary else f"{about['tool']} returned"
        run.write_event("tool_result", capture.text(said, max_chars=500), about, self._step_id)


def write_answer(
    place: Scope, answer: Answer, *, cancelled: bool = False, name: str = "the model", duration_ms: float | None = None
) -> None:
    """Log what a model answered, as an event of type `message`.

    Args:
        place: The run or step it belongs to.
        answer: What it answered, or had answered when it was cancelled.
        cancelled: True: nobody waited for all of it.
        name: What the model is called where it is not known which one it is.
        duration_ms: How long it took, in milliseconds; `None`: that is not told.
    """
    run, step = split(place)
    full = run.recorder.capture.mode == "full"
    calls = answer.tool_calls if full else [{**call, "arguments": None} for call in answer.tool_calls]
    names = ", ".join(str(call["name"]) for call in calls)
    model = answer.model or name
    otherwise = f"calls tools {names}" if names else f"{model} was cancelled" if cancelled else f"{model} answered"
    payload = {
        "model": answer.model,
        "provider": answer.provider,
        "text": answer.text if full else None,
        "tool_calls": [{key: value for key, value in call.items() if value is not None} for call in calls],
        "usage": answer.usage,
        "duration_ms": duration_ms,
        "cancelled": cancelled,
    }
    run.log_event(
        answer.text if full and answer.text.strip() else otherwise,
        type="message",
        payload={key: value for key, value in payload.items() if value},
        step=step,
    )


def arguments_of(capture: Capture, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Capture named arguments as the setting `capture` says."""
    if capture.mode == "off":
        return {}
    if capture.mode == "names":
        arguments = {str(name): type_name(type(value)) for name, value in arguments.items()}
    shown = capture.value(dict(arguments))
    return shown if isinstance(shown, dict) else {"arguments": shown}


def usage_of(sent: object, received: object, total: object = None) -> dict[str, int]:
    """Count tokens under the API's names, as far as they are known."""
    counts = {"input_tokens": sent, "output_tokens": received, "total_tokens": total}
    known = {name: count for name, count in counts.items() if isinstance(count, int)}
    if "total_tokens" not in known and len(known) == 2:
        known["total_tokens"] = sum(known.values())
    return known


def split(scope: Scope) -> tuple[Run, Step | None]:
    """Return a scope's run, and its step if it is one."""
    return (scope.run, scope) if isinstance(scope, Step) else (scope, None)
