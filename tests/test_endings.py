"""How a block ended."""

from __future__ import annotations

import asyncio

import pytest

from mission_tracer._endings import as_payload, is_cancellation, mark_of


def raised(message: str) -> BaseException:
    try:
        raise ValueError(message)
    except ValueError as error:
        return error


def test_cancellations_are_no_failures() -> None:
    """Ctrl-C, a cancelled task and a closed generator are cancellations; errors and exits are not."""
    assert all(map(is_cancellation, (KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit())))
    assert not any(map(is_cancellation, (ValueError(), SystemExit(1), asyncio.TimeoutError())))


def test_a_cancelled_task_of_trio_is_one() -> None:
    """Trio's word for it is known too."""
    trio = pytest.importorskip("trio")
    caught: list[BaseException] = []

    async def main() -> None:
        with trio.move_on_after(0):
            try:
                await trio.sleep(1)
            except trio.Cancelled as error:
                caught.append(error)
                raise

    trio.run(main)
    assert [is_cancellation(error) for error in caught] == [True]


def test_an_exception_is_known_again() -> None:
    """One exception has one mark; another of the same type and text has another."""
    one, two = raised("x"), raised("x")
    assert mark_of(one) == mark_of(one) != mark_of(two)


def test_a_result_becomes_an_object() -> None:
    """A mapping stays, nothing stays nothing, anything else is an object's `result`."""
    assert (as_payload({"a": 1}), as_payload(None), as_payload(3)) == ({"a": 1}, None, {"result": 3})
