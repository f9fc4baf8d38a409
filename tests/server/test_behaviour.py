"""The table of switches: read from text, changed, documented."""

from pathlib import Path

import pytest

from mission_tracer.errors import ConfigurationError
from mission_tracer.server import Behaviour
from mission_tracer.server.behaviour import allowed_values, merge, parse, switches_table

PAGE = Path(__file__).parents[2] / "docs" / "server.md"


def test_parse_reads_words_and_numbers():
    """`name=value` texts become switches; the others keep their defaults."""
    behaviour = parse(["second_plan=append", " key_lifetime = 2.5 ", "max_body=200000"])
    assert behaviour == Behaviour(second_plan="append", key_lifetime=2.5, max_body=200_000)
    assert parse([]) == Behaviour()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("second_plan", ["name=value"]),
        ("colour=red", ["colour", "second_plan"]),
        ("second_plan=maybe", ["second_plan", "maybe", "conflict, replace, append"]),
        ("key_lifetime=-1", ["-1", "number of seconds"]),
        ("key_lifetime=nan", ["nan"]),
        ("max_body=0", ["number of bytes"]),
        ("max_body=1.5", ["number of bytes"]),
    ],
)
def test_parse_names_the_allowed(text, words):
    """An unknown switch or value is refused in words that name the allowed ones."""
    with pytest.raises(ConfigurationError) as caught:
        parse([text])
    assert [word for word in words if word not in str(caught.value)] == []


def test_merge_changes_the_named_ones_only():
    """Merging changes the switches named and leaves the others as they were."""
    behaviour = merge(Behaviour(error_shape="fastapi"), {"key_lifetime": 0, "second_plan": "replace"})
    assert behaviour == Behaviour(error_shape="fastapi", key_lifetime=0, second_plan="replace")


def test_the_page_has_the_table():
    """The table in `docs/server.md` is the one made from the code."""
    assert switches_table() in PAGE.read_text()


def test_every_switch_is_described():
    """Every switch has a description and at least two values."""
    for name, values in allowed_values().items():
        assert len(values) >= 2
        assert f"| `{name}` | `{values[0]}`" in switches_table()
