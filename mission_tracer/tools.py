"""Record one call of a tool."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from mission_tracer._guard import guarded
from mission_tracer.steps import Step

if TYPE_CHECKING:
    from mission_tracer.runs import Run

_SUMMARY = 500  # characters


class ToolCall:
    """Record one call of a tool: `tool_call`, then `tool_result` or `error`.

    Args:
        scope: The run or step it belongs to; `None`: nothing is recorded.
        name: The tool's name.
        arguments: What it is called with, captured already.
    """

    __slots__ = ("_id", "_name", "_result", "_run", "_started", "_step_id")

    def __init__(self, scope: Run | Step | None, name: str, arguments: dict[str, Any]) -> None:
        self._run = scope.run if isinstance(scope, Step) else scope
        self._step_id = scope.id if isinstance(scope, Step) else None
        self._name = name
        self._id = ""
        self._result: Any = None
        self._started = time.perf_counter()
        if self._run is not None and self._run.stream is not None:
            self._id = self._run.stream.name_call()
            self._begin(self._run, arguments)

    def _begin(self, run: Run, arguments: dict[str, Any]) -> None:
        shown = run.recorder.capture.text(
            ", ".join(f"{name}={value!r}" for name, value in arguments.items()), max_chars=200
        )
        payload = {"tool": self._name, "call_id": self._id, "arguments": arguments}
        run.write_event("tool_call", f"{self._name}({shown})", payload, self._step_id)

    def trouble(self, error: Exception, where: str) -> None:
        """Take an error of ours, as the recorder does."""
        if self._run is not None:
            self._run.recorder.trouble(error, where)

    def result(self, value: Any) -> None:
        """Say what the tool gave, for a `with` block, which returns nothing by itself."""
        self._result = value

    @guarded()
    def end(self, result: Any = None, error: BaseException | None = None) -> None:
        """Log what came of the call."""
        run = self._run
        if run is None or run.stream is None:
            return
        duration = round((time.perf_counter() - self._started) * 1000, 3)
        about = {"tool": self._name, "call_id": self._id, "duration_ms": duration}
        if isinstance(error, GeneratorExit):
            about["abandoned"] = True  # its consumer had enough
        elif error is not None:
            run.note_error(error, self._step_id, **about)
            return
        capture = run.recorder.capture
        value = self._result if result is None else result
        if capture.mode == "full":
            about["result"] = capture.value(value)
        summary = capture.summary(value) if capture.mode == "full" else ""
        said = capture.text(f"{self._name}: {summary}" if summary else f"{self._name} returned", max_chars=_SUMMARY)
        run.write_event("tool_result", said, about, self._step_id)
