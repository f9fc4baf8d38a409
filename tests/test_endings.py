"""How a block ended."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

import pytest

from mission_tracer._endings import Seen, is_cancellation, is_good_exit, mark_of


def raised(message: str) -> BaseException:
    try:
        raise ValueError(message)
    except ValueError as error:
        return error


def test_cancellations_are_no_failures() -> None:
    """Ctrl-C, a cancelled task and a closed generator are cancellations; errors and exits are not."""
    assert all(map(is_cancellation, (KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit())))
    assert not any(map(is_cancellation, (ValueError(), SystemExit(1), asyncio.TimeoutError())))


def test_an_exit_with_status_0_is_a_good_one() -> None:
    """`sys.exit()` and `sys.exit(0)` end a program as done; other codes, texts and exceptions do not."""
    assert all(map(is_good_exit, (SystemExit(), SystemExit(None), SystemExit(0))))
    assert not any(map(is_good_exit, (SystemExit(1), SystemExit("bye"), KeyboardInterrupt(), ValueError())))


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


class OwnError(Exception):
    """An exception that the program defines: it can be referred to weakly."""


@pytest.mark.parametrize("make", [lambda: ValueError("x"), lambda: OwnError("x"), OwnError])
def test_an_exception_is_told_from_one_at_its_address(make: Callable[[], BaseException]) -> None:
    """An exception that is gone is not taken for the next one, which may have its address; nor is it kept."""
    first = make()
    seen = Seen(first, 1.0)
    assert seen.is_same(first)
    assert not seen.is_same(make())
    references = sys.getrefcount(first)
    again = Seen(first, 2.0)
    assert sys.getrefcount(first) == references
    assert again.at == 2.0
    del first
    assert not seen.is_same(make())


@pytest.mark.parametrize("error", [ValueError(), ValueError(object()), ValueError("x" * 5000)])
def test_of_some_exceptions_nobody_can_know(error: BaseException) -> None:
    """Without arguments, and with those that are not to be held, the mark is all there is."""
    assert Seen(error, 1.0).is_same(error)
    assert Seen(error, 1.0).is_same(ValueError("another"))
