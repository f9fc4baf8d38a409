"""LangGraph: nodes are steps, whatever the graph does with them."""

from __future__ import annotations

import asyncio
import operator
import threading
from collections.abc import Callable
from typing import Annotated, Any

import pytest

pytest.importorskip("langgraph")

from langgraph.func import entrypoint, task
from langgraph.graph import START, StateGraph
from langgraph.types import Command, RetryPolicy, Send
from typing_extensions import TypedDict

import mission_tracer as mt
from mission_tracer import _context
from mission_tracer.facts import PlanDeclared, RunOpened, StepEntered, StepLeft
from mission_tracer.integrations.langchain import MissionCallbackHandler

from .langchain_fakes import talker, through
from .telling import payloads, tell

Journal = Callable[[], list[Any]]


class State(TypedDict, total=False):
    city: str
    number: int
    done: Annotated[list[int], operator.add]


def find(state: State) -> State:
    """Find contractors online."""
    mt.log_event(f"looks in {state.get('city')}")
    return {"number": 3}


@mt.plan_step
def phone(number: int) -> int:
    mt.log_event(f"calls {number}")
    return number


def call_each(state: State) -> State:
    return {"done": [phone(number) for number in range(state.get("number", 0) - 1)]}


async def wait(state: State) -> State:
    await asyncio.sleep(60)
    return {}


def graph(*nodes: Any, name: str = "Windows", **options: Any) -> Any:
    """Compile nodes that follow each other."""
    builder: Any = StateGraph(State)
    before = START
    for node in nodes:
        builder.add_node(node, **options)
        builder.add_edge(before, node.__name__)
        before = node.__name__
    return builder.compile(name=name)


@pytest.fixture(autouse=True)
def strict(isolation: None) -> None:
    mt.configure(strict=True)


FOUND = [
    ("run_opened", "Windows"),
    ("PlanDeclared",),
    ("step_entered", "find", None),
    ("custom", "find", "looks in Chicago"),
    ("step_left", "find", "completed"),
    ("step_entered", "call_each", None),
    ("step_entered", "phone", "call_each"),
    ("custom", "phone", "calls 0"),
    ("step_left", "phone", "completed"),
    ("step_entered", "phone-2", "call_each"),
    ("custom", "phone-2", "calls 1"),
    ("step_left", "phone-2", "completed"),
    ("step_left", "call_each", "completed"),
    ("run_closed", "succeeded", {"city": "Chicago", "number": 3, "done": [0, 1]}),
]


@pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream", "astream"])
def test_nodes_are_steps_and_decorators_nest(journal: Journal, how: str) -> None:
    """Each node is a step with what it logs; steps of our own inside a node are parts of it."""
    handler = MissionCallbackHandler()
    compiled, given, config = graph(find, call_each), {"city": "Chicago"}, through(handler)

    async def consume() -> None:
        if how == "ainvoke":
            await compiled.ainvoke(given, config)
        else:
            async for _ in compiled.astream(given, config):
                assert _context.scope.get() is None
        assert (_context.scope.get(), _context.owner.get()) == (None, None)

    if how == "invoke":
        compiled.invoke(given, config)
    elif how == "stream":
        for _ in compiled.stream(given, config):
            assert _context.scope.get() is None
    else:
        asyncio.run(consume())
    assert tell(journal()) == FOUND
    assert handler.under_way == 0


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
def test_a_decorated_function_that_is_a_node_is_one_step(journal: Journal, how: str) -> None:
    """A node whose function is a step of ours by the same name is one step, with what the decorator keeps."""

    @mt.plan_step(metadata={"team": "north"}, capture=["args", "result"])
    def find(state: Any) -> Any:
        mt.log_event("looking")
        return {"city": "Chicago"}

    @mt.plan_step("call each")
    def ring(state: Any) -> Any:
        return {}

    given: Any = StateGraph(dict)
    given.add_sequence([find, ring])
    given.add_edge(START, "find")
    compiled: Any = given.compile(name="Agent")
    mt.instrument("langchain")
    if how == "invoke":
        compiled.invoke({"city": "?"})
    else:
        asyncio.run(compiled.ainvoke({"city": "?"}))
    assert tell(journal())[2:-1] == [
        ("step_entered", "find", None),
        ("custom", "find", "looking"),
        ("step_left", "find", "completed"),
        ("step_entered", "ring", None),
        ("step_entered", "call each", "ring"),
        ("step_left", "call each", "completed"),
        ("step_left", "ring", "completed"),
    ]
    [left] = [fact for fact in journal() if isinstance(fact, StepLeft) and fact.step_id == "find"]
    assert left.metadata == {
        "team": "north",
        "arguments": {"state": {"city": "?"}},
        "result": {"city": "Chicago"},
    }


def test_the_plan_is_read_from_the_graph(journal: Journal) -> None:
    """The plan has the graph's nodes in their order, described by their docstrings."""
    graph(find, call_each).invoke({"city": "Chicago"}, through(MissionCallbackHandler()))
    [plan] = [fact for fact in journal() if isinstance(fact, PlanDeclared)]
    assert [(step.step_id, step.description) for step in plan.steps] == [
        ("find", "Find contractors online."),
        ("call_each", "call_each"),
    ]
    entered = [fact.description for fact in journal() if isinstance(fact, StepEntered)][:2]
    assert entered == ["Find contractors online.", "call_each"]


def test_a_plan_that_cannot_be_read_costs_nothing_else(journal: Journal) -> None:
    """When the graph's nodes cannot be read, the run and its steps are recorded all the same."""
    mt.configure(log_level="off")

    compiled = graph(find)
    compiled.builder = Hostile()
    compiled.invoke({"city": "Chicago"}, through(MissionCallbackHandler()))
    assert [line for line in tell(journal()) if line[0] != "PlanDeclared"] == [
        *[line for line in FOUND[:5] if line[0] != "PlanDeclared"],
        ("run_closed", "succeeded", {"city": "Chicago", "number": 3, "done": []}),
    ]


class Hostile:
    """Raise at every look."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("not to be looked at")


def test_a_subgraph_is_part_of_its_node(journal: Journal) -> None:
    """The nodes of a graph that is a node, or is called in one, are steps of that node, under its name."""

    def ask(state: State) -> Any:
        return graph(call_each, name="Inner").invoke(state)

    builder: Any = StateGraph(State)
    builder.add_node("search", graph(find, name="Search"))
    builder.add_node(ask)
    builder.add_edge(START, "search")
    builder.add_edge("search", "ask")
    builder.compile(name="Windows").invoke({"city": "Chicago"}, through(MissionCallbackHandler()))
    assert [line[1:] for line in tell(journal()) if line[0] == "step_entered"] == [
        ("search", None),
        ("search.find", "search"),
        ("ask", None),
        ("ask.call_each", "ask"),
        ("phone", "ask.call_each"),
        ("phone-2", "ask.call_each"),
    ]
    assert len([fact for fact in journal() if isinstance(fact, RunOpened)]) == 1


def test_nodes_side_by_side(journal: Journal) -> None:
    """A node that is sent to several times at once is a step each time, and each has its own events."""

    def spread(state: State) -> list[Send]:
        return [Send("work", {"number": number}) for number in range(3)]

    def work(state: State) -> State:
        mt.log_event(f"works on {state.get('number')}")
        return {"done": [state.get("number", 0)]}

    builder: Any = StateGraph(State)
    builder.add_node(find)
    builder.add_node(work)
    builder.add_edge(START, "find")
    builder.add_conditional_edges("find", spread, ["work"])
    compiled = builder.compile()
    asyncio.run(compiled.ainvoke({}, through(MissionCallbackHandler())))
    found = tell(journal())
    assert {line[1] for line in found if line[0] == "step_entered"} == {"find", "work", "work-2", "work-3"}
    assert len({line[1] for line in found if line[2:] and str(line[2]).startswith("works on")}) == 3
    assert found[-1][1:] == ("succeeded", {"number": 3, "done": [0, 1, 2]})


def test_attempts_of_a_node(journal: Journal) -> None:
    """A node that its graph tries again is another attempt of the same step; each failed attempt is one error."""
    tried = []

    def flaky(state: State) -> State:
        tried.append(1)
        if len(tried) < 3:
            raise ValueError("not yet")
        return {}

    policy = RetryPolicy(initial_interval=0.001, max_attempts=3, retry_on=ValueError)
    graph(flaky, retry_policy=policy).invoke({}, through(MissionCallbackHandler()))
    assert tell(journal())[2:-1] == [
        ("step_entered", "flaky", None),
        ("error", "flaky", "ValueError: not yet"),
        ("step_left", "flaky", "failed"),
        ("step_entered", "flaky", None),
        ("error", "flaky", "ValueError: not yet"),
        ("step_left", "flaky", "failed"),
        ("step_entered", "flaky", None),
        ("step_left", "flaky", "completed"),
    ]
    assert [fact.attempt for fact in journal() if isinstance(fact, StepEntered)] == [1, 2, 3]


def test_two_nodes_that_fail_at_once(journal: Journal) -> None:
    """Two errors side by side are two; the one that the graph raises is not logged again, by it or by an outer run."""

    def left(state: State) -> State:
        raise ValueError("left")

    def right(state: State) -> State:
        raise KeyError("right")

    builder: Any = StateGraph(State)
    for node in (left, right):
        builder.add_node(node)
        builder.add_edge(START, node.__name__)
    with pytest.raises((ValueError, KeyError)), mt.mission_run("Outer"):
        builder.compile().invoke({}, through(MissionCallbackHandler()))
    errors = {line[1:] for line in tell(journal()) if line[0] == "error"}
    assert errors == {("left", "ValueError: left"), ("right", "KeyError: 'right'")}
    assert len(payloads(journal(), "error")) == 2
    assert tell(journal())[-1][:2] == ("run_closed", "failed")


def test_leaving_a_subgraph_is_no_error(journal: Journal) -> None:
    """A node that sends its parent graph elsewhere has completed, and so has the node that its graph is."""

    def leave(state: State) -> Any:
        return Command(goto="find", graph=Command.PARENT)

    builder: Any = StateGraph(State)
    builder.add_node("inner", graph(leave, name="Inner"))
    builder.add_node(find)
    builder.add_edge(START, "inner")
    builder.compile(name="Windows").invoke({}, through(MissionCallbackHandler()))
    assert [line for line in tell(journal()) if line[0] in {"step_left", "error"}] == [
        ("step_left", "inner.leave", "completed"),
        ("step_left", "inner", "completed"),
        ("step_left", "find", "completed"),
    ]


def test_a_graph_that_runs_in_circles(journal: Journal) -> None:
    """A graph that reaches its limit fails with that error, logged once, after its steps completed."""
    builder: Any = StateGraph(State)
    builder.add_node(find)
    builder.add_edge(START, "find")
    builder.add_edge("find", "find")
    with pytest.raises(RecursionError):
        builder.compile().invoke({}, {**through(MissionCallbackHandler()), "recursion_limit": 3})
    found = tell(journal())
    assert [line[1] for line in found if line[0] == "step_left"] == ["find", "find-2", "find-3"]
    assert len(payloads(journal(), "error")) == 1
    assert found[-1][1] == "failed"


def test_tasks_of_an_entrypoint_are_steps(journal: Journal) -> None:
    """With the functional interface, the entrypoint is a step and each task is one inside of it."""

    @task
    def double(number: int) -> int:
        return 2 * number

    @entrypoint()
    def flow(number: int) -> int:
        return int(double(number).result()) + int(double(number).result())

    assert flow.invoke(2, through(MissionCallbackHandler("Flow"))) == 8
    assert [line[1:] for line in tell(journal()) if line[0] == "step_entered"] == [
        ("flow", None),
        ("flow.double", "flow"),
        ("flow.double-2", "flow"),
    ]
    assert tell(journal())[-1] == ("run_closed", "succeeded", {"result": 8})


def test_a_model_that_streams_inside_a_node(journal: Journal) -> None:
    """A node's model that is streamed through the graph is one answer, at the node's step."""

    def say(state: State) -> State:
        return {"city": str(talker("in the city").invoke("Where?").content)}

    parts = [
        part[0].content
        for part in graph(say).stream({}, through(MissionCallbackHandler()), stream_mode="messages")
        if part[0].content.strip()
    ]
    assert parts == ["in", "the", "city"]
    assert ("message", "say", "in the city") in tell(journal())
    assert len(payloads(journal(), "message")) == 1


def test_a_graph_in_a_thread_that_nobody_carried_to(journal: Journal) -> None:
    """A call in a bare thread knows nothing of the node around it, and is a run of its own; carried, it is a part."""
    handler = MissionCallbackHandler("Inner")

    def work(state: State) -> State:
        for target in (ask, mt.carry(ask)):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
        return {}

    def ask() -> None:
        talker("yes").invoke("Is it?", through(handler))

    graph(work).invoke({}, through(MissionCallbackHandler()))
    found = tell(journal())
    assert [line for line in found if line[0] == "message"] == [("message", "work", "yes"), ("message", None, "yes")]
    assert [line[1] for line in found if line[0] == "run_opened"] == ["Windows", "Inner"]
