"""How a run ends: what was said by hand, what came back, what was raised."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mission_tracer._capture import Capture
from mission_tracer._handles.outcome import Outcome, say

CAPTURE = Capture(strict=True)


@pytest.mark.parametrize(
    ("said", "error", "status"),
    [
        (None, ValueError("x"), "failed"),
        ("succeeded", ValueError("x"), "failed"),
        ("cancelled", ValueError("x"), "failed"),
        (None, KeyboardInterrupt(), "cancelled"),
        (None, asyncio.CancelledError(), "cancelled"),
        ("succeeded", KeyboardInterrupt(), "cancelled"),
        ("failed", asyncio.CancelledError(), "failed"),
    ],
)
def test_what_is_raised(said: str | None, error: BaseException, status: str) -> None:
    """An error makes a run failed whatever was said; a cancellation makes it cancelled unless it had failed."""
    assert Outcome(said).of_error(error, CAPTURE)["status"] == status


def test_the_reason_is_the_one_given_else_the_error() -> None:
    """The reason given by hand counts more than the error; the summary given by hand is kept beside it."""
    error = ValueError("boom")
    assert "boom" in Outcome().of_error(error, CAPTURE)["error"]
    assert Outcome().of_error(error, CAPTURE)["summary"] is None
    given = Outcome("failed", "a summary", error="a reason").of_error(error, CAPTURE)
    assert (given["error"], given["summary"]) == ("a reason", "a summary")


@pytest.mark.parametrize(
    ("outcome", "result", "ending"),
    [
        (Outcome(), {"a": 1}, ("succeeded", {"a": 1})),
        (Outcome(), 7, ("succeeded", {"result": 7})),
        (Outcome(), None, ("succeeded", None)),
        (Outcome("succeeded", payload={"b": 2}), {"a": 1}, ("succeeded", {"b": 2})),
        (Outcome("failed", error="why"), {"a": 1}, ("failed", {"a": 1})),
        (Outcome("succeeded", payload={}), {"a": 1}, ("succeeded", {})),
    ],
)
def test_what_comes_back(outcome: Outcome, result: Any, ending: tuple[str, Any]) -> None:
    """A run that raises nothing succeeds with its result, unless another end or payload was said by hand."""
    found = outcome.of_result(result, 1.0, CAPTURE)
    assert (found["status"], found["payload"]) == ending
    assert found["error"] == outcome.error


@pytest.mark.parametrize(
    ("outcome", "result", "summary"),
    [
        (Outcome(), None, "finished in 1.3 s"),
        (Outcome("cancelled"), None, "cancelled after 1.3 s"),
        (Outcome(), "Chicago", "Chicago"),
        (Outcome("succeeded", "by hand"), "Chicago", "by hand"),
        (Outcome("succeeded", ""), "Chicago", "finished in 1.3 s"),
        (Outcome("succeeded", payload={"b": 2}), "Chicago", "Chicago"),
    ],
)
def test_a_summary_is_always_there(outcome: Outcome, result: Any, summary: str) -> None:
    """The summary is what was said, else what came back, else how long it took."""
    assert outcome.of_result(result, 1.26, CAPTURE)["summary"] == summary


def test_without_capture_the_result_is_not_summed_up() -> None:
    """Where no values are kept a summary tells the time alone, unless one was said by hand."""
    off = Capture(mode="off", strict=True)
    assert Outcome().of_result("Chicago", 1.0, off)["summary"] == "finished in 1.0 s"
    assert Outcome(summary="by hand").of_result("Chicago", 1.0, off)["summary"] == "by hand"


def test_of_a_result_the_type_can_be_kept_alone() -> None:
    """In the mode `names` a result is its type; a payload given by hand is kept whole."""
    names = Capture(mode="names", strict=True)
    ending = Outcome().of_result({"city": "Chicago"}, 1.0, names)
    assert (ending["payload"], ending["summary"]) == ({"result": "dict"}, "dict")
    assert Outcome(payload={"a": 1}).of_result(None, 1.0, names)["payload"] == {"a": 1}
    assert Outcome().of_result({"a": 1}, 1.0, Capture(mode="off", strict=True))["payload"] is None


def test_what_is_said_is_bounded() -> None:
    """Texts given by hand are cut at two thousand characters; an error is said with its kind."""
    assert len(say("x" * 9000, CAPTURE)) <= 2100
    assert len(Outcome(summary="x" * 9000).of_result(None, 1.0, CAPTURE)["summary"]) <= 2100
    assert say(ValueError("boom"), CAPTURE) == "ValueError: boom"
