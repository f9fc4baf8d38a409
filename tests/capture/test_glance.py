"""The quick way for small plain values."""

from typing import Any

import pytest

from mission_tracer._capture.glance import UNUSUAL, glance
from mission_tracer._capture.walk import Names
from mission_tracer._redact.redaction import Redaction

REDACTION = Redaction.default()
NAMES = Names(REDACTION)


def seen(value: Any) -> Any:
    return glance(value, NAMES.of, REDACTION.text)


@pytest.mark.parametrize("value", ["Chicago", 1, 0.5, True, None, [], {}, {"a": [1, "b", {"c": None}]}, [[1], [2.5]]])
def test_a_small_plain_value_is_taken_as_it_is(value: Any) -> None:
    """A small value of plain types is given back equal."""
    assert seen(value) == value


def test_a_tuple_becomes_a_list_and_containers_are_copied() -> None:
    """What comes back shares no container with what was given."""
    value = {"a": (1, 2), "b": [3]}
    made = seen(value)
    assert made == {"a": [1, 2], "b": [3]}
    assert made["b"] is not value["b"]


def test_texts_are_redacted() -> None:
    """Texts are redacted on the quick way too."""
    assert seen({"note": "password=hunter2"}) == {"note": "password=[redacted]"}


@pytest.mark.parametrize(
    "value",
    [
        {"password": "x"},
        {1: 2},
        {"value": 1, "name": "token"},
        ["--password", "x"],
        ["token", "x"],
        [float("nan")],
        2**63,
        "é",
        "x" * 300,
        list(range(17)),
        dict.fromkeys(map(str, range(17))),
        [[[[[[1]]]]]],
        {"a": object()},
        {1, 2},
        b"x",
        type("S", (str,), {})("x"),
        {"sk-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1": 1, "sk-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa2": 1},
    ],
)
def test_everything_else_is_left_to_the_walk(value: Any) -> None:
    """Whatever is large, deep, secret or of another type is unusual."""
    assert seen(value) is UNUSUAL
