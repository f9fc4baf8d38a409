"""Record one call of a tool."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mission_tracer._base.endings import is_good_exit, is_pause
from mission_tracer._base.forks import is_elsewhere, process_id
from mission_tracer._base.guard import guarded
from mission_tracer.steps import Step

if TYPE_CHECKING:
    from mission_tracer.runs import Run

_ITEMS = 10_000  # of a generator, kept for `reduce`


class KnownCall:
    """A call of a tool, or of what is a step, that a framework makes, and whose integration records it.

    The decorated function that is called first inside of it, by the same name and with the same arguments, is that very
    call: it is recorded once.
    """

    __slots__ = ("_about", "_error")

    def __init__(self) -> None:
        self._about: tuple[Any, ...] | None = None
        self._error: BaseException | None = None

    def begin(self, run: Run, step_id: str | None, name: str, arguments: dict[str, Any] | None) -> None:
        """Say which call it is; the arguments are captured already, `None`: it is the step itself."""
        self._about = (run, step_id, name, arguments)

    def fail(self, error: BaseException | None) -> None:
        """Take what the decorated function raised, if anything: the framework may keep no more of it than words."""
        self._error = error if isinstance(error, Exception) else None

    def end(self) -> BaseException | None:
        """Be over: whatever is called from now on is another call. Return what the decorated function raised."""
        self._about = None
        error, self._error = self._error, None
        return error

    def is_that(self, run: Run, step_id: str | None, name: str, arguments: dict[str, Any]) -> bool:
        """Say whether a decorated call that begins is this one; asked a second time, it is not."""
        about, self._about = self._about, None
        if about is None or about[3] is None or about[:3] != (run, step_id, name):
            return False
        # Those that the framework leaves to their defaults, or puts in by itself, are among the function's alone.
        return all(key in arguments and arguments[key] == value for key, value in about[3].items())

    def is_that_step(self, step: Step, name: str) -> bool:
        """Say whether a decorated step that begins inside of a step is this one; asked a second time, it is not."""
        about, self._about = self._about, None
        return about == (step.run, step.id, name, None)


class ToolCall:
    """Record one call of a tool: `tool_call`, then `tool_result` or `error`.

    Args:
        scope: The run or step it belongs to; `None`: nothing is recorded.
        name: The tool's name.
        arguments: What it is called with, captured already.
        keeps_result: False: of the result only that there was one.
        reduce: Makes the result of a generator from its items; `None`: it is what the generator returns.
        known: The call that a framework makes here, which this one may be; `None`: there is none.
    """

    __slots__ = (
        "_id",
        "_items",
        "_keeps_result",
        "_known",
        "_name",
        "_process",
        "_reduce",
        "_result",
        "_run",
        "_started",
        "_step_id",
    )

    def __init__(
        self,
        scope: Run | Step | None,
        name: str,
        arguments: dict[str, Any],
        *,
        keeps_result: bool = True,
        reduce: Callable[[list[Any]], Any] | None = None,
        known: KnownCall | None = None,
    ) -> None:
        self._keeps_result = keeps_result
        self._reduce = reduce
        self._items: list[Any] | None = None  # of a generator
        self._run = scope.run if isinstance(scope, Step) else scope
        self._step_id = scope.id if isinstance(scope, Step) else None
        self._name = name
        self._id = ""
        self._result: Any = None
        self._started = time.perf_counter()
        self._process = process_id()
        self._known: KnownCall | None = None
        run = self._run
        if run is None or run.stream is None:
            return
        self._name = run.recorder.capture.name(name)
        if known is not None and known.is_that(run, self._step_id, self._name, arguments):
            self._known, self._run = known, None
        else:
            self._id = run.stream.name_call()
            self._begin(run, arguments)

    def _begin(self, run: Run, arguments: dict[str, Any]) -> None:
        said = run.recorder.capture.call(self._name, arguments)
        payload = {"tool": self._name, "call_id": self._id, "arguments": arguments}
        run.write_event("tool_call", said, payload, self._step_id)

    def trouble(self, error: Exception, where: str) -> None:
        """Take an error of ours, as the recorder does."""
        if self._run is not None:
            self._run.recorder.trouble(error, where)

    def result(self, value: Any) -> None:
        """Say what the tool gave, for a `with` block, which returns nothing by itself.

        Args:
            value: Anything; it is captured when the block ends.
        """
        self._result = value

    def enter(self) -> Any:
        """Leave the current scope as it is: what happens inside a call belongs to the step around it."""

    def leave(self, before: Any) -> None:
        """Leave the current scope as it is."""

    def follow(self) -> Callable[[Any], None] | None:
        """Be told that a generator runs in it; return what takes in each of its items, `None`: they are not wanted."""
        if self._reduce is None or self._run is None:
            return None
        items = self._items = []

        def note(item: Any) -> None:
            # Those past the limit are left out.
            if len(items) < _ITEMS:
                items.append(item)

        return note

    @guarded()
    def end(self, result: Any = None, error: BaseException | None = None) -> None:
        """Log what came of the call."""
        run = self._run
        if self._known is not None:
            self._known.fail(error)
        if run is None or run.stream is None or is_elsewhere(self._process):
            return
        duration = int((time.perf_counter() - self._started) * 1_000_000) / 1000
        about = {"tool": self._name, "call_id": self._id, "duration_ms": duration}
        if isinstance(error, GeneratorExit):
            about["abandoned"] = True  # its consumer had enough
        elif error is not None and is_good_exit(error):
            about["exited"] = True  # it ended the program, as done
        elif error is not None and is_pause(error):
            # What it waits for, the graph tells; then it is called again.
            said = f"{self._name} was interrupted"
            run.write_event("tool_result", said, {**about, "interrupted": True}, self._step_id)
            return
        elif error is not None:
            fail_call(run, self._step_id, error, about, since=self._started)
            return
        capture = run.recorder.capture
        data = None
        if self._keeps_result and capture.mode != "off":
            about["result"] = data = capture.result(self._value(result))
        said = capture.returned(self._name, data)
        run.write_event("tool_result", said, about, self._step_id)

    def _value(self, result: Any) -> Any:
        items, self._items = self._items, None
        if self._reduce is not None and items is not None:
            try:
                return self._reduce(items)
            except Exception as error:  # noqa: BLE001 - the tool's result must not be lost with it
                return f"reduce failed: {type(error).__name__}"
        return self._result if result is None else result


def fail_call(run: Run, step_id: str | None, error: BaseException, about: dict[str, Any], *, since: float) -> None:
    """Log what a call of a tool raised; an error that was logged where it came up only ends the call.

    Args:
        run: The run that it belongs to.
        step_id: The step; `None`: none.
        error: What was raised.
        about: What the event's payload says of the call.
        since: When the call began (`time.perf_counter()`).
    """
    if not run.note_error(error, step_id, since=since, **about):
        # In a tool that this one called, most likely.
        raised = run.reason(error)
        run.write_event("tool_result", f"{about['tool']} raised {raised}", {**about, "raised": raised}, step_id)
