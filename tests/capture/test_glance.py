"""The quick way for small plain values."""

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mission_tracer._capture.capture import Capture
from mission_tracer._capture.glance import UNUSUAL, glance
from mission_tracer._capture.lines import line
from mission_tracer._capture.portraits import Portraits
from mission_tracer._capture.walk import Names, Walk, clean
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
        {"Key": "token", "Value": "x"},
        ["--password", "x"],
        ["token", "x"],
        [float("nan")],
        2**63,
        "é",
        "x" * 3000,
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


WORDS = st.sampled_from([
    "password", "hunter2", "token", "name", "key", "value", "Bearer abcdef123", "=", ":", " ", "--api-key", "'", "\n",
    "KEY" + "0" * 32 + "_" + "a1" * 11, "sk-proj-" + "a1b2c3d4" * 4, "https://bob:pw@x.com", "AKIA" + "0" * 16, "user",
])  # fmt: skip
TEXTS = st.lists(WORDS | st.text(max_size=8), max_size=6).map("".join)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=6) | st.lists(inner, max_size=3).map(tuple) | st.dictionaries(TEXTS, inner, max_size=6)
    ),
    max_leaves=12,
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(PLAIN, st.sampled_from([64, 300, 32768]))
def test_a_glance_sees_what_the_walk_sees(value: Any, most: int) -> None:
    """Whatever a glance makes of a value, the walk over it makes the same, secrets and all."""
    made = seen(value)
    if made is not UNUSUAL and len(msgspec.json.encode(made)) <= most:
        walk = Walk(REDACTION, NAMES, portraits=Portraits(), max_bytes=most, clock=lambda: 0.0)
        assert walk.value(value) == made


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.integers(3, 100))
def test_a_short_text_is_said_as_a_long_one(text: str, most: int) -> None:
    """The quick way to say a text in a line gives what the general one gives."""
    assert Capture(redaction=REDACTION).text(text, max_chars=most) == line(
        clean(REDACTION.excerpt(text, 2 * most)), most
    )
