"""Driving generators: what is noted, and what happens at odd moments."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections.abc import Callable
from typing import Any

import mission_tracer as mt
from mission_tracer import facts
from mission_tracer._calls.drivers import AsyncGeneratorDriver, GeneratorDriver

Journal = Callable[[], list[facts.Fact]]


def test_a_generator_without_a_scope_is_just_driven() -> None:
    """Without a scope the driver hands everything through."""

    def generator() -> Any:
        got = yield 1
        return got

    driver = GeneratorDriver(generator(), None)
    assert driver.resume()
    assert (driver.take(), driver.take()) == (1, None)
    driver.given = "given"
    assert not driver.resume()
    assert driver.result == "given"


def test_items_are_noted_for_who_wants_them(journal: Journal) -> None:
    """The items of a tool are collected for its `reduce`, in order, also when its consumer stops early."""

    @mt.tool_call(reduce="".join)
    def tokens() -> Any:
        yield from "abc"

    @mt.tool_call(reduce=lambda items: items)
    async def later() -> Any:
        for token in "abc":
            yield token

    async def collect() -> None:
        assert [item async for item in later()] == ["a", "b", "c"]

    with mt.mission_run("m"):
        assert list(tokens()) == ["a", "b", "c"]
        asyncio.run(collect())
        for _ in tokens():
            break
    bodies = [json.loads(bytes(fact.body)) for fact in journal() if isinstance(fact, facts.Event)]
    results = [body["payload"]["result"] for body in bodies if body["type"] == "tool_result"]
    assert results == ["abc", ["a", "b", "c"], "a"]


def test_a_generator_that_is_collected_under_a_lock_of_its_run_ends(journal: Journal) -> None:
    """The garbage collector may end a generator while its run's lock is held: it ends, and nothing stands still."""

    @mt.plan_step
    def items() -> Any:
        yield 1

    with mt.mission_run("m") as run:
        generator = items()
        next(generator)
        with run._lock:
            del generator
            gc.collect()
            with mt.plan_step("goes on"):
                pass
    left = {fact.step_id: fact.status for fact in journal() if isinstance(fact, facts.StepLeft)}
    assert left == {"items": "completed", "goes on": "completed"}


def test_the_hooks_of_the_event_loop_are_restored() -> None:
    """Beginning an asynchronous generator leaves the loop's hooks as they were."""

    async def generator() -> Any:
        yield 1

    async def main() -> None:
        before = sys.get_asyncgen_hooks()
        driver = AsyncGeneratorDriver(generator(), None)
        assert await driver.resume()
        assert sys.get_asyncgen_hooks() == before
        assert not await driver.resume()

    asyncio.run(main())


def test_a_block_that_is_open_across_a_yield_belongs_to_the_generator(journal: Journal) -> None:
    """A step that a generator holds open while it yields is no parent of the consumer's steps."""

    @mt.tool_call
    def items() -> Any:
        with mt.plan_step("inside"):
            yield 1
            with mt.plan_step("deeper"):
                yield 2
            mt.log_event("inside again")

    with mt.mission_run("m"):
        for item in items():
            with mt.plan_step(f"outside {item}"):
                pass
    entered = {fact.step_id: fact.parent_step_id for fact in journal() if isinstance(fact, facts.StepEntered)}
    assert entered == {"inside": None, "outside 1": None, "deeper": "inside", "outside 2": None}
    [event] = [fact for fact in journal() if isinstance(fact, facts.Event) and b"inside again" in bytes(fact.body)]
    assert json.loads(bytes(event.body))["step_id"] == "inside"
