"""What a user writes as a plan."""

from __future__ import annotations

from typing import Any

import pytest

from mission_tracer.facts import PlannedStep
from mission_tracer.plans import plan_items


def test_a_plan_is_ids_pairs_and_mappings() -> None:
    """A step of a plan is an id, an id with a description, or a mapping."""
    assert plan_items(["a", ("b", "Bee"), {"step_id": "c"}, {"step_id": "d", "parent_step_id": "c"}]) == [
        PlannedStep("a", "a"),
        PlannedStep("b", "Bee"),
        PlannedStep("c", "c"),
        PlannedStep("d", "d", "c"),
    ]


@pytest.mark.parametrize("wrong", ["abc", b"abc", {"a": 1}, [1], [""], ["."], [("a", "b", "c")], [{"id": "a"}], 3])
def test_what_is_no_plan_is_refused(wrong: Any) -> None:
    """Anything else is an error that says what a plan is."""
    with pytest.raises((TypeError, ValueError)):
        plan_items(wrong)
