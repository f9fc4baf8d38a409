"""Decorated coroutine functions: same task, same context, same words."""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
import types
import warnings
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from typing import Any

import pytest

import mission_tracer as mt
from mission_tracer import facts

from .conftest import Decorate
from .seeing import agree

seen: ContextVar[str] = ContextVar("seen", default="unset")


def test_same_task(decorate: Decorate) -> None:
    """A coroutine runs in the task that awaits it; no task is made."""

    @decorate
    async def subject() -> Any:
        await asyncio.sleep(0)
        return asyncio.current_task(), asyncio.all_tasks()

    async def main() -> None:
        before = asyncio.all_tasks()
        task, during = await subject()
        assert task is asyncio.current_task()
        assert during == before

    asyncio.run(main())


def test_no_turn_of_the_loop_is_added(decorate: Decorate) -> None:
    """What does not wait does not wait when it is decorated."""

    @decorate
    async def subject() -> int:
        return 1

    with pytest.raises(StopIteration) as stop:
        subject().send(None)
    assert stop.value.value == 1


def test_context_variables(decorate: Decorate) -> None:
    """What the caller set is seen inside, and what is set inside is seen by the caller, across waits."""

    @decorate
    async def subject() -> str:
        before = seen.get()
        await asyncio.sleep(0)
        seen.set("inside")
        await asyncio.sleep(0)
        return before

    async def main() -> None:
        seen.set("outside")
        assert await subject() == "outside"
        assert seen.get() == "inside"

    asyncio.run(main())


def test_coroutine_object(decorate: Decorate) -> None:
    """A call returns a true coroutine with the function's name."""

    def make(d: Decorate) -> Any:
        @d
        async def subject() -> None: ...

        return subject

    def look(target: Any) -> Any:
        coroutine = target()
        coroutine.close()
        name = coroutine.__name__, coroutine.__qualname__, coroutine.cr_code.co_name
        return type(coroutine), name, inspect.iscoroutine(coroutine), inspect.getcoroutinestate(coroutine)

    assert agree(make, decorate, look)[0] is types.CoroutineType


def test_never_awaited(decorate: Decorate) -> None:
    """A coroutine that nobody awaits gives one warning, with its name, and runs and records nothing."""
    ran: list[int] = []

    def make(d: Decorate) -> Any:
        @d
        async def subject() -> None:
            ran.append(1)

        return subject

    def look(target: Any) -> Any:
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            target()
            gc.collect()
        return [(warning.category, str(warning.message)) for warning in found]

    assert len(agree(make, decorate, look)) == 1
    assert ran == []


def test_cancellation(decorate: Decorate) -> None:
    """Cancelling the task cancels the coroutine where it waits; it may clean up, or refuse."""
    log: list[str] = []

    @decorate
    async def subject(*, refuse: bool) -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            log.append("cancelled")
            if not refuse:
                raise
        return "refused"

    async def main() -> None:
        task = asyncio.ensure_future(subject(refuse=False))
        await asyncio.sleep(0)
        task.cancel("why")
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
        task = asyncio.ensure_future(subject(refuse=True))
        await asyncio.sleep(0)
        task.cancel()
        assert await task == "refused"

    asyncio.run(main())
    assert log == ["cancelled", "cancelled"]


def test_timeouts(decorate: Decorate) -> None:
    """`asyncio.wait_for` ends it in time."""

    @decorate
    async def subject() -> None:
        await asyncio.sleep(60)

    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(subject(), 0.01)

    asyncio.run(main())


def test_driving_by_hand(decorate: Decorate) -> None:
    """`send`, `throw` and `close` of a coroutine reach what it waits for."""

    def make(d: Decorate) -> Any:
        @types.coroutine
        def wait(item: Any) -> Any:
            return (yield item)

        @d
        async def subject(log: list[Any]) -> Any:
            try:
                log.append(await wait("first"))
                try:
                    await wait("second")
                except ValueError as error:
                    log.append(repr(error))
                await wait("third")
            finally:
                log.append("closed")

        return subject

    def look(target: Any) -> Any:
        log: list[Any] = []
        coroutine = target(log)
        came = [coroutine.send(None), coroutine.send("in"), coroutine.throw(ValueError("thrown"))]
        coroutine.close()
        return came, log

    assert agree(make, decorate, look) == (["first", "second", "third"], ["in", repr(ValueError("thrown")), "closed"])


def test_gather_keeps_scopes_apart(recorded: Decorate) -> None:
    """Calls that run at the same time each see their own run and step all along."""

    @recorded
    async def subject(n: int) -> Any:
        mine = mt.current_run(), mt.current_step()
        for _ in range(n % 5):
            await asyncio.sleep(0)
            assert (mt.current_run(), mt.current_step()) == mine
        return mine

    async def main() -> None:
        before = mt.current_run(), mt.current_step()
        scopes = await asyncio.gather(*(subject(n) for n in range(50)))
        assert len(set(scopes)) in {1, 50}  # a tool call is no scope of its own
        assert (mt.current_run(), mt.current_step()) == before

    asyncio.run(main())


def test_abandoned_in_another_context(recorded: Decorate, journal: Callable[[], list[facts.Fact]]) -> None:
    """A coroutine that is thrown away while it waits is closed once, wherever that is, and disturbs nothing there."""

    @types.coroutine
    def wait() -> Any:
        yield

    @recorded
    async def subject() -> None:
        await wait()

    coroutine = subject()
    copy_context().run(coroutine.send, None)
    assert mt.current_step() is None
    with mt.plan_step("other") as other:
        coroutine.close()
        assert mt.current_step() is other


def test_task_group(decorate: Decorate) -> None:
    """Task groups run decorated coroutines and see their errors unchanged."""
    if sys.version_info < (3, 11):
        pytest.skip("there are no task groups before Python 3.11")
    error = ValueError("one of them")

    @decorate
    async def subject(n: int) -> int:
        await asyncio.sleep(0)
        if n == 3:
            raise error
        return n

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(subject(n)) for n in range(3)]
        assert [task.result() for task in tasks] == [0, 1, 2]
        caught: list[BaseException] = []
        try:
            async with asyncio.TaskGroup() as group:
                for n in range(5):
                    group.create_task(subject(n))
        except BaseException as group_of_errors:
            caught = [*group_of_errors.exceptions]  # type: ignore[attr-defined]
        assert caught == [error]

    asyncio.run(main())


def test_trio(decorate: Decorate) -> None:
    """It runs under another event loop than asyncio's."""
    trio = pytest.importorskip("trio")

    @decorate
    async def subject(n: int) -> int:
        await trio.sleep(0)
        return n

    @decorate
    async def items() -> Any:
        for n in range(3):
            await trio.sleep(0)
            yield n

    async def main() -> None:
        assert await subject(1) == 1
        assert [item async for item in items()] == [0, 1, 2]
        with trio.move_on_after(0) as scope:
            await subject(2)
        assert scope.cancelled_caught

    trio.run(main)


def test_marked_coroutine_function(decorate: Decorate) -> None:
    """A function that is only marked as a coroutine function stays marked, and is recorded until it is awaited."""
    if sys.version_info < (3, 12):
        pytest.skip("there is no mark before Python 3.12")

    def make(d: Decorate) -> Any:
        @d
        @inspect.markcoroutinefunction
        def subject(one: int) -> Any:
            async def inner() -> int:
                return one

            return inner()

        return subject

    assert agree(make, decorate, lambda target: (inspect.iscoroutinefunction(target), asyncio.run(target(1)))) == (
        True,
        1,
    )
