"""Decorated callables that are copied, pickled and sent to other processes."""

from __future__ import annotations

import copy
import functools
import json
import multiprocessing
import os
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import mission_tracer as mt
from mission_tracer import facts

from . import agents

BY_NAME = {
    "function": agents.function,
    "coroutine": agents.coroutine,
    "generator": agents.generator,
    "async generator": agents.async_generator,
    "method of the class": agents.Agent.method,
    "static method": agents.Agent.static,
}
PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("target", BY_NAME.values(), ids=BY_NAME)
def test_pickled_by_name(target: Any, protocol: int) -> None:
    """What a module holds under its name is pickled by that name: it comes back as itself."""
    data = pickle.dumps(target, protocol)
    assert pickle.loads(data) is target
    assert len(data) < 100


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_pickled_methods(protocol: int) -> None:
    """Bound methods are pickled with their object, class methods with their class."""
    agent = agents.Agent("a")
    for target, result in ((agent.method, ("a", 1)), (agent.above, ("Agent", 1)), (agents.Agent.below, ("Agent", 1))):
        assert pickle.loads(pickle.dumps(target, protocol))(1) == result


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_pickled_by_value(protocol: int, journal: Callable[[], list[facts.Fact]]) -> None:
    """Partials, objects and bound methods are pickled with what they hold, and still record."""
    targets = [
        (mt.tool_call(functools.partial(pow, 2)), 8),
        (agents.tool, 6),
        (mt.tool_call(agents.Tool(3).__call__), 9),
        (mt.tool_call(functools.partial(agents.function)), 3),
        (mt.tool_call(abs), 3),
    ]
    with mt.mission_run("m"):
        for target, result in targets:
            assert pickle.loads(pickle.dumps(target, protocol))(3) == result
    calls = [fact for fact in journal() if isinstance(fact, facts.Event) and b'"type":"tool_call"' in bytes(fact.body)]
    assert len(calls) == len(targets)


@pytest.mark.parametrize("target", BY_NAME.values(), ids=BY_NAME)
def test_copied_functions_are_themselves(target: Any) -> None:
    """`copy` and `deepcopy` of a function give the function, as Python does; so do copies of what holds it."""
    assert copy.copy(target) is target
    assert copy.deepcopy(target) is target
    assert copy.deepcopy({"tools": [target]})["tools"][0] is target


def test_copied_methods() -> None:
    """A copied bound method belongs to the same object, a deeply copied one to a copy of it."""
    agent = agents.Agent("a")
    assert copy.copy(agent.method).__self__ is agent
    other = copy.deepcopy(agent.method)
    assert other.__self__ is not agent
    assert other(1) == ("a", 1)


def test_copied_objects(journal: Callable[[], list[facts.Fact]]) -> None:
    """Copies of decorated objects are objects of their own, and still record."""
    other = copy.deepcopy(agents.tool)
    same = copy.copy(agents.tool)
    other.factor = 10
    with mt.mission_run("m"):
        assert (agents.tool(1), same(1), other(1)) == (2, 2, 10)
    calls = [fact for fact in journal() if isinstance(fact, facts.Event) and b'"type":"tool_call"' in bytes(fact.body)]
    assert len(calls) == 3


@pytest.mark.parametrize("start", ["spawn", "fork"])
def test_process_pools(start: str) -> None:
    """A process pool calls decorated functions and methods of a module."""
    if start not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {start} here")
    context: Any = multiprocessing.get_context(start)
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        assert list(pool.map(agents.function, [1, 2])) == [1, 2]
        assert pool.submit(agents.Agent("a").method, 1).result(30) == ("a", 1)
        assert pool.submit(agents.Agent.above, 1).result(30) == ("Agent", 1)
        assert pool.submit(agents.tool, 2).result(30) == 4


MAIN = """
    import asyncio, json, os, sys
    import cloudpickle
    import mission_tracer as mt

    FACTOR = 2

    def helper(n):
        return n * FACTOR

    @mt.tool_call
    def double(n, *, more=0):
        return helper(n) + more

    @mt.plan_step("walk", description="Walk")
    def walk(n):
        return [double(i) for i in range(n)]

    @mt.plan_step
    async def later(n):
        return double(n)

    @mt.plan_step
    def items(n):
        for i in range(n):
            yield double(i)

    @mt.plan_step
    async def later_items(n):
        for i in range(n):
            yield double(i)

    @mt.plan_step
    def countdown(n):
        return n if n == 0 else countdown(n - 1)

    class Agent:
        @mt.plan_step
        def method(self, n):
            return self.above(n)

        @mt.tool_call
        @classmethod
        def above(cls, n):
            return double(n)

    class Multiplier:
        def __init__(self, factor):
            self.factor = factor
        def __call__(self, n):
            return n * self.factor

    def make(factor):
        @mt.tool_call("nested")
        def nested(n):
            return n * factor
        return nested

    @mt.mission_run("Whole", plan=["walk"])
    def agent(n):
        return {"walked": walk(n)}

    sent = [walk, later, items, later_items, countdown, Agent().method, Agent.above, agent, make(5),
            mt.tool_call(lambda n: n + 1), mt.tool_call(Multiplier(7))]
    open(sys.argv[1], "wb").write(cloudpickle.dumps(sent))
"""

WORKER = """
    import asyncio, pickle, sys
    import mission_tracer as mt

    walk, later, items, later_items, countdown, method, above, agent, nested, lambda_, object_ = pickle.load(
        open(sys.argv[1], "rb"))

    async def collect(generator):
        return [item async for item in generator]

    mt.configure(strict=True)
    print(walk(2), agent.__name__, agent.__wrapped__.__name__)
    with mt.mission_run("Worker"):
        assert walk(2) == [0, 2]
        assert asyncio.run(later(2)) == 4
        assert list(items(2)) == [0, 2]
        assert asyncio.run(collect(later_items(2))) == [0, 2]
        assert countdown(1) == 0
        assert method(2) == 4
        assert above(3) == 6
        assert nested(2) == 10
        assert lambda_(1) == 2
        assert object_(2) == 14
    assert agent(1) == {"walked": [0]}
"""


def run(code: str, path: Path, *args: str) -> str:
    """Run code as a program of its own."""
    script = path / "script.py"
    script.write_text(textwrap.dedent(code))
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script), *args], capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_cloudpickled_from_main(tmp_path: Path, journal: Callable[[], list[facts.Fact]]) -> None:
    """Functions of `__main__` that cloudpickle sends to a worker (as Ray and Dask do) run there, and record there."""
    pytest.importorskip("cloudpickle")
    sent = tmp_path / "sent"
    sent.mkdir()
    run(MAIN, sent, str(sent / "functions"))
    assert run(WORKER, sent, str(sent / "functions")).split("]")[1].split() == ["agent", "agent"]
    entered = [fact.step_id for fact in journal() if isinstance(fact, facts.StepEntered)]
    assert entered == ["walk", "later", "items", "later_items", "countdown", "countdown-2", "method", "walk"]
    bodies = [json.loads(bytes(fact.body)) for fact in journal() if isinstance(fact, facts.Event)]
    calls = [body["payload"]["tool"] for body in bodies if body["type"] == "tool_call"]
    assert calls.count("double") == 2 + 1 + 2 + 2 + 1 + 1 + 1
    assert calls.count("above") == 2
    assert {"nested", "<lambda>", "Multiplier"} <= set(calls)
    opened = [fact.mission.name for fact in journal() if isinstance(fact, facts.RunOpened)]
    assert opened == ["Worker", "Whole"]


def test_cloudpickled_in_the_same_process(journal: Callable[[], list[facts.Fact]]) -> None:
    """A nested function that was cloudpickled and read back records as before, also while a block of it is open."""
    cloudpickle = pytest.importorskip("cloudpickle")
    step = mt.plan_step("step")

    @step
    def nested(one: int, *, two: int = 2) -> tuple[int, int]:
        return one, two

    with mt.mission_run("m"), step:
        other = cloudpickle.loads(cloudpickle.dumps(nested))
        assert other is not nested
        assert other(1) == (1, 2)
    assert len([fact for fact in journal() if isinstance(fact, facts.StepEntered)]) == 2
