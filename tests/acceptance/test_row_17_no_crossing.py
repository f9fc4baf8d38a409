"""Many runs at once through the same objects: each keeps to itself."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import mission_tracer as mt

RUNS = 100


class Handler:
    """One object, one block and one decorated set of methods that all runs share."""

    step = mt.plan_step("shared block")

    @mt.mission_run("Threads")
    def in_a_thread(self, n: int) -> int:
        barrier.wait(30)
        self.look(n)
        with self.step:
            mt.log_event(f"block of {n}")
            list(self.stream(n))
        return n

    @mt.mission_run("Tasks")
    async def in_a_task(self, n: int) -> int:
        await self.look_later(n)
        async with self.step:
            await asyncio.sleep(random.random() / 100)
            mt.log_event(f"block of {n}")
            _ = [item async for item in self.stream_later(n)]
        return n

    @mt.tool_call
    def look(self, n: int) -> str:
        return f"look of {n}"

    @mt.tool_call("look")
    async def look_later(self, n: int) -> str:
        await asyncio.sleep(random.random() / 100)
        return f"look of {n}"

    @mt.plan_step("stream")
    def stream(self, n: int) -> Iterator[int]:
        for item in range(2):
            mt.log_event(f"stream of {n}")
            yield item

    @mt.plan_step("stream")
    async def stream_later(self, n: int) -> AsyncIterator[int]:
        for item in range(2):
            await asyncio.sleep(random.random() / 100)
            mt.log_event(f"stream of {n}")
            yield item


handler = Handler()
barrier = threading.Barrier(RUNS)


def check(api: Any, mission: str) -> None:
    """See that each run has what belongs to it, and nothing else."""
    assert mt.flush(60)
    [found] = [entry["runs"] for entry in api.tree() if entry["mission"].name == mission]
    assert sorted(each["run"].input["n"] for each in found) == list(range(RUNS))
    for each in found:
        n = each["run"].input["n"]
        assert each["run"].result_payload == {"result": n}
        parents = {step.step_id: step.parent_step_id for step in each["steps"]}
        assert parents == {"shared block": None, "stream": "shared block"}
        said = [(event.summary, event.step_id) for event in each["events"] if event.type == "custom"]
        assert said == [(f"block of {n}", "shared block"), *[(f"stream of {n}", "stream")] * 2]
        [result] = [event for event in each["events"] if event.type == "tool_result"]
        assert (result.payload["result"], result.step_id) == (f"look of {n}", None)


def test_row_17_threads_never_cross(api: Any) -> None:
    """A hundred runs on a hundred threads through one object never mix."""
    with ThreadPoolExecutor(RUNS) as pool:
        assert list(pool.map(handler.in_a_thread, range(RUNS))) == list(range(RUNS))
    check(api, "Threads")


def test_row_17_tasks_never_cross(api: Any) -> None:
    """A hundred runs in a hundred tasks through one object never mix."""

    async def main() -> list[int]:
        return list(await asyncio.gather(*(handler.in_a_task(n) for n in range(RUNS))))

    assert asyncio.run(main()) == list(range(RUNS))
    check(api, "Tasks")
