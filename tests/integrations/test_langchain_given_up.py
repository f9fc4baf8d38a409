"""LangChain: what is cancelled or abandoned is closed, once, and nothing of it stays behind in anybody's context."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("langchain")

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

import mission_tracer as mt
from mission_tracer import _context
from mission_tracer._base.ownership import Rank, may_record
from mission_tracer.integrations.langchain import MissionCallbackHandler

from .langchain_fakes import StuckModel, sleep, talker, through
from .telling import payloads, tell

Journal = Callable[[], list[Any]]


class State(TypedDict, total=False):
    city: str


@pytest.fixture
def handler(isolation: None) -> Iterator[MissionCallbackHandler]:
    mt.configure(strict=True)
    made = MissionCallbackHandler("Work")
    yield made
    assert made.under_way == 0


def assert_free() -> None:
    assert _context.scope.get() is None
    assert may_record(Rank.HTTP)


async def soon(call: Any) -> None:
    """Await a call in this task, and cancel it after a moment."""
    task: Any = asyncio.current_task()
    asyncio.get_running_loop().call_later(0.05, task.cancel)
    try:
        await call
    except asyncio.CancelledError:
        getattr(task, "uncancel", int)()
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def test_a_tool_that_is_cancelled(journal: Journal, handler: MissionCallbackHandler) -> None:
    """A tool that is cancelled while it is awaited ends at once, and so does its run; older releases tell nobody."""

    async def main() -> None:
        await soon(sleep.ainvoke({"seconds": 60}, through(handler)))
        assert handler.under_way == 0
        assert_free()

    asyncio.run(main())
    *before, closed = tell(journal())
    assert before == [
        ("run_opened", "Work"),
        ("tool_call", None, "sleep(seconds=60)"),
        ("error", None, "sleep was cancelled"),
    ]
    assert closed[:2] == ("run_closed", "cancelled")
    assert payloads(journal(), "error")[0]["cancelled"] is True


def test_a_model_that_is_cancelled(journal: Journal, handler: MissionCallbackHandler) -> None:
    """A model that is cancelled while it is awaited is a message that says so, inside of the run under way."""

    async def main() -> None:
        with mt.mission_run("Mine"), mt.plan_step("ask"):
            await soon(StuckModel(responses=[]).ainvoke("Hello?", through(handler)))
            assert may_record(Rank.HTTP)
            mt.log_event("goes on")

    asyncio.run(main())
    assert [line for line in tell(journal()) if line[0] in {"message", "custom"}] == [
        ("message", "ask", "StuckModel was cancelled"),
        ("custom", "ask", "goes on"),
    ]
    assert payloads(journal(), "message")[0]["cancelled"] is True


def test_a_tool_that_is_given_up_while_its_chain_goes_on(journal: Journal, handler: MissionCallbackHandler) -> None:
    """A tool whose caller had not the patience is closed then, not with the chain around it."""

    async def body(_: str) -> str:
        await soon(sleep.ainvoke({"seconds": 60}))
        mt.log_event("goes on")
        return "done"

    asyncio.run(RunnableLambda(body).ainvoke("go", through(handler)))
    assert tell(journal())[1:] == [
        ("tool_call", None, "sleep(seconds=60)"),
        ("error", None, "sleep was cancelled"),
        ("custom", None, "goes on"),
        ("run_closed", "succeeded", {"result": "done"}),
    ]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="LangChain does not tell there what is a part of what")
def test_a_graph_that_is_cancelled(journal: Journal, handler: MissionCallbackHandler) -> None:
    """Cancelling a graph cancels its run; the step under way failed, and the tool in it is closed before."""

    async def rest(state: State) -> State:
        await sleep.ainvoke({"seconds": 60})
        return state

    builder: Any = StateGraph(State)
    builder.add_node(rest)
    builder.add_edge(START, "rest")

    async def main() -> None:
        await soon(builder.compile().ainvoke({}, through(handler)))
        assert_free()

    asyncio.run(main())
    assert [line[:2] for line in tell(journal())[2:]] == [
        ("step_entered", "rest"),
        ("tool_call", "rest"),
        ("error", "rest"),
        ("step_left", "rest"),
        ("run_closed", "cancelled"),
    ]


def sequence() -> Any:
    return ChatPromptTemplate.from_messages([("user", "{x}")]) | talker() | StrOutputParser()


@pytest.mark.parametrize("what", ["model", "sequence"])
@pytest.mark.parametrize("how", ["sync", "async"])
def test_a_stream_that_nobody_reads_to_its_end(
    journal: Journal, handler: MissionCallbackHandler, how: str, what: str
) -> None:
    """A stream that is left early cancels its run, with no error; what was said so far is a message."""
    streamed: Any = talker() if what == "model" else sequence()
    given: Any = "Hello?" if what == "model" else {"x": "Hello?"}

    async def read() -> None:
        async for _ in streamed.astream(given, through(handler)):
            break
        for _ in range(10):
            await asyncio.sleep(0)
        assert_free()

    if how == "async":
        asyncio.run(read())
    else:
        for _ in streamed.stream(given, through(handler)):
            break
        assert_free()
    found = tell(journal())
    assert [line[0] for line in found] == ["run_opened", "message", "run_closed"]
    assert found[-1][:2] == ("run_closed", "cancelled")
    [said] = payloads(journal(), "message")
    assert (said["cancelled"], said["text"]) == (True, "one")


@pytest.mark.parametrize("how", ["sync", "async"])
def test_a_graph_whose_stream_is_left(journal: Journal, handler: MissionCallbackHandler, how: str) -> None:
    """A graph whose stream is left early is a cancelled run; its steps so far are what they were."""

    def first(state: State) -> State:
        return {"city": "Chicago"}

    def second(state: State) -> State:
        return {}

    builder: Any = StateGraph(State)
    builder.add_node(first)
    builder.add_node(second)
    builder.add_edge(START, "first")
    builder.add_edge("first", "second")
    graph = builder.compile()

    async def read() -> None:
        async for _ in graph.astream({}, through(handler)):
            break
        for _ in range(10):
            await asyncio.sleep(0)

    if how == "async":
        asyncio.run(read())
    else:
        for _ in graph.stream({}, through(handler)):
            break
        gc.collect()
    assert tell(journal())[2:] == [
        ("step_entered", "first", None),
        ("step_left", "first", "completed"),
        ("run_closed", "cancelled", "GeneratorExit"),
    ]


def test_a_stream_that_is_read_in_another_thread(journal: Journal, handler: MissionCallbackHandler) -> None:
    """A stream that begins in one thread and ends in another is one run, closed once, and nothing stays behind."""
    stream = talker("one two three").stream("Hello?", through(handler))
    next(iter(stream))
    rest: list[Any] = []
    thread = threading.Thread(target=lambda: rest.extend(stream))
    thread.start()
    thread.join()
    assert len(rest) > 1
    assert may_record(Rank.HTTP)
    assert tell(journal()) == [
        ("run_opened", "Work"),
        ("message", None, "one two three"),
        ("run_closed", "succeeded", {"result": "one two three"}),
    ]


def test_between_two_words_of_a_stream_nothing_is_owned(handler: MissionCallbackHandler) -> None:
    """While a stream is read, the calls of whoever reads it are theirs."""

    async def read() -> None:
        async for _ in talker().astream("Hello?", through(handler)):
            assert may_record(Rank.HTTP)
        assert may_record(Rank.HTTP)

    for _ in talker().stream("Hello?", through(handler)):
        assert may_record(Rank.HTTP)
    asyncio.run(read())


def test_the_context_is_as_it_was(handler: MissionCallbackHandler) -> None:
    """After an awaited call, the run and step that were current are current again, in the caller's own task."""

    async def main() -> None:
        with mt.mission_run("Mine") as run, mt.plan_step("count") as step:
            await sequence().ainvoke({"x": "a"}, through(handler))
            await RunnableLambda(asyncio.sleep).ainvoke(0, through(handler))
            assert (mt.current_run(), mt.current_step()) == (run, step)
        await RunnableLambda(str).ainvoke("x", through(handler))
        assert mt.current_run() is None
        await asyncio.gather(*(sequence().ainvoke({"x": str(n)}, through(handler)) for n in range(5)))
        assert mt.current_run() is None

    asyncio.run(main())


def test_runs_that_are_left_open_keep_nothing(handler: MissionCallbackHandler) -> None:
    """A thousand calls leave no entry behind, however they ended."""

    def work(number: int) -> int:
        if number % 3 == 0:
            raise ValueError(number)
        return number

    runnable = RunnableLambda(work)
    for number in range(1000):
        try:
            runnable.invoke(number, through(handler))
        except ValueError:
            continue
    assert handler.under_way == 0
    assert_free()
