"""Read what a user writes as a plan: steps that are known before they are entered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from mission_tracer import facts
from mission_tracer._base.checks import check_mapping, check_name, check_text, unless_none

if TYPE_CHECKING:
    from mission_tracer._capture import Capture

PlanItem: TypeAlias = "str | tuple[str, str] | Mapping[str, Any]"
"""A step to declare: its id, its id and description, or a mapping with `step_id` and, if wanted, `description`,
`parent_step_id` and `metadata`. (`sequence` may stand there too, as the API has it; it is the order that counts.)"""

_FIELDS = ("step_id", "description", "parent_step_id", "metadata", "sequence")


def planned_step(item: PlanItem) -> facts.PlannedStep:
    """Read one item of a plan.

    Raises:
        TypeError, ValueError: It has no usable id or description.
    """
    fields: Mapping[str, Any]
    if isinstance(item, str):
        fields = {"step_id": item}
    elif isinstance(item, tuple) and len(item) == 2:
        fields = {"step_id": item[0], "description": item[1]}
    elif isinstance(item, Mapping) and "step_id" in item:  # type: ignore[redundant-expr]  # callers are not all typed
        fields = item
    else:
        raise TypeError(
            f"a step of the plan must be an id, (id, description) or a mapping with step_id, not {item!r:.200}"
        )
    unknown = [name for name in fields if name not in _FIELDS]
    if unknown:
        raise ValueError(f"a step of the plan may have {', '.join(_FIELDS)}, not {unknown!r:.200}")
    step_id = check_name(fields["step_id"], "a step of the plan")
    about, parent = fields.get("description"), fields.get("parent_step_id")
    metadata = unless_none(check_mapping, fields.get("metadata"), "the metadata of a step of the plan")
    return facts.PlannedStep(
        step_id,
        (about and check_text(about, "the description of a step of the plan")) or step_id,
        unless_none(check_name, parent, "parent_step_id"),
        dict(metadata) if metadata else None,
    )


def without_secrets(step: facts.PlannedStep, capture: Capture) -> facts.PlannedStep:
    """Return a step as it may be recorded."""
    return facts.PlannedStep(
        capture.name(step.step_id),
        capture.text(step.description, max_chars=1000),
        None if step.parent_step_id is None else capture.name(step.parent_step_id),
        capture.value(step.metadata) if step.metadata else None,
    )


def plan_items(plan: Iterable[PlanItem]) -> list[facts.PlannedStep]:
    """Read a plan.

    Raises:
        TypeError, ValueError: It is no list of steps, or a step of it has no usable id.
    """
    if isinstance(plan, (str, bytes, Mapping)) or not isinstance(plan, Iterable):
        raise TypeError(f"plan must be a list of steps, not {plan!r:.200}")
    return [planned_step(item) for item in plan]
