"""Generators and contexts: which scope is current when, and what becomes of generators nobody wants any more."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import aclosing, closing, contextmanager
from contextvars import ContextVar, copy_context
from typing import Any

import pytest

import mission_tracer as mt
from mission_tracer import facts

from .conftest import Decorate

seen: ContextVar[str] = ContextVar("seen", default="unset")


def ends(journal: Callable[[], list[facts.Fact]]) -> list[Any]:
    """Say how each run, step and tool call but the outer run ended."""
    found: list[Any] = []
    for fact in journal():
        if isinstance(fact, facts.StepLeft):
            found.append(("step", fact.status))
        elif isinstance(fact, facts.RunClosed):
            found.append(("run", fact.status))
        elif isinstance(fact, facts.Event) and b'"type":"tool_result"' in bytes(fact.body):
            found.append(("tool", "completed"))
        elif isinstance(fact, facts.Event) and b'"type":"error"' in bytes(fact.body):
            found.append(("error", "logged"))
    return found


ENDS = [("step", "completed"), ("run", "cancelled"), ("tool", "completed")]


@contextmanager
def loud() -> Iterator[list[Any]]:
    """Note what Python could raise nowhere."""
    found: list[Any] = []
    before, sys.unraisablehook = sys.unraisablehook, found.append
    try:
        yield found
    finally:
        sys.unraisablehook = before


def in_a_thread(use: Callable[[], None]) -> None:
    thread = threading.Thread(target=use)
    thread.start()
    thread.join()


def test_context_variables(decorate: Decorate) -> None:
    """A generator runs in its consumer's context: it sees what is set there, and what it sets is seen there."""

    @decorate
    def subject() -> Any:
        before = seen.get()
        seen.set("by the generator")
        yield before
        yield seen.get()

    def use() -> None:
        seen.set("by the consumer")
        generator = subject()
        assert next(generator) == "by the consumer"
        assert seen.get() == "by the generator"
        seen.set("again by the consumer")
        assert next(generator) == "again by the consumer"
        assert list(generator) == []

    copy_context().run(use)


def test_the_scope_never_crosses_a_yield(recorded: Decorate) -> None:
    """Between two items the consumer's run and step are current; inside, the generator's own, also in its blocks."""
    inner: list[Any] = []

    @recorded
    def subject() -> Any:
        inner.append((mt.current_run(), mt.current_step()))
        yield 1
        inner.append((mt.current_run(), mt.current_step()))
        with mt.plan_step("block") as block:
            yield 2
            assert mt.current_step() is block
        inner.append((mt.current_run(), mt.current_step()))

    outer = mt.current_run(), mt.current_step()
    generator = subject()
    for _ in generator:
        assert (mt.current_run(), mt.current_step()) == outer
    assert (mt.current_run(), mt.current_step()) == outer
    assert inner[0] == inner[1] == inner[2]


def test_two_generators_in_turn(recorded: Decorate) -> None:
    """Generators that are resumed in turn each keep their own scope."""

    @recorded
    def subject(n: int) -> Any:
        mine = mt.current_run(), mt.current_step()
        for item in range(3):
            assert (mt.current_run(), mt.current_step()) == mine
            yield n, item
        assert (mt.current_run(), mt.current_step()) == mine

    assert [item for pair in zip(subject(1), subject(2), strict=True) for item in pair][-1] == (2, 2)


@pytest.mark.parametrize("where", ["here", "in another context", "in another thread"])
@pytest.mark.parametrize("how", ["closed", "collected", "collected in a circle"])
def test_abandoned(recorded: Decorate, journal: Callable[[], list[facts.Fact]], where: str, how: str) -> None:
    """A generator whose consumer stops is closed once, wherever that happens, without an error, with nothing left."""
    closed: list[Any] = []
    held: list[Any] = []

    @recorded
    def subject() -> Any:
        try:
            yield 1
            yield 2
        finally:
            closed.append(1)

    def begin() -> None:
        generator = subject()
        next(generator)
        if how == "collected in a circle":
            generator_and_itself: list[Any] = [generator]
            generator_and_itself.append(generator_and_itself)
        else:
            held.append(generator)

    def end() -> None:
        if how == "closed":
            held[0].close()
        held.clear()
        gc.collect()

    ends_where: dict[str, Callable[[], None]] = {
        "here": end,
        "in another context": lambda: copy_context().run(end),
        "in another thread": lambda: in_a_thread(end),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        begin()
        ends_where[where]()
    assert closed == [1]
    assert mt.current_step() is None
    assert len(ends(journal)) == 1
    assert ends(journal)[0] in ENDS


def test_breaking_out_of_a_loop(recorded: Decorate, journal: Callable[[], list[facts.Fact]]) -> None:
    """Leaving a loop early closes the generator where it is, silently."""

    @recorded
    def subject() -> Any:
        yield from range(5)

    def first() -> Any:
        for item in subject():
            return item
        return None

    with loud() as found:
        assert first() == 0
        for _ in subject():
            break
        with closing(subject()) as items:
            next(items)
    assert found == []
    assert len(ends(journal)) == 3
    assert set(ends(journal)) <= set(ENDS)


def test_context_variables_async(decorate: Decorate) -> None:
    """It sees what its consumer set, and what it sets is seen by its consumer."""

    @decorate
    async def subject() -> Any:
        before = seen.get()
        seen.set("by the generator")
        yield before
        yield seen.get()

    async def main() -> None:
        seen.set("by the consumer")
        generator = subject()
        assert await generator.__anext__() == "by the consumer"
        assert seen.get() == "by the generator"
        seen.set("again by the consumer")
        assert [item async for item in generator] == ["again by the consumer"]

    asyncio.run(main())


def test_the_scope_never_crosses_a_yield_async(recorded: Decorate) -> None:
    """Between two items the consumer's run and step are current; inside, the generator's own, also in its blocks."""

    @recorded
    async def subject() -> Any:
        mine = mt.current_run(), mt.current_step()
        await asyncio.sleep(0)
        yield 1
        assert (mt.current_run(), mt.current_step()) == mine
        async with mt.plan_step("block") as block:
            yield 2
            await asyncio.sleep(0)
            assert mt.current_step() is block
        assert (mt.current_run(), mt.current_step()) == mine

    async def main() -> None:
        outer = mt.current_run(), mt.current_step()
        async for _ in subject():
            assert (mt.current_run(), mt.current_step()) == outer
        assert (mt.current_run(), mt.current_step()) == outer

    asyncio.run(main())


def test_resumed_by_several_tasks(recorded: Decorate, journal: Callable[[], list[facts.Fact]]) -> None:
    """A generator that is handed from task to task keeps its scope and ends once."""

    @recorded
    async def subject() -> AsyncIterator[int]:
        mine = mt.current_run(), mt.current_step()
        for n in range(3):
            await asyncio.sleep(0)
            assert (mt.current_run(), mt.current_step()) == mine
            yield n

    async def main() -> None:
        generator: Any = subject()
        for n in range(3):
            assert await asyncio.ensure_future(generator.__anext__()) == n
        with pytest.raises(StopAsyncIteration):
            await asyncio.ensure_future(generator.__anext__())

    asyncio.run(main())
    assert len(ends(journal)) == 1


async def break_out(subject: Any) -> None:
    async for _ in subject():
        break


async def close_elsewhere(subject: Any) -> None:
    generator = subject()
    await generator.__anext__()
    await asyncio.ensure_future(generator.aclose())


async def collect(subject: Any) -> None:
    generator: Any = [subject()]
    generator.append(generator)
    await generator[0].__anext__()
    del generator
    gc.collect()
    await asyncio.sleep(0)  # the loop closes it in a task of its own, which it makes by its next turn
    await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))


async def leave_open(subject: Any) -> None:
    held.append(subject())
    await held[0].__anext__()


async def cancel_the_consumer(subject: Any) -> None:
    there = asyncio.Event()

    async def consume() -> None:
        async with aclosing(subject()) as items:
            async for _ in items:
                there.set()
                await asyncio.sleep(60)

    task = asyncio.ensure_future(consume())
    await there.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


held: list[Any] = []


@pytest.mark.parametrize("abandon", [break_out, close_elsewhere, collect, leave_open, cancel_the_consumer])
def test_abandoned_async(
    recorded: Decorate, journal: Callable[[], list[facts.Fact]], abandon: Callable[[Any], Coroutine[Any, Any, None]]
) -> None:
    """A generator whose consumer stops is closed once, in whatever task or at the loop's end, without a word."""
    closed: list[int] = []
    said: list[Any] = []

    @recorded
    async def subject() -> Any:
        try:
            yield 1
            yield 2
        finally:
            closed.append(1)
            await asyncio.sleep(0)

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
        await abandon(subject)

    with loud() as unraised, warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(main())
        held.clear()
        gc.collect()
    assert closed == [1]
    assert said == []
    assert unraised == []
    assert len(ends(journal)) == 1
    assert ends(journal)[0] in ENDS
