"""What each kind of callable costs under our decorators, beside `functools.wraps` and wrapt alone.

Run: `python -m benchmarks.callables`.

All of a kind are measured in turn, many times, in one process; the best of each counts. Ratios come first, since they
hold on other machines: how many times the cost that `functools.wraps` adds to the bare call.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import wrapt

import mission_tracer as mt
from mission_tracer import recorder

ROUNDS = 40
SECONDS = 0.004  # one round of one variant

Decorate = Callable[[Any], Any]


class Tool:
    def __call__(self, one: int) -> int:
        return one


def function(decorate: Decorate) -> Callable[[int], object]:
    @decorate
    def call(one: int) -> int:
        return one

    return lambda number: [call(1) for _ in range(number)]


def arguments(decorate: Decorate) -> Callable[[int], object]:
    @decorate
    def call(one: int, two: int = 2, *rest: int, three: int = 3, **more: int) -> int:
        return one + two + three + len(rest) + len(more)

    return lambda number: [call(1, 2, three=3) for _ in range(number)]


def method(decorate: Decorate) -> Callable[[int], object]:
    class Agent:
        @decorate
        def call(self, one: int) -> int:
            return one

    agent = Agent()
    return lambda number: [agent.call(1) for _ in range(number)]


def class_method(decorate: Decorate) -> Callable[[int], object]:
    class Agent:
        @classmethod
        @decorate
        def call(cls, one: int) -> int:
            return one

    return lambda number: [Agent.call(1) for _ in range(number)]


def coroutine(decorate: Decorate) -> Callable[[int], object]:
    @decorate
    async def call(one: int) -> int:
        return one

    async def main(number: int) -> None:
        for _ in range(number):
            await call(1)

    return lambda number: loop.run_until_complete(main(number))


def generator(decorate: Decorate) -> Callable[[int], object]:
    @decorate
    def call(one: int) -> Iterator[int]:
        yield one

    return lambda number: [list(call(1)) for _ in range(number)]


def items(decorate: Decorate) -> Callable[[int], object]:
    @decorate
    def call(count: int) -> Iterator[int]:
        yield from range(count)

    return lambda number: list(call(number))


def async_items(decorate: Decorate) -> Callable[[int], object]:
    @decorate
    async def call(count: int) -> Any:
        for item in range(count):
            yield item

    async def main(number: int) -> None:
        async for _ in call(number):
            pass

    return lambda number: loop.run_until_complete(main(number))


def callable_object(decorate: Decorate) -> Callable[[int], object]:
    call = decorate(Tool())
    return lambda number: [call(1) for _ in range(number)]


KINDS = {
    "function": function,
    "function, 4 arguments": arguments,
    "method": method,
    "class method": class_method,
    "coroutine function": coroutine,
    "generator of one item": generator,
    "a generator's item": items,
    "an async generator's item": async_items,
    "callable object": callable_object,
}


def wraps(target: Any) -> Any:
    """Wrap with the standard library alone, in the right kind."""

    async def wait(*args: Any, **kwargs: Any) -> Any:
        return await target(*args, **kwargs)

    def give(*args: Any, **kwargs: Any) -> Any:
        return (yield from target(*args, **kwargs))

    async def give_later(*args: Any, **kwargs: Any) -> Any:
        async for item in target(*args, **kwargs):
            yield item

    def call(*args: Any, **kwargs: Any) -> Any:
        return target(*args, **kwargs)

    kinds: dict[Any, Any] = {
        inspect.iscoroutinefunction: wait,
        inspect.isgeneratorfunction: give,
        inspect.isasyncgenfunction: give_later,
    }
    inner = next((inner for ask, inner in kinds.items() if ask(target)), call)
    return functools.wraps(target, updated=())(inner)


@wrapt.decorator
def wrapt_alone(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    return wrapped(*args, **kwargs)


@contextmanager
def disabled() -> Iterator[None]:
    mt.configure(enabled=False)
    yield


@contextmanager
def outside() -> Iterator[None]:
    mt.configure(sender="off", dir=directory)
    yield


@contextmanager
def inside() -> Iterator[None]:
    mt.configure(sender="off", dir=directory)
    with mt.mission_run("Benchmark"):
        yield


VARIANTS: dict[str, tuple[Decorate, Any]] = {
    "bare": (lambda target: target, outside),
    "wraps": (wraps, outside),
    "wrapt": (wrapt_alone, outside),
    "disabled": (mt.plan_step, disabled),
    "outside": (mt.plan_step, outside),
    "plan_step": (mt.plan_step, inside),
    "tool_call": (mt.tool_call, inside),
}


def measure(kind: Callable[[Decorate], Callable[[int], object]]) -> dict[str, float]:
    """Measure all variants of a kind in turn; the best round of each, in microseconds a call."""
    works = {name: kind(decorate) for name, (decorate, _) in VARIANTS.items()}
    numbers: dict[str, int] = {}
    best = dict.fromkeys(VARIANTS, float("inf"))
    for _ in range(ROUNDS):
        for name, (_, surroundings) in VARIANTS.items():
            with surroundings():
                work, number = works[name], numbers.get(name, 20)
                began = time.perf_counter()
                work(number)
                taken = (time.perf_counter() - began) / number
            best[name] = min(best[name], taken * 1e6)
            numbers[name] = max(20, min(20_000, int(SECONDS / taken)))
    return best


def main() -> None:
    print(f"Python {sys.version.split()[0]}, wrapt {version('wrapt')}; each: what is added to the bare call\n")
    found = {name: measure(kind) for name, kind in KINDS.items()}
    print(f"{'times functools.wraps':28}" + "".join(f"{name:>10}" for name in list(VARIANTS)[2:]))
    for name, best in found.items():
        floor = max(best["wraps"] - best["bare"], 0.01)
        ratios = [(best[variant] - best["bare"]) / floor for variant in list(VARIANTS)[2:]]
        print(f"{name:28}" + "".join(f"{ratio:>9.1f}x" for ratio in ratios))
    print(
        f"\n{'microseconds':28}{'wraps':>10}{'wrapt':>10}{'disabled':>10}{'outside':>10}{'plan_step':>10}{'tool_call':>10}"
    )
    for name, best in found.items():
        print(f"{name:28}" + "".join(f"{best[variant] - best['bare']:>10.2f}" for variant in list(VARIANTS)[1:]))


if __name__ == "__main__":
    loop = asyncio.new_event_loop()
    with tempfile.TemporaryDirectory() as directory:
        main()
        recorder.discard()
    loop.close()
