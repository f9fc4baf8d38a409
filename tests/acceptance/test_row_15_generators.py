"""Generators in other contexts: no "Token was created in a different Context", the right parent, closed once."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import copy_context
from typing import Any

import pytest

import mission_tracer as mt


class Watch:
    """Note what Python, the event loop and the generators have to say."""

    def __init__(self) -> None:
        self.closed = 0
        self.said: list[Any] = []

    @mt.plan_step("stream")
    def stream(self) -> Iterator[int]:
        try:
            with mt.plan_step("inside"):
                yield 1
                mt.log_event("between")
                yield 2
        finally:
            self.closed += 1

    @mt.plan_step("stream")
    async def stream_later(self) -> AsyncIterator[int]:
        try:
            async with mt.plan_step("inside"):
                yield 1
                mt.log_event("between")
                await asyncio.sleep(0)
                yield 2
        finally:
            self.closed += 1
            await asyncio.sleep(0)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    watch = Watch()
    monkeypatch.setattr(sys, "unraisablehook", watch.said.append)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield watch
        gc.collect()
    assert watch.said == []


def thread(use: Callable[[], Any]) -> None:
    started = threading.Thread(target=use)
    started.start()
    started.join()


def drop(held: list[Any]) -> None:
    held.clear()
    gc.collect()


SYNC: dict[str, Callable[[list[Any]], Any]] = {
    "closed here": lambda held: held[0].close(),
    "closed in another context": lambda held: copy_context().run(held[0].close),
    "closed in another thread": lambda held: thread(held[0].close),
    "collected here": drop,
    "collected in another thread": lambda held: thread(lambda: drop(held)),
    "finished in another thread": lambda held: thread(lambda: list(held[0])),
}


@pytest.mark.parametrize("end", SYNC.values(), ids=SYNC)
def test_row_15_generators(end: Callable[[list[Any]], Any], watch: Watch, api: Any) -> None:
    """A generator that begins in a step and ends anywhere is one completed step below it."""
    with mt.mission_run("m"):
        held: list[Any] = []
        with mt.plan_step("outer") as outer:
            held.append(watch.stream())
            next(held[0])
            assert mt.current_step() is outer
        with mt.plan_step("other") as other:
            end(held)
            assert mt.current_step() is other
        drop(held)
        assert mt.current_step() is None
    assert watch.closed == 1
    check(api)


async def break_out(watch: Watch) -> None:
    async for _ in watch.stream_later():
        break


async def return_out(watch: Watch) -> int:
    async for item in watch.stream_later():
        return item
    return 0


async def another_task_finishes(watch: Watch) -> None:
    generator: Any = watch.stream_later()
    await generator.__anext__()

    async def finish() -> None:
        assert [item async for item in generator] == [2]

    await asyncio.create_task(finish())


async def another_task_closes(watch: Watch) -> None:
    generator: Any = watch.stream_later()
    await generator.__anext__()
    await asyncio.create_task(generator.aclose())


async def the_consumer_is_cancelled(watch: Watch) -> None:
    there = asyncio.Event()

    async def consume() -> None:
        async for _ in watch.stream_later():
            there.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(consume())
    await there.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def it_is_collected_in_a_circle(watch: Watch) -> None:
    circle: list[Any] = [watch.stream_later()]
    circle.append(circle)
    await circle[0].__anext__()
    del circle
    gc.collect()


async def all_others() -> None:
    """Wait until the loop has closed what is abandoned, which it does in a task of its own."""
    await asyncio.sleep(0)  # it makes that task by its next turn
    await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))


LEFT: list[Any] = []


async def it_is_left_until_the_loop_ends(watch: Watch) -> None:
    LEFT.append(watch.stream_later())
    await LEFT[0].__anext__()


@pytest.mark.parametrize(
    "use",
    [
        break_out,
        return_out,
        another_task_finishes,
        another_task_closes,
        the_consumer_is_cancelled,
        it_is_collected_in_a_circle,
        it_is_left_until_the_loop_ends,
    ],
)
def test_row_15_async_generators(use: Callable[[Watch], Any], watch: Watch, api: Any) -> None:
    """An asynchronous generator that begins in a step and ends in any task is one completed step below it."""

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: watch.said.append(context))
        with mt.plan_step("outer") as outer:
            await use(watch)
            await all_others()
            assert mt.current_step() is outer

    with mt.mission_run("m"):
        asyncio.run(main())
        LEFT.clear()
        gc.collect()
        assert mt.current_step() is None
    assert watch.closed == 1
    check(api)


def check(api: Any) -> None:
    """See that the server has the one tree, with every step ended, and no failure."""
    assert mt.flush(20)
    found = api.only_run()
    assert found["run"].status == "succeeded"
    steps = {step.step_id: step for step in found["steps"]}
    assert steps.keys() <= {"outer", "other", "stream", "inside"}
    assert {step.status for step in steps.values()} == {"completed"}
    assert steps["stream"].parent_step_id == "outer"
    assert steps["inside"].parent_step_id == "stream"
    ends = [(event.type, event.step_id) for event in found["events"] if event.type in {"step_completed", "step_failed"}]
    assert len(ends) == len(set(ends)) == len(steps)
