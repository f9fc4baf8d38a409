"""Streams through other tasks: one tree, and every step as long as it took."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import mission_tracer as mt


@mt.tool_call(reduce="".join)
async def model(prompt: str) -> AsyncIterator[str]:
    for token in prompt.split(" "):
        await asyncio.sleep(0.02)
        yield token


@mt.plan_step
async def think(prompt: str) -> AsyncIterator[str]:
    async for token in model(prompt):
        with mt.plan_step("token"):
            mt.log_event(token)
        yield token


@mt.mission_run("Stream")
async def agent(prompt: str) -> list[str]:
    queue: asyncio.Queue[str | None] = asyncio.Queue()

    async def pump() -> None:
        async for token in think(prompt):
            await queue.put(token)
        await queue.put(None)

    task = asyncio.create_task(pump())
    tokens = []
    while (token := await queue.get()) is not None:
        assert mt.current_step() is None
        tokens.append(token)
    await task
    return tokens


def test_row_16_streaming_through_a_task_keeps_one_tree(api: Any) -> None:
    """A stream that another task pumps is one step with its children, and lasts as long as the stream."""
    assert asyncio.run(agent("a b c")) == ["a", "b", "c"]
    assert mt.flush(20)
    found = api.only_run()
    parents = {step.step_id: step.parent_step_id for step in found["steps"]}
    assert parents == {"think": None, "token": "think", "token-2": "think", "token-3": "think"}
    said = [(event.summary, event.step_id) for event in found["events"] if event.type == "custom"]
    assert said == [("a", "token"), ("b", "token-2"), ("c", "token-3")]
    [result] = [event for event in found["events"] if event.type == "tool_result"]
    assert (result.step_id, result.payload["result"]) == ("think", "abc")
    assert result.payload["duration_ms"] >= 60
    [ended] = [event for event in found["events"] if (event.type, event.step_id) == ("step_completed", "think")]
    assert ended.payload["duration_ms"] >= 60
    assert found["run"].result_payload == {"result": ["a", "b", "c"]}
