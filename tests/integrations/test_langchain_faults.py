"""LangChain: whatever goes wrong in our hooks, the program does not notice."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("langchain")

from langchain.agents import create_agent
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt
from typing_extensions import TypedDict

import mission_tracer as mt
from mission_tracer import _context, recorder
from mission_tracer._base.notices import Notices
from mission_tracer._disk.journal import Journal
from mission_tracer._disk.stream import Stream
from mission_tracer.integrations.langchain import MissionCallbackHandler
from mission_tracer.settings import Settings

from .langchain_fakes import add, calls, model, question, refuse, sleep, talker, through

HOOKS = sorted(name for name in vars(MissionCallbackHandler) if name.startswith("on_"))


class FaultError(Exception):
    """An error of ours, made on purpose."""


class Hostile:
    """Raise whatever is done with it."""

    def __getattribute__(self, name: str) -> Any:
        raise FaultError(name)

    __hash__ = __bool__ = __eq__ = __iter__ = __len__ = __str__ = __repr__ = lambda *_: Hostile().anything  # type: ignore[assignment]


class FailingStream(Stream):
    """Take so many facts, and fail from then on."""

    left = 0

    def stamp(self) -> Any:
        if self.left <= 0:
            raise FaultError("no more facts")
        self.left -= 1
        return super().stamp()


class State(TypedDict, total=False):
    answer: str


@pytest.fixture
def said(isolation: None) -> Iterator[list[str]]:
    """Record with a recorder that says what it keeps from the program."""
    lines: list[str] = []
    settings = Settings.load({}, environ=os.environ)
    recorder.replace(recorder.Recorder(settings, notices=Notices("error", write=lines.append)))
    yield lines
    assert (_context.scope.get(), _context.owner.get()) == (None, None)


def failing(after: int, **given: Any) -> None:
    """Record with a recorder whose runs fail after so many facts."""

    def stream(key: str, journal: Journal) -> Stream:
        made = FailingStream(key, journal)
        made.left = after
        return made

    settings = Settings.load({"log_level": "off", **given}, environ=os.environ)
    recorder.replace(recorder.Recorder(settings, stream=stream))


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_that_is_told_nonsense(said: list[str], name: str) -> None:
    """A hook that fails returns nothing, raises nothing, and says once what it kept from the program."""
    hook: Callable[..., Any] = getattr(MissionCallbackHandler(), name)
    parameters = inspect.signature(hook).parameters.values()
    nonsense: Any = Hostile()
    given = [nonsense for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    named = {p.name: nonsense for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert hook(*given, **named) is None
    [line] = said
    assert "an error of ours was kept from the program" in line
    assert f"langchain.{name}" in line
    assert "FaultError" in line


def test_every_hook_is_ours() -> None:
    """Each hook of the handler is guarded, and each that LangChain has for chains, tools and models is there."""
    expected = {
        *(f"on_{what}_{when}" for what in ("chain", "tool", "retriever") for when in ("start", "end", "error")),
        *("on_chat_model_start", "on_llm_start", "on_llm_new_token", "on_llm_end", "on_llm_error"),
        *("on_agent_action", "on_custom_event", "on_retry", "on_interrupt"),
    }
    assert set(HOOKS) == expected
    assert all(hasattr(getattr(MissionCallbackHandler, name), "__wrapped__") for name in HOOKS)


def sums(handlers: list[Any]) -> Any:
    turns = calls(("add", {"a": 1, "b": 2})), calls(("refuse", {"why": "no road"})), "It is 3."
    return create_agent(model(*turns), [add, refuse]).with_config(through(*handlers))


def words(result: Any) -> list[str]:
    return [str(message.content) for message in result["messages"]]


@pytest.mark.parametrize("after", range(23))
def test_an_agent_whose_record_fails_at_any_point(isolation: None, after: int) -> None:
    """Whichever fact cannot be recorded, the agent gives what it gives without us, and its context is as it was."""
    expected = words(sums([]).invoke(question()))
    failing(after)
    assert words(sums([MissionCallbackHandler()]).invoke(question())) == expected
    assert words(asyncio.run(sums([MissionCallbackHandler()]).ainvoke(question()))) == expected
    assert _context.owner.get() is None
    assert _context.scope.get() is None


@pytest.mark.parametrize("after", range(12))
def test_a_graph_that_waits_whose_record_fails_at_any_point(isolation: None, after: int) -> None:
    """Whichever fact cannot be recorded, a graph stops and goes on as without us."""

    def ask(state: State) -> State:
        mt.log_event("asks")
        return {"answer": interrupt("Fine?")}

    failing(after)
    builder: Any = StateGraph(State)
    builder.add_node(ask)
    builder.add_edge(START, "ask")
    graph = builder.compile(checkpointer=InMemorySaver())
    config: Any = {**through(MissionCallbackHandler()), "configurable": {"thread_id": "t"}}
    assert graph.invoke({}, config)["__interrupt__"][0].value == "Fine?"
    assert graph.invoke(Command(resume="yes"), config) == {"answer": "yes"}


def test_a_directory_that_cannot_be_written(isolation: None, tmp_path: Any) -> None:
    """With nowhere to remember a waiting thread, the graph stops and goes on as without us."""
    (tmp_path / "file").write_text("")
    mt.configure(dir=tmp_path / "file" / "state", log_level="off")

    def ask(state: State) -> State:
        return {"answer": interrupt("Fine?")}

    builder: Any = StateGraph(State)
    builder.add_node(ask)
    builder.add_edge(START, "ask")
    graph = builder.compile(checkpointer=InMemorySaver())
    config: Any = {**through(MissionCallbackHandler()), "configurable": {"thread_id": "t"}}
    graph.invoke({}, config)
    assert graph.invoke(Command(resume="yes"), config) == {"answer": "yes"}


@pytest.mark.parametrize("after", range(4))
def test_a_call_that_is_given_up_whose_record_fails(isolation: None, after: int) -> None:
    """When a call that nobody waits for any more cannot be recorded, its task and the loop go on."""
    complaints: list[Any] = []

    async def main() -> str:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        try:
            await asyncio.wait_for(sleep.ainvoke({"seconds": 60}, through(MissionCallbackHandler())), 0.02)
        except asyncio.TimeoutError:
            await asyncio.sleep(0.01)
        return "goes on"

    failing(after)
    assert asyncio.run(main()) == "goes on"
    assert complaints == []


def test_strict_lets_errors_of_ours_through(isolation: None) -> None:
    """With `strict` on, an error of ours reaches the test that provoked it."""
    failing(3, strict=True)
    with pytest.raises(FaultError, match="no more facts"):
        sums([MissionCallbackHandler()]).invoke(question())


def test_values_that_cannot_be_shown(isolation: None, said: list[str]) -> None:
    """Inputs, results and errors that raise when they are looked at are recorded as far as they can be."""

    class Odd:
        def __repr__(self) -> str:
            raise FaultError("not to be shown")

        __str__ = __repr__

    class OddError(Exception):
        def __str__(self) -> str:
            raise FaultError("not to be shown")

    def work(given: Any) -> Any:
        if given is None:
            raise OddError
        return given

    handler = MissionCallbackHandler()
    odd = Odd()
    assert RunnableLambda(work).invoke(odd, through(handler)) is odd
    with pytest.raises(OddError):
        RunnableLambda(work).invoke(None, through(handler))
    assert handler.under_way == 0
    assert said == []


def test_a_handler_whose_recorder_is_replaced_in_the_middle(isolation: None) -> None:
    """When recording is configured anew during a call, the call ends well and is recorded to its end."""

    def work(asked: str) -> str:
        mt.configure(strict=True)
        return str(talker("yes").invoke(asked).content)

    handler = MissionCallbackHandler()
    assert RunnableLambda(work).invoke("Is it?", through(handler)) == "yes"
    assert handler.under_way == 0
