"""Offer the names an agent's author writes: `mission_run`, `plan_step`, `tool_call` and `log_event`.

The first three are decorators, bare or with arguments, and `with` and `async with` blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, overload

from mission_tracer import _context
from mission_tracer._calls.callables import is_decorable
from mission_tracer._handles.step_table import Repeat
from mission_tracer._scopes.blocks import MissionRun, PlanStep, ToolCalls
from mission_tracer.plans import PlanItem
from mission_tracer.steps import Step

F = TypeVar("F", bound=Callable[..., Any])


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
    capture: Iterable[str] | None = None,
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
        capture: What is kept of each call: `("args", "result")`, one of them, or `()`; `None`: both, as far as the
            setting `capture` allows.

    Raises:
        TypeError, ValueError: An argument is wrong; the message names it.
    """
    if is_decorable(name):
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
    capture: Iterable[str] = (),
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
        capture: What is kept of each call in the step's metadata: `("args", "result")`, one of them, or `()`.

    Raises:
        TypeError, ValueError: An argument is wrong; the message names it.
    """
    if is_decorable(name):
        return PlanStep(None, **options)(name)
    return PlanStep(name, **options)


@overload
def tool_call(name: F, /) -> F: ...
@overload
def tool_call(
    name: str | None = None,
    *,
    arguments: Mapping[str, Any] | None = None,
    capture: Iterable[str] | None = None,
    reduce: Callable[[list[Any]], Any] | None = None,
) -> ToolCalls: ...
def tool_call(name: Any = None, **options: Any) -> Any:
    """Log each call of the decorated function, or the block: `tool_call`, then `tool_result` or `error`.

    Outside of a run the function is called and nothing is recorded.

    Args:
        name: The tool's name; `None`: the function's name.
        arguments: What the tool is called with, for a block; a decorated function's are taken from its calls.
        capture: What is kept of each call: `("args", "result")`, one of them, or `()`; `None`: both, as far as the
            setting `capture` allows.
        reduce: Makes the result of a generator from the list of its items, at most 10,000 of them, such as `"".join`;
            `None`: a generator's result is what it returns.

    Raises:
        TypeError, ValueError: An argument is wrong; the message names it.
    """
    if is_decorable(name):
        return ToolCalls(None, **options)(name)
    return ToolCalls(name, **options)


def log_event(
    summary: str,
    *,
    type: str = "custom",
    payload: Mapping[str, Any] | None = None,
    step: Step | str | None = None,
    agent_id: str | None = None,
    idempotency_key: str | None = None,
) -> None:
    """Log an event of the current run, linked to the current step; outside of a run nothing is recorded.

    The arguments are those of `Run.log_event`, but that `None` as the step is the current one.
    """
    scope = _context.current()
    if isinstance(scope, Step):
        scope.run.take_event(summary, type, payload, scope if step is None else step, agent_id, idempotency_key)
    elif scope is not None:
        scope.take_event(summary, type, payload, step, agent_id, idempotency_key)
