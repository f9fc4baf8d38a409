"""Offer the three names an agent's author writes: `mission_run`, `plan_step` and `tool_call`.

Each is a decorator, bare or with arguments, and a `with` and `async with` block.
"""

from __future__ import annotations

import functools
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from types import MethodType
from typing import Any, Generic, TypeVar, overload

import msgspec

from mission_tracer import _context, facts, recorder
from mission_tracer._callables import record_calls
from mission_tracer._step_table import Repeat
from mission_tracer.opening import open_run
from mission_tracer.plans import PlanItem, check_name, plan_items
from mission_tracer.runs import Run
from mission_tracer.steps import Step
from mission_tracer.tools import ToolCall

F = TypeVar("F", bound=Callable[..., Any])
H = TypeVar("H", Run, Step, ToolCall)


class _Entry(Generic[H]):
    """One scope that has begun; knows how to become current and how to end."""

    __slots__ = ("current", "handle")

    def __init__(self, handle: H, *, current: bool) -> None:
        self.handle: H = handle
        self.current = current

    def enter(self) -> Any:
        """Make the handle the current scope; return the one before."""
        before = _context.scope.get()
        if self.current:
            _context.scope.set(self.handle)
        return before

    def leave(self, before: Any) -> None:
        """Make the scope before current again, unless something else is current by now."""
        if self.current and _context.scope.get() is self.handle:
            _context.scope.set(before)

    def end(self, result: Any = None, error: BaseException | None = None) -> None:
        """Record how it ended."""
        if isinstance(self.handle, Step):
            self.handle.end(error)
        else:
            self.handle.end(result, error)


class _Block(ABC, Generic[H]):
    """Be a decorator and a block; a block may be entered again, also while it is open."""

    def __init__(self) -> None:
        self._open: list[tuple[_Entry[H], Any]] = []

    def __call__(self, function: F) -> F:
        """Decorate a callable: each call is one scope."""
        return record_calls(function, self)

    def begin(self, function: Callable[..., Any], args: Any, kwargs: Any, *, bound: bool) -> _Entry[H] | None:
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
    ) -> _Entry[H] | None:
        """See `begin`."""

    @abstractmethod
    def _begin_block(self, recording: recorder.Recorder) -> _Entry[H]:
        """Begin the scope of a `with` block."""

    @abstractmethod
    def _silent(self, recording: recorder.Recorder) -> _Entry[H]:
        """Make a scope that records nothing."""

    def __enter__(self) -> H:
        recording = recorder.default()
        try:
            entry = self._begin_block(recording) if recording.enabled else self._silent(recording)
        except Exception as error:  # noqa: BLE001 - our own errors stay ours
            recording.trouble(error, type(self).__name__)
            entry = self._silent(recording)
        self._open.append((entry, entry.enter()))
        return entry.handle

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        entry, before = self._pop()
        entry.leave(before)
        entry.end(None, error)

    async def __aenter__(self) -> H:
        return self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self.__exit__(kind, error, trace)

    def _pop(self) -> tuple[_Entry[H], Any]:
        """Find the entry that ends: the one that is current here, else the last one."""
        current = _context.scope.get()
        for index in range(len(self._open) - 1, -1, -1):
            if self._open[index][0].handle is current:
                return self._open.pop(index)
        return self._open.pop()


class MissionRun(_Block[Run]):
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
    ) -> None:
        super().__init__()
        self._name = None if name is None else check_name(name, "name")
        self._plan = plan_items(plan)
        self._input = input
        self._metadata = metadata
        self._spec = functools.partial(
            facts.MissionSpec,
            id=mission_id,
            description=description,
            instructions=instructions,
            model=model,
            execution_mode=execution_mode,
        )

    def _begin_call(
        self, recording: recorder.Recorder, function: Callable[..., Any], args: Any, kwargs: Any, *, bound: bool
    ) -> _Entry[Run]:
        given = _arguments(recording, function, args, kwargs)
        values = {**recording.capture.value(self._input), **given} if self._input else given
        return self._open_run(recording, self._name or _name_of(function), values, _doc_of(function))

    def _begin_block(self, recording: recorder.Recorder) -> _Entry[Run]:
        values = recording.capture.value(self._input) if self._input else {}
        return self._open_run(recording, self._name or "mission", values, None)

    def _silent(self, recording: recorder.Recorder) -> _Entry[Run]:
        return _Entry(Run(recording, None, name=self._name or ""), current=False)

    def _open_run(
        self, recording: recorder.Recorder, name: str, values: dict[str, Any], about: str | None
    ) -> _Entry[Run]:
        spec = self._spec(name)
        if spec.description is None and about:
            spec = self._spec(name, description=about)
        run = open_run(recording, spec, values=values, metadata=self._metadata, plan=map(_describe, self._plan))
        return _Entry(run, current=True)


_described: weakref.WeakValueDictionary[str, PlanStep] = weakref.WeakValueDictionary()
"""The decorated steps by name: a plan that names one gives its description, which cannot be changed afterwards."""


def _describe(step: facts.PlannedStep) -> facts.PlannedStep:
    known = _described.get(step.step_id)
    if known is None or known.about is None or step.description != step.step_id:
        return step
    return msgspec.structs.replace(step, description=known.about)


class PlanStep(_Block[Step]):
    """Enter a step of the current run's plan for each call or block; made by `plan_step`."""

    def __init__(
        self,
        name: str | None,
        *,
        description: str | None = None,
        repeat: Repeat | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if repeat not in {None, "reopen", "new"}:
            raise ValueError(f"repeat must be 'reopen', 'new' or None, not {repeat!r}")
        self._name = None if name is None else check_name(name, "name")
        self.about = description
        self._repeat = repeat
        self._metadata = metadata or {}

    def __call__(self, function: F) -> F:
        """Decorate a callable: each call is one step."""
        target = getattr(function, "__func__", function)
        self.about = self.about or _doc_of(target)
        _described[self._name or _name_of(target)] = self
        return super().__call__(function)

    def _begin_call(
        self, recording: recorder.Recorder, function: Callable[..., Any], args: Any, kwargs: Any, *, bound: bool
    ) -> _Entry[Step] | None:
        scope = _context.current()
        if scope is None:
            _say_outside(recording, "plan_step")
            return None
        name = self._name or _name_of(function)
        return self._enter_step(scope, name, self.about or name)

    def _begin_block(self, recording: recorder.Recorder) -> _Entry[Step]:
        scope = _context.current()
        if scope is None:
            _say_outside(recording, "plan_step")
            return self._silent(recording)
        name = self._name or "step"
        return self._enter_step(scope, name, self.about or name)

    def _silent(self, recording: recorder.Recorder) -> _Entry[Step]:
        return _Entry(Step(Run(recording, None, name=""), self._name or "", None), current=False)

    def _enter_step(self, scope: Run | Step, name: str, description: str) -> _Entry[Step]:
        run, parent = (scope.run, scope) if isinstance(scope, Step) else (scope, None)
        step = run.enter_step(name, description, parent, repeat=self._repeat, metadata=self._metadata)
        return _Entry(step, current=True)


class ToolCalls(_Block[ToolCall]):
    """Log a tool call for each call or block; made by `tool_call`."""

    def __init__(self, name: str | None, *, arguments: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self._name = None if name is None else check_name(name, "name")
        self._arguments = arguments

    def _begin_call(
        self, recording: recorder.Recorder, function: Callable[..., Any], args: Any, kwargs: Any, *, bound: bool
    ) -> _Entry[ToolCall] | None:
        scope = _context.current()
        if scope is None:
            _say_outside(recording, "tool_call")
            return None
        arguments = _arguments(recording, function, args, kwargs)
        return _Entry(ToolCall(scope, self._name or _name_of(function), arguments), current=False)

    def _begin_block(self, recording: recorder.Recorder) -> _Entry[ToolCall]:
        scope = _context.current()
        if scope is None:
            _say_outside(recording, "tool_call")
        arguments = recording.capture.value(self._arguments) if self._arguments else {}
        return _Entry(ToolCall(scope, self._name or "tool", arguments), current=False)

    def _silent(self, recording: recorder.Recorder) -> _Entry[ToolCall]:
        return _Entry(ToolCall(None, self._name or "", {}), current=False)


@overload
def mission_run(name: F, /) -> F: ...
@overload
def mission_run(
    name: str | None = None,
    *,
    plan: Iterable[PlanItem] = (),
    input: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    mission_id: str | None = None,
    description: str | None = None,
    instructions: str | None = None,
    model: str | None = None,
    execution_mode: str | None = None,
) -> MissionRun: ...
def mission_run(name: Any = None, **options: Any) -> Any:
    """Record each call of the decorated function, or the block, as one run of a mission.

    The run succeeds with what the function returns, and fails with what it raises; the caller gets both unchanged.
    `KeyboardInterrupt` and `asyncio.CancelledError` cancel it.

    Args:
        name: The mission's name: it is found by that name, or created. `None`: the function's name.
        plan: The steps known beforehand: ids, pairs of id and description, or mappings (see `PlanItem`).
        input: The run's input; `None`: the call's arguments.
        metadata: The run's metadata.
        mission_id: The mission's id, when it is known; it is then not looked up by name.
        description: The mission's description, when it is created; `None`: the docstring's first line.
        instructions: The mission's instructions, when it is created.
        model: The mission's model, when it is created.
        execution_mode: `external` or `managed`, when it is created.

    Raises:
        TypeError, ValueError: An argument is wrong; the message names it.
    """
    if callable(name) or isinstance(name, (classmethod, staticmethod)):
        return MissionRun(None, **options)(name)
    return MissionRun(name, **options)


@overload
def plan_step(name: F, /) -> F: ...
@overload
def plan_step(
    name: str | None = None,
    *,
    description: str | None = None,
    repeat: Repeat | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> PlanStep: ...
def plan_step(name: Any = None, **options: Any) -> Any:
    """Record each call of the decorated function, or the block, as one step of the current run's plan.

    Outside of a run the function is called and nothing is recorded. Inside another step it is a part of that step.

    Args:
        name: The step's id; entered again it is `name-2`, `name-3`, ..., or another attempt when it had failed.
            `None`: the function's name.
        description: What the step is about; `None`: the docstring's first line.
        repeat: `"reopen"`: entering an ended step again is another attempt of it; `"new"`: it is a further step;
            `None`: another attempt only when it had failed.
        metadata: Sent with the step's statuses.

    Raises:
        TypeError, ValueError: An argument is wrong; the message names it.
    """
    if callable(name) or isinstance(name, (classmethod, staticmethod)):
        return PlanStep(None, **options)(name)
    return PlanStep(name, **options)


@overload
def tool_call(name: F, /) -> F: ...
@overload
def tool_call(name: str | None = None, *, arguments: Mapping[str, Any] | None = None) -> ToolCalls: ...
def tool_call(name: Any = None, **options: Any) -> Any:
    """Log each call of the decorated function, or the block: `tool_call`, then `tool_result` or `error`.

    Outside of a run the function is called and nothing is recorded.

    Args:
        name: The tool's name; `None`: the function's name.
        arguments: What the tool is called with, for a block; a decorated function's are taken from its calls.

    Raises:
        TypeError, ValueError: An argument is wrong; the message names it.
    """
    if callable(name) or isinstance(name, (classmethod, staticmethod)):
        return ToolCalls(None, **options)(name)
    return ToolCalls(name, **options)


def log_event(
    summary: str,
    *,
    type: str = "custom",
    payload: Mapping[str, Any] | None = None,
    agent_id: str | None = None,
    idempotency_key: str | None = None,
) -> None:
    """Log an event of the current run, linked to the current step; outside of a run nothing is recorded.

    The arguments are those of `Run.log_event`.
    """
    scope = _context.current()
    if scope is not None:
        scope.log_event(summary, type=type, payload=payload, agent_id=agent_id, idempotency_key=idempotency_key)


def _say_outside(recording: recorder.Recorder, what: str) -> None:
    recording.notices.say("debug", f"{what} outside of a run records nothing", cause="outside", once=True)


def _arguments(recording: recorder.Recorder, function: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    """Capture a call's arguments by name, without the object or class of a method."""
    if type(function) is MethodType:
        return recording.capture.arguments(function.__func__, (None, *args), kwargs, skip_first=True)
    return recording.capture.arguments(function, args, kwargs)


def _name_of(function: Any) -> str:
    name = getattr(function, "__name__", None)
    return name if isinstance(name, str) and name else type(function).__name__


def _doc_of(function: Any) -> str | None:
    doc = getattr(function, "__doc__", None)
    first = doc.strip().partition("\n")[0].strip() if isinstance(doc, str) else ""
    return first or None
