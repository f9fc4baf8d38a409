"""Decorated callables that are found by their names, as in a user's module."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import mission_tracer as mt


@mt.plan_step
def function(one: int) -> int:
    return one


@mt.tool_call("named")
async def coroutine(one: int) -> int:
    return one


@mt.mission_run
def generator(one: int) -> Iterator[int]:
    yield one


@mt.plan_step("named")
async def async_generator(one: int) -> AsyncIterator[int]:
    yield one


class Agent:
    def __init__(self, name: str) -> None:
        self.name = name

    @mt.plan_step
    def method(self, one: int) -> tuple[str, int]:
        return self.name, one

    @mt.tool_call
    @classmethod
    def above(cls, one: int) -> tuple[str, int]:
        return cls.__name__, one

    @classmethod
    @mt.mission_run("M")
    def below(cls, one: int) -> tuple[str, int]:
        return cls.__name__, one

    @mt.plan_step
    @staticmethod
    def static(one: int) -> int:
        return one


class Tool:
    def __init__(self, factor: int) -> None:
        self.factor = factor

    def __call__(self, one: int) -> int:
        return one * self.factor


tool = mt.tool_call(Tool(2))
