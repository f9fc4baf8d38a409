"""What a user gives is checked, and the error names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mission_tracer import ExecutionMode
from mission_tracer._base.checks import (
    check_callable,
    check_kept,
    check_mapping,
    check_mode,
    check_name,
    check_text,
    unless_none,
)


@pytest.mark.parametrize(
    ("check", "right"),
    [
        (check_name, "research"),
        (check_text, ""),
        (check_mapping, {"a": 1}),
        (check_mode, "external"),
        (check_mode, ExecutionMode.MANAGED),
        (check_callable, len),
    ],
)
def test_what_is_right_is_returned_as_it_is(check: Callable[[Any, str], Any], right: Any) -> None:
    """A check returns the very object it was given; `unless_none` lets `None` through too."""
    assert check(right, "it") is right
    assert unless_none(check, right, "it") is right
    assert unless_none(check, None, "it") is None


@pytest.mark.parametrize(
    ("check", "wrong", "error", "words"),
    [
        (check_name, 7, TypeError, "it must be a string, not int"),
        (check_name, " ", ValueError, "it must be a name, not ' '"),
        (check_name, "..", ValueError, "it must be a name"),
        (check_text, b"text", TypeError, "it must be a string, not bytes"),
        (check_mapping, [("a", 1)], TypeError, "it must be a mapping such as a dict, not list"),
        (check_mode, "remote", ValueError, "it must be one of external, managed, not 'remote'"),
        (check_mode, 3, TypeError, "it must be a string"),
        (check_callable, "len", TypeError, "it must be callable, not str"),
    ],
)
def test_what_is_wrong_is_named(check: Callable[[Any, str], Any], wrong: Any, error: Any, words: str) -> None:
    """The error says what is wrong, what was given and what is allowed."""
    with pytest.raises(error, match=words):
        check(wrong, "it")


def test_what_a_decorator_keeps() -> None:
    """`capture` is a list of `args` and `result`; `None` is both."""
    assert check_kept(None) == {"args", "result"}
    assert check_kept(["args"]) == {"args"}
    assert check_kept(()) == set()
