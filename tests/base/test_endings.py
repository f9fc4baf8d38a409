"""How a block ended."""

from __future__ import annotations

import asyncio

import pytest

from mission_tracer._base.endings import is_cancellation, is_good_exit


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
