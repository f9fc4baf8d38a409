"""Be a decorator and a block: what `mission_run`, `plan_step` and `tool_call` make."""

from __future__ import annotations

import copy
import functools
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from mission_tracer import _context, facts, recorder
from mission_tracer._base.checks import (
    check_callable,
    check_kept,
    check_mapping,
    check_mode,
    check_name,
    check_text,
    unless_none,
)
from mission_tracer._calls.callables import record_calls
from mission_tracer._handles.step_table import Repeat
from mission_tracer.opening import open_run
from mission_tracer.plans import PlanItem, plan_items
from mission_tracer.runs import Run
from mission_tracer.steps import Step
from mission_tracer.tools import KnownCall, ToolCall

if TYPE_CHECKING:
    from mission_tracer._capture import Capture

F = TypeVar("F", bound=Callable[..., Any])
H = TypeVar("H", Run, Step, ToolCall)


class Block(ABC, Generic[H]):
    """Be a decorator and a block; a block may be entered again, also while it is open."""

    def __init__(self) -> None:
        self._open: list[tuple[H | None, Any]] = []

    def __getstate__(self) -> dict[str, Any]:
        # It goes to other processes with the functions it decorates; what is open here is not open there.
        return {**self.__dict__, "_open": []}

    def __call__(self, function: F) -> F:
        """Decorate a callable: each call is one scope."""
        return record_calls(function, self)

    def begin(self, function: Callable[..., Any], args: Any, kwargs: Any, *, bound: bool) -> H | None:
        """Begin the scope of one call; `None` when it is not recorded. Never raises."""
        recording = recorder.default()
        if not recording.enabled:
            return None
        try:
            return self._begin_call(recording, function, args, kwargs, bound=bound)
        except Exception as error:  # noqa: BLE001 - our own errors stay ours
            recording.trouble(error, type(self).__name__)
            return None

    @abstractmethod
    def _begin_call(
        self, recording: recorder.Recorder, function: Callable[..., Any], args: Any, kwargs: Any, *, bound: bool
    ) -> H | None:
        """See `begin`."""

    @abstractmethod
    def _begin_block(self, recording: recorder.Recorder) -> H | None:
        """Begin the scope of a `with` block; `None` when it is not recorded."""

    @abstractmethod
    def _silent(self, recording: recorder.Recorder) -> H:
        """Make a handle that records nothing."""

    def __enter__(self) -> H:
        recording = recorder.default()
        scope = None
        try:
            scope = self._begin_block(recording) if recording.enabled else None
        except Exception as error:  # noqa: BLE001 - our own errors stay ours
            recording.trouble(error, type(self).__name__)
        opened = (scope, None if scope is None else scope.enter())
        self._open.append(opened)
        _context.blocks.set((*_context.blocks.get(), opened))
        return self._silent(recording) if scope is None else scope

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        scope, before = self._pop()
        if scope is not None:
            scope.leave(before)
            scope.end(None, error)

    async def __aenter__(self) -> H:
        return self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self.__exit__(kind, error, trace)

    def _pop(self) -> tuple[H | None, Any]:
        """Find the scope that ends: this block's innermost one in this context.

        A block that ends in another context than it began in, as abandoned asynchronous generators do, ends its last.
        """
        stack = _context.blocks.get()
        for index in range(len(stack) - 1, -1, -1):
            if stack[index] in self._open:
                _context.blocks.set(stack[:index] + stack[index + 1 :])
                self._open.remove(stack[index])
                return stack[index]  # type: ignore[no-any-return]  # it is one of `_open`
        return self._open.pop()


class MissionRun(Block[Run]):
    """Open a run of a mission for each call or block; made by `mission_run`."""

    def __init__(
        self,
        name: str | None,
        *,
        plan: Iterable[PlanItem] = (),
        input: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        mission_id: str | None = None,
        description: str | None = None,
        instructions: str | None = None,
        model: str | None = None,
        execution_mode: str | None = None,
        capture: Iterable[str] | None = None,
    ) -> None:
        super().__init__()
        self._keeps = check_kept(capture)
        self._name = unless_none(check_name, name, "name")
        self._plan = plan_items(plan)
        self._input = unless_none(check_mapping, input, "input")
        self._metadata = unless_none(check_mapping, metadata, "metadata")
        self._spec = functools.partial(
            facts.MissionSpec,
            id=unless_none(check_name, mission_id, "mission_id"),
            description=unless_none(check_text, description, "description"),
            instructions=unless_none(check_text, instructions, "instructions"),
            model=unless_none(check_text, model, "model"),
            execution_mode=unless_none(check_mode, execution_mode, "execution_mode"),
        )

    def _begin_call(
        self, recording: recorder.Recorder, function: Callable[..., Any], args: Any, kwargs: Any, *, bound: bool
    ) -> Run:
        given = _arguments(recording, function, args, kwargs, bound=bound) if "args" in self._keeps else {}
        values = given if self._input is None else {**recording.capture.mapping(self._input), **given}
        module = getattr(function, "__module__", None)
        return self._open_run(recording, self._name or _name_of(function), values, _doc_of(function), module)

    def _begin_block(self, recording: recorder.Recorder) -> Run:
        values = {} if self._input is None else recording.capture.mapping(self._input)
        return self._open_run(recording, self._name or "mission", values, None, None)

    def _silent(self, recording: recorder.Recorder) -> Run:
        return Run(recording, None, name=self._name or "")

    def _open_run(
        self,
        recording: recorder.Recorder,
        name: str,
        values: dict[str, Any],
        about: str | None,
        module: str | None,
    ) -> Run:
        spec = self._spec(name)
        if spec.description is None and about:
            spec = self._spec(name, description=about)
        plan = [_describe(step, module) for step in self._plan]
        run = open_run(recording, spec, values=values, metadata=self._metadata, plan=plan)
        run.keeps_result = "result" in self._keeps
        return run


_described: weakref.WeakValueDictionary[tuple[str, str | None], PlanStep] = weakref.WeakValueDictionary()
"""The decorated steps that have a description, by name and module, and the last of each name under no module: a plan
that names one gives its description, which cannot be changed afterwards."""


def _describe(step: facts.PlannedStep, module: str | None) -> facts.PlannedStep:
    """Describe a planned step as its decorator does: one of the run's own module, else the last of that name."""
    if step.description != step.step_id:
        return step
    known = _described.get((step.step_id, module)) or _described.get((step.step_id, None))
    return msgspec.structs.replace(step, description=known.about) if known is not None else step


class PlanStep(Block[Step]):
    """Enter a step of the current run's plan for each call or block; made by `plan_step`."""

    def __init__(
        self,
        name: str | None,
        *,
        description: str | None = None,
        repeat: Repeat | None = None,
        metadata: Mapping[str, Any] | None = None,
        capture: Iterable[str] = (),
    ) -> None:
        super().__init__()
        self._keeps = check_kept(capture)
        if repeat not in (None, "reopen", "new"):
            raise ValueError(f"repeat must be 'reopen', 'new' or None, not {repeat!r}")
        self._name = unless_none(check_name, name, "name")
        self.about = unless_none(check_text, description, "description")
        self._captured: tuple[Capture, str] | None = None
        self._repeat: Repeat | None = repeat
        self._metadata = dict(unless_none(check_mapping, metadata, "metadata") or {})

    def __call__(self, function: F) -> F:
        """Decorate a callable: each call is one step."""
        block = copy.copy(self)  # another function may be decorated with the same object, and is about something else
        block.about = self.about or _doc_of(function)
        if block.about:
            name = self._name or _name_of(function)
            _described[name, getattr(function, "__module__", None)] = _described[name, None] = block
        return record_calls(function, block)

    def _begin_call(
        self, recording: recorder.Recorder, function: Callable[..., Any], args: Any, kwargs: Any, *, bound: bool
    ) -> Step | None:
        scope = _context.current()
        if scope is None:
            _say_outside(recording, "plan_step")
            return None
        name, known = self._name or _name_of(function), _context.call.get()
        if known is not None and isinstance(scope, Step) and known.is_that_step(scope, name):
            scope.metadata(**self._metadata)
            self._keep(recording, scope, function, args, kwargs, bound=bound)
            return None
        step = self._enter_step(recording, scope, name)
        self._keep(recording, step, function, args, kwargs, bound=bound)
        return step

    def _keep(
        self, recording: recorder.Recorder, step: Step, function: Any, args: Any, kwargs: Any, *, bound: bool
    ) -> None:
        if self._keeps:
            step.keeps_result = "result" in self._keeps
            if "args" in self._keeps and (given := _arguments(recording, function, args, kwargs, bound=bound)):
                step.metadata(arguments=given)

    def _begin_block(self, recording: recorder.Recorder) -> Step | None:
        scope = _context.current()
        if scope is None:
            _say_outside(recording, "plan_step")
            return None
        return self._enter_step(recording, scope, self._name or "step")

    def _silent(self, recording: recorder.Recorder) -> Step:
        return Step(Run(recording, None, name=""), self._name or "", None)

    def _enter_step(self, recording: recorder.Recorder, scope: Run | Step, name: str) -> Step:
        run, parent = (scope.run, scope) if isinstance(scope, Step) else (scope, None)
        about = self._shown(recording.capture) if self.about else None
        return run.enter_step(name, about, parent, repeat=self._repeat, metadata=self._metadata)

    def _shown(self, capture: Capture) -> str:
        """Return the description without secrets; worked out once for a decorated function."""
        if self._captured is None or self._captured[0] is not capture:
            self._captured = (capture, capture.text(self.about, max_chars=1000))
        return self._captured[1]


class ToolCalls(Block[ToolCall]):
    """Log a tool call for each call or block; made by `tool_call`."""

    def __init__(
        self,
        name: str | None,
        *,
        arguments: Mapping[str, Any] | None = None,
        capture: Iterable[str] | None = None,
        reduce: Callable[[list[Any]], Any] | None = None,
    ) -> None:
        super().__init__()
        self._keeps = check_kept(capture)
        self._reduce = unless_none(check_callable, reduce, "reduce")
        self._name = unless_none(check_name, name, "name")
        self._arguments = unless_none(check_mapping, arguments, "arguments")

    def _begin_call(
        self, recording: recorder.Recorder, function: Callable[..., Any], args: Any, kwargs: Any, *, bound: bool
    ) -> ToolCall | None:
        scope = _context.current()
        if scope is None:
            _say_outside(recording, "tool_call")
            return None
        arguments = _arguments(recording, function, args, kwargs, bound=bound) if "args" in self._keeps else {}
        return self._call(scope, self._name or _name_of(function), arguments, _context.call.get())

    def _begin_block(self, recording: recorder.Recorder) -> ToolCall | None:
        scope = _context.current()
        if scope is None:
            _say_outside(recording, "tool_call")
            return None
        given = self._arguments if "args" in self._keeps else None
        return self._call(scope, self._name or "tool", recording.capture.named(given or {}))

    def _call(
        self, scope: Run | Step, name: str, arguments: dict[str, Any], known: KnownCall | None = None
    ) -> ToolCall:
        keeps_result = "result" in self._keeps
        return ToolCall(scope, name, arguments, keeps_result=keeps_result, reduce=self._reduce, known=known)

    def _silent(self, recording: recorder.Recorder) -> ToolCall:
        return ToolCall(None, self._name or "", {})


def _say_outside(recording: recorder.Recorder, what: str) -> None:
    recording.notices.say("debug", f"{what} outside of a run records nothing", cause="outside", once=True)


def _arguments(recording: recorder.Recorder, function: Any, args: Any, kwargs: Any, *, bound: bool) -> dict[str, Any]:
    """Capture a call's arguments by name, without the object or class of a method."""
    if type(function) is MethodType:
        return recording.capture.arguments(function.__func__, (None, *args), kwargs, skip_first=True)
    return recording.capture.arguments(function, args, kwargs, skip_first=bound)


def _name_of(function: Any) -> str:
    function = function if type(function) is FunctionType else _plain(function)
    name = getattr(function, "__name__", None)
    return name if isinstance(name, str) and name else type(function).__name__


def _doc_of(function: Any) -> str | None:
    doc = getattr(_plain(function), "__doc__", None)
    first = doc.strip().partition("\n")[0].strip() if isinstance(doc, str) else ""
    return first or None


def _plain(function: Any) -> Any:
    """Return what was decorated, or what it is made of, whichever has a name."""
    while isinstance(function, (functools.partial, functools.partialmethod, functools.cached_property)):
        function = function.func
    return function.fget if isinstance(function, property) else getattr(function, "__func__", function)
