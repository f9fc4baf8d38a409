"""What is captured already is said in one line."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_tracer._capture.lines import line, listed, summarized
from mission_tracer._capture.walk import MORE

BLANKS = st.text(st.sampled_from("ab \t\n\u00a0\u2003\u200b"), max_size=60)


@given(BLANKS | st.text(max_size=60), st.integers(1, 80))
def test_a_line_has_single_blanks_and_a_length(text: str, most: int) -> None:
    """A line is the words of a text with one blank between them, cut to a length with three dots."""
    words = " ".join(text.split())
    shown = line(text, most)
    assert len(shown) <= max(most, 3)
    if len(text) <= 4 * most:
        assert shown == (words if len(words) <= most else f"{words[: max(most - 3, 0)]}...")


def test_a_long_text_is_not_read_to_its_end() -> None:
    """Of a text that is much longer than its line only the begin is read, and the line says that there is more."""
    assert line(" " * 1000 + "x", 10) == "..."
    assert line("a b" + " " * 1000, 10) == "a b..."
    assert line("word " * 1000, 10) == "word wo..."


def test_a_neat_text_comes_back_as_it_is() -> None:
    """A text that is a line already is the same object."""
    text = "Found 3 contractors"
    assert line(text, 100) is text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, ""),
        ({"city": "Chicago", "count": 3}, "city='Chicago', count=3"),
        ({"a": ["b\n", None]}, "a=['b\\n', None]"),
    ],
)
def test_arguments_are_listed_as_in_a_call(arguments: dict[str, Any], said: str) -> None:
    """Arguments stand as they would in code."""
    assert listed(arguments, 100) == said


def test_a_long_list_is_cut() -> None:
    """However many arguments there are, the line has its length."""
    assert len(listed({f"a{number}": "x" * 1000 for number in range(1000)}, 50)) == 50


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "0 items"),
        ([1, "a"], "2 items: 1, a"),
        ([1, 2, f"{MORE} 40 more"], "42 items: 1, 2, ... 40 more"),
        ({"a": [1], MORE: "7 more"}, "a: 1 item, 7 more fields"),
        (True, "true"),
    ],
)
def test_a_result_is_summed_up(data: Any, said: str) -> None:
    """A result is a line that a person reads; what was cut is counted."""
    assert summarized(data) == said
