"""Read what a user writes as a plan: steps that are known before they are entered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from mission_tracer import facts

PlanItem: TypeAlias = "str | tuple[str, str] | Mapping[str, Any]"
"""A step to declare: its id, its id and description, or a mapping with `step_id` and, if wanted, `description`,
`parent_step_id` and `metadata`."""


def planned_step(item: PlanItem) -> facts.PlannedStep:
    """Read one item of a plan.

    Raises:
        TypeError, ValueError: It has no usable id or description.
    """
    if isinstance(item, str):
        return facts.PlannedStep(check_name(item, "a step of the plan"), item)
    if isinstance(item, tuple):
        step_id, description = item
        return facts.PlannedStep(check_name(step_id, "a step of the plan"), str(description) or step_id)
    if isinstance(item, Mapping) and "step_id" in item:  # type: ignore[redundant-expr]  # callers are not all typed
        step_id = check_name(item["step_id"], "step_id")
        return facts.PlannedStep(
            step_id,
            str(item.get("description") or step_id),
            item.get("parent_step_id"),
            dict(item["metadata"]) if item.get("metadata") else None,
        )
    raise TypeError(f"a step of the plan must be an id, (id, description) or a mapping with step_id, not {item!r:.200}")


def check_name(value: object, what: str) -> str:
    """Return a name as it is.

    Raises:
        TypeError, ValueError: It is no string, or cannot stand in a URL.
    """
    if not isinstance(value, str):
        raise TypeError(f"{what} must be a string, not {type(value).__name__}")
    if not value.strip() or value in {".", ".."}:
        raise ValueError(f"{what} must be a name, not {value!r}")
    return value


def plan_items(plan: Iterable[PlanItem]) -> list[facts.PlannedStep]:
    """Read a plan.

    Raises:
        TypeError, ValueError: It is no list of steps, or a step of it has no usable id.
    """
    if isinstance(plan, (str, bytes, Mapping)):
        raise TypeError(f"plan must be a list of steps, not {plan!r:.200}")
    return [planned_step(item) for item in plan]
