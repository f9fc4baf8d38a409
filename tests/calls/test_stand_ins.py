"""Stand-ins for callables that are no plain functions."""

from __future__ import annotations

import asyncio
import functools
import inspect
import operator
from typing import Any

import pytest

import mission_tracer as mt
from mission_tracer._calls.stand_ins import stand_in
from mission_tracer.testing import recording


class Nothing:
    """A block that records nothing."""

    def begin(self, function: Any, args: Any, kwargs: Any, *, bound: bool) -> None:
        return None


class Tool:
    """A tool with a state."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def __call__(self, one: int) -> int:
        self.calls.append(one)
        return one

    def __len__(self) -> int:
        return len(self.calls)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tool) and self.calls == other.calls

    __hash__ = None  # type: ignore[assignment]


def test_it_is_what_it_stands_in_for() -> None:
    """Attributes, operators, `isinstance` and `dir` are those of the object; what is set on it is set on the object."""
    tool = Tool()
    proxy = stand_in(tool, Nothing())
    proxy(1)
    proxy.more = 2
    assert isinstance(proxy, Tool)
    assert (len(proxy), proxy.calls, tool.more, proxy == tool, repr(proxy)) == (1, [1], 2, True, repr(tool))  # type: ignore[attr-defined]
    assert set(dir(tool)) <= set(dir(proxy))
    with pytest.raises(TypeError, match="unhashable"):
        hash(proxy)


class AsyncTool:
    async def __call__(self, one: int) -> int:
        return one


def test_an_asynchronous_object_stays_one_under_two_decorators() -> None:
    """The outer one too records what comes of awaiting it, and not that it gave a coroutine."""
    with recording() as recorded, mt.mission_run("m"):
        assert asyncio.run(mt.tool_call("outer")(mt.tool_call("inner")(AsyncTool()))(3)) == 3
    assert [event.summary for event in recorded.events] == ["outer(one=3)", "inner(one=3)", "inner: 3", "outer: 3"]


class FixedTool:
    @staticmethod
    def __call__(one: int) -> int:
        return one


def test_an_object_that_is_called_by_a_static_method() -> None:
    """It gets no `self`."""
    assert stand_in(FixedTool(), Nothing())(3) == 3


@pytest.mark.parametrize("target", [len, "text".upper, operator.itemgetter(0), max])
def test_built_ins(target: Any) -> None:
    """Built-in functions and methods, and objects made in C, can be recorded."""
    proxy = stand_in(target, Nothing())
    args = () if target == "text".upper else (["a", "b"],)
    assert proxy(*args) == target(*args)
    assert inspect.isbuiltin(proxy) == inspect.isbuiltin(target)


def test_a_built_in_without_a_signature_still_has_none() -> None:
    """What tells no signature tells none when it is recorded."""
    for target in (max, stand_in(max, Nothing())):
        with pytest.raises(ValueError, match="no signature found"):
            inspect.signature(target)


def test_names_come_from_what_is_inside() -> None:
    """A partial is recorded under its function's name, an object under its class's."""

    def search(query: str) -> str:
        """Search the web."""
        return query

    class Dial:
        """Dial a number."""

        def __call__(self) -> None: ...

    with mt.mission_run("m"):
        seen: list[Any] = []

        def inside(*_: Any) -> Any:
            step = mt.current_step()
            return seen.append(step.id if step is not None else None)

        mt.plan_step(functools.partial(functools.wraps(search)(inside), "q"))()
        Dial.__call__ = inside  # type: ignore[method-assign, assignment]
        mt.plan_step(Dial())()
    assert seen == ["search", "Dial"]


def test_cached_methods_stay_cached() -> None:
    """A recorded `lru_cache` keeps its cache and its management, also as a method."""

    class Agent:
        @mt.tool_call
        @functools.lru_cache  # noqa: B019 - the check
        def look(self, one: int) -> list[int]:
            return [one]

    agent = Agent()
    assert agent.look(1) is agent.look(1)
    assert agent.look.cache_info().hits == 1
    Agent.look.cache_clear()
    assert Agent.look.cache_info().hits == 0
