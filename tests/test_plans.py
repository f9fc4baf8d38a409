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
    assert plan_items([{"step_id": "a", "description": "", "sequence": 1, "metadata": {"n": 1}}]) == [
        PlannedStep("a", "a", None, {"n": 1})
    ]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("abc", "plan must be a list of steps, not 'abc'"),
        (b"abc", "plan must be a list"),
        ({"a": 1}, "plan must be a list"),
        (3, "plan must be a list"),
        (None, "plan must be a list"),
        ([1], "a step of the plan must be an id"),
        ([("a", "b", "c")], "a step of the plan must be an id"),
        ([{"id": "a"}], "a step of the plan must be an id"),
        ([""], "a step of the plan must be a name"),
        (["."], "a step of the plan must be a name"),
        ([("a", 5)], "the description of a step of the plan must be a string, not int"),
        ([{"step_id": "a", "parent_step_id": 5}], "parent_step_id must be a string"),
        ([{"step_id": "a", "metadata": [1]}], "the metadata of a step of the plan must be a mapping"),
        ([{"step_id": "a", "desc": "b"}], r"may have step_id, description, .*, not \['desc'\]"),
    ],
)
def test_what_is_no_plan_is_refused(wrong: Any, words: str) -> None:
    """Anything else is an error that says what is wrong and what a plan is."""
    with pytest.raises((TypeError, ValueError), match=words):
        plan_items(wrong)
