"""Functions of every kind: decorated, they have the type they had."""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from typing import Any, TypeVar, overload

from mission_tracer import mission_run, plan_step, tool_call

T = TypeVar("T")


@mission_run
def bare(city: str, limit: int = 5, *rest: float, deep: bool = False, **more: bytes) -> dict[str, int]:
    return {}


@mission_run("Find", plan=["a", ("b", "B"), {"step_id": "c"}], metadata={"k": 1})
def with_arguments(city: str, limit: int = 5) -> dict[str, int]:
    return {}


@plan_step
async def coroutine(city: str, /, *, limit: int) -> list[str]:
    return []


@plan_step("research", description="Find", repeat="new", metadata={"k": 1})
async def coroutine_with_arguments(city: str) -> list[str]:
    return []


@tool_call
def generator(count: int) -> Generator[int, str, bool]:
    yield 1
    return True


@tool_call("stream", reduce=lambda items: len(items))
def iterator(count: int) -> Iterator[int]:
    yield 1


@plan_step
async def async_generator(count: int) -> AsyncIterator[int]:
    yield 1


@plan_step()
async def async_generator_with_arguments(count: int) -> AsyncIterator[int]:
    yield 1


@tool_call
@plan_step
@mission_run("All")
def stacked(one: int) -> str:
    return ""


@tool_call
def generic(one: T, two: list[T]) -> T:
    return one


@overload
def overloaded(one: int) -> int: ...
@overload
def overloaded(one: str) -> str: ...
@tool_call
def overloaded(one: int | str) -> int | str:
    return one


@functools.cache
@tool_call
def cached(one: int) -> str:
    return ""


def callback(one: int, *, two: str) -> float:
    return 0.0


async def use() -> None:
    reveal_type(bare)
    reveal_type(bare("Chicago"))
    reveal_type(with_arguments)
    reveal_type(coroutine)
    reveal_type(await coroutine("Chicago", limit=1))
    reveal_type(coroutine_with_arguments)
    reveal_type(generator)
    reveal_type(iterator)
    reveal_type(async_generator)
    reveal_type(async_generator_with_arguments)
    reveal_type(stacked)
    reveal_type(generic(1, [2]))
    reveal_type(overloaded("x"))
    reveal_type(cached(1))
    reveal_type(tool_call(callback))
    reveal_type(tool_call("named")(callback))
    reveal_type(plan_step(lambda: 1)())
    reveal_type(tool_call(functools.partial(callback, 1))(two=""))
    async for item in async_generator(1):
        reveal_type(item)


def takes(act: Callable[[int], str], wait: Callable[[str], Awaitable[list[str]]]) -> None: ...


takes(stacked, coroutine_with_arguments)
anything: Any = None
reveal_type(mission_run(anything))
