"""How a block ended."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from mission_tracer._base.endings import is_cancellation, is_good_exit, members


def test_cancellations_are_no_failures() -> None:
    """Ctrl-C, a cancelled task and a closed generator are cancellations; errors and exits are not."""
    assert all(map(is_cancellation, (KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit())))
    assert not any(map(is_cancellation, (ValueError(), SystemExit(1), asyncio.TimeoutError())))


def test_an_exit_with_status_0_is_a_good_one() -> None:
    """`sys.exit()` and `sys.exit(0)` end a program as done; other codes, texts and exceptions do not."""
    assert all(map(is_good_exit, (SystemExit(), SystemExit(None), SystemExit(0), SystemExit(False))))
    assert not any(map(is_good_exit, (SystemExit(1), SystemExit("bye"), KeyboardInterrupt(), ValueError())))


@pytest.mark.parametrize("code", ["", [], {}, 0.0])
def test_an_exit_with_an_empty_object_is_none(code: object) -> None:
    """Python prints it and exits with status 1."""
    program = f"import sys; sys.exit({code!r})"
    assert subprocess.run([sys.executable, "-c", program], check=False, stderr=subprocess.DEVNULL).returncode == 1
    assert not is_good_exit(SystemExit(code))


class Unreadable(SystemExit):
    @property
    def code(self) -> None:  # type: ignore[override]
        raise ValueError


def test_an_exit_whose_code_cannot_be_read_is_none() -> None:
    """Asking raises nothing."""
    assert not is_good_exit(Unreadable())


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


def test_a_group_of_cancellations_is_one() -> None:
    """A nursery that is cancelled, or meets Ctrl-C, raises a group; with an error among them it is a failure."""
    trio = pytest.importorskip("trio")
    caught: list[BaseException] = []

    async def stop(error: BaseException) -> None:
        raise error

    async def group(*errors: BaseException) -> None:
        with trio.move_on_after(0.01):
            try:
                async with trio.open_nursery() as nursery:
                    for error in errors:
                        nursery.start_soon(stop, error)
                    nursery.start_soon(trio.sleep_forever)
                    nursery.start_soon(trio.sleep_forever)
            except BaseException as error:
                caught.append(error)

    trio.run(group)
    trio.run(group, KeyboardInterrupt())
    trio.run(group, KeyboardInterrupt(), ValueError())
    assert all(members(error) for error in caught)
    assert [is_cancellation(error) for error in caught] == [True, True, False]


class SilentError(Exception):
    def __getattribute__(self, name: str) -> object:
        raise AttributeError(name)


def test_an_exception_that_answers_nothing_is_a_failure() -> None:
    """No end is told by what an exception says of itself, trio's neither."""
    pytest.importorskip("trio")
    assert not is_cancellation(SilentError())
    assert not is_good_exit(SilentError())
