"""LangChain without a graph: loops by hand, chains, classic agents, batches, retries, retrievers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("langchain")
pytest.importorskip("langchain_classic")

from langchain_classic.agents import AgentExecutor, create_tool_calling_agent
from langchain_core.callbacks import BaseCallbackHandler, dispatch_custom_event
from langchain_core.documents import Document
from langchain_core.language_models.fake import FakeListLLM
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool

import mission_tracer as mt
from mission_tracer.facts import RunOpened
from mission_tracer.integrations.langchain import MissionCallbackHandler

from .langchain_fakes import (
    ScriptedModel,
    add,
    calls,
    hand_written,
    model,
    refuse,
    talker,
    through,
)
from .telling import payloads, runs, tell

Journal = Callable[[], list[Any]]
TURNS: list[AIMessage | str] = [
    calls(("add", {"a": 1, "b": 2}), usage=True),
    calls(("refuse", {"why": "no road"})),
    "It is 3.",
]
BY_HAND = [
    ("message", None, "calls tools add, fail"),
    ("tool_call", None, "add(a=1, b=2)"),
    ("tool_result", None, "add: 3"),
    ("tool_call", None, "fail(why='no road')"),
    ("error", None, "ValueError: no road"),
    ("message", None, "It is 3."),
]
BOTH: list[AIMessage | str] = [calls(("add", {"a": 1, "b": 2}), ("fail", {"why": "no road"})), "It is 3."]


@pytest.fixture(autouse=True)
def strict(isolation: None) -> None:
    mt.configure(strict=True)


def test_an_error_of_a_model_is_logged_once(journal: Journal) -> None:
    """A model that fails is one error, with the model's name, and a failed run."""

    class Broken(ScriptedModel):
        def _generate(self, *args: Any, **kwargs: Any) -> Any:
            raise TimeoutError("no answer")

    chain = ChatPromptTemplate.from_messages([("user", "{x}")]) | Broken(responses=[]) | StrOutputParser()
    with pytest.raises(TimeoutError):
        chain.invoke({"x": "hi"}, through(MissionCallbackHandler("Ask")))
    assert tell(journal()) == [
        ("run_opened", "Ask"),
        ("error", None, "TimeoutError: no answer"),
        ("run_closed", "failed", "TimeoutError: no answer"),
    ]
    assert payloads(journal(), "error")[0]["model"] == "Broken"


def test_a_hand_written_loop_inside_a_run(journal: Journal) -> None:
    """Model and tools called by hand inside of a run are its events."""
    with mt.mission_run("By hand"), mt.plan_step("ask"):
        assert hand_written("How much?", BOTH, through(MissionCallbackHandler())) == "It is 3."
    found = tell(journal())
    assert found[2:-2] == [(kind, "ask", summary) for kind, _, summary in BY_HAND]
    assert found[-1][:2] == ("run_closed", "succeeded")


def test_a_hand_written_loop_outside_of_a_run(journal: Journal) -> None:
    """Each call that is handed a handler, and is a part of nothing, is a run of its own."""
    hand_written("How much?", BOTH, through(MissionCallbackHandler()))
    assert [run[0][1] for run in runs(journal())] == ["ScriptedModel", "add", "fail", "ScriptedModel"]
    assert [run[-1][1] for run in runs(journal())] == ["succeeded", "succeeded", "failed", "succeeded"]
    assert [event for run in runs(journal()) for event in run[1:-1]] == BY_HAND


@pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream", "batch"])
def test_a_loop_in_a_runnable_lambda(journal: Journal, how: str) -> None:
    """A function that is made a runnable is a run; what it calls, logs and enters belongs to it."""

    def loop(asked: str) -> str:
        mt.log_event("begins")
        with mt.plan_step("ask"):
            return hand_written(asked, BOTH)

    runnable, config = RunnableLambda(loop), through(MissionCallbackHandler("Loop"))
    if how == "invoke":
        runnable.invoke("How much?", config)
    elif how == "ainvoke":
        asyncio.run(runnable.ainvoke("How much?", config))
    elif how == "stream":
        assert list(runnable.stream("How much?", config)) == ["It is 3."]
    else:
        runnable.batch(["How much?"], config)
    assert tell(journal()) == [
        ("run_opened", "Loop"),
        ("custom", None, "begins"),
        ("step_entered", "ask", None),
        *[(kind, "ask", summary) for kind, _, summary in BY_HAND],
        ("step_left", "ask", "completed"),
        ("run_closed", "succeeded", {"result": "It is 3."}),
    ]
    assert journal()[0].input == {"input": "How much?"}


def test_a_classic_agent_executor(journal: Journal) -> None:
    """The classic executor is a run whose inner chains are no steps; its calls have the ids the model gave them."""
    prompt = ChatPromptTemplate.from_messages([("user", "{input}"), ("placeholder", "{agent_scratchpad}")])
    tools = [add, refuse]
    executor = AgentExecutor(agent=create_tool_calling_agent(model(*TURNS), tools, prompt), tools=tools)
    executor.invoke({"input": "How much?"}, through(MissionCallbackHandler()))
    assert tell(journal()) == [
        ("run_opened", "AgentExecutor"),
        ("message", None, "calls tools add"),
        ("tool_call", None, "add(a=1, b=2)"),
        ("tool_result", None, "add: 3"),
        ("message", None, "calls tools refuse"),
        ("tool_call", None, "refuse(why='no road')"),
        ("tool_result", None, "refuse: no road"),  # it calls its tools without an id, and those then tell no status
        ("message", None, "It is 3."),
        ("run_closed", "succeeded", {"output": "It is 3."}),
    ]
    assert [payload["call_id"] for payload in payloads(journal(), "tool_call")] == ["c1", "c1"]


@pytest.mark.parametrize("how", ["batch", "abatch"])
def test_each_item_of_a_batch_is_a_run(journal: Journal, how: str) -> None:
    """A sequence that is called with several inputs is one run for each, whose parts do not mix."""
    chain = ChatPromptTemplate.from_messages([("user", "{x}")]) | talker("yes") | RunnableLambda(parse)
    given, config = [{"x": "a"}, {"x": "b"}, {"x": "c"}], through(MissionCallbackHandler("Ask"))
    if how == "batch":
        chain.batch(given, config)
    else:
        asyncio.run(chain.abatch(given, config))
    one = [
        ("run_opened", "Ask"),
        ("message", None, "yes"),
        ("custom", None, "parses yes"),
        ("run_closed", "succeeded", {"result": "yes"}),
    ]
    assert runs(journal()) == [one, one, one]
    opened = [fact for fact in journal() if isinstance(fact, RunOpened)]
    assert sorted((fact.input or {})["x"] for fact in opened) == ["a", "b", "c"]
    assert not any("parent_run" in fact.metadata["mission_tracer"] for fact in opened)


def parse(message: AIMessage) -> str:
    mt.log_event(f"parses {message.content}")
    return str(message.content)


def test_prompts_of_one_call_of_a_model(journal: Journal) -> None:
    """Several prompts in one call of a model are several answers, inside of a run and outside."""
    listed: list[BaseCallbackHandler] = [MissionCallbackHandler()]
    asked: list[list[BaseMessage]] = [[HumanMessage("a")], [HumanMessage("b")]]
    with mt.mission_run("Mine"):
        talker("yes").generate(asked, callbacks=listed)
        FakeListLLM(responses=["no", "never"]).generate(["a", "b"], callbacks=listed)
    assert tell(journal())[1:-1] == [("message", None, text) for text in ("yes", "yes", "no", "never")]
    talker("yes").generate(asked, callbacks=listed)
    assert [run[1:] for run in runs(journal())[1:]] == [
        [("message", None, "yes"), ("run_closed", "succeeded", {"result": "yes"})]
    ] * 2


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
def test_each_attempt_of_a_retry_is_logged(journal: Journal, how: str) -> None:
    """Attempts that fail in the same place with the same words are an error each; the run is what came of the last."""
    tried = []

    def flaky(given: int) -> int:
        tried.append(given)
        if len(tried) < 4:
            raise ValueError("not yet")
        return given

    runnable = RunnableLambda(flaky).with_retry(stop_after_attempt=4, wait_exponential_jitter=False)
    config = through(MissionCallbackHandler("Try"))
    result = runnable.invoke(5, config) if how == "invoke" else asyncio.run(runnable.ainvoke(5, config))
    assert result == 5
    assert tell(journal()) == [
        ("run_opened", "Try"),
        *[("error", None, "ValueError: not yet")] * 3,
        ("run_closed", "succeeded", {"result": 5}),
    ]


def test_an_error_that_a_decorator_logged_is_not_logged_again(journal: Journal) -> None:
    """A tool of our own that fails inside of a chain is logged where it came up, and once."""

    @mt.tool_call
    def look_up(name: str) -> str:
        raise KeyError(name)

    with mt.mission_run("Mine"), pytest.raises(KeyError):
        RunnableLambda(look_up).invoke("nobody", through(MissionCallbackHandler()))
    assert [line for line in tell(journal()) if line[0] == "error"] == [("error", None, "KeyError: 'nobody'")]


def test_a_tool_that_an_error_passes_through_ends(journal: Journal) -> None:
    """A tool that called the one that raised ends too, under its own id, and says what it raised."""

    @mt.tool_call
    def look_up(name: str) -> str:
        raise KeyError(name)

    @tool
    def research(name: str) -> str:
        """Look for somebody."""
        return look_up(name)

    asked = {"name": "research", "args": {"name": "nobody"}, "id": "c1", "type": "tool_call"}
    with mt.mission_run("Mine"), pytest.raises(KeyError):
        research.invoke(asked, through(MissionCallbackHandler()))
    assert tell(journal())[1:-1] == [
        ("tool_call", None, "research(name='nobody')"),
        ("tool_call", None, "look_up(name='nobody')"),
        ("error", None, "KeyError: 'nobody'"),
        ("tool_result", None, "research raised KeyError: 'nobody'"),
    ]
    said = {"tool": "research", "call_id": "c1", "raised": "KeyError: 'nobody'"}
    assert payloads(journal(), "tool_result") == [said]


def test_a_retriever_is_a_tool(journal: Journal) -> None:
    """Looking for documents is logged as a call with its query and what was found."""

    class Shelf(BaseRetriever):
        def _get_relevant_documents(self, query: str, **kwargs: Any) -> list[Document]:
            if query == "nothing":
                raise LookupError(query)
            return [Document("Wash windows", metadata={"page": 3})]

    with mt.mission_run("Mine"):
        Shelf().invoke("washing", through(MissionCallbackHandler()))
        with pytest.raises(LookupError):
            Shelf().invoke("nothing", through(MissionCallbackHandler()))
    assert tell(journal())[1:-1] == [
        ("tool_call", None, "Shelf(query='washing')"),
        ("tool_result", None, "Shelf: 1 item: 2 fields"),
        ("tool_call", None, "Shelf(query='nothing')"),
        ("error", None, "LookupError: nothing"),
    ]
    assert payloads(journal(), "tool_result")[0]["result"] == [
        {"page_content": "Wash windows", "metadata": {"page": 3}}
    ]


def test_an_event_that_the_program_dispatches(journal: Journal) -> None:
    """A custom event of LangChain is one of the run, at the step under way."""

    def work(given: int) -> int:
        with mt.plan_step("count"):
            dispatch_custom_event("progress", {"percent": 50})
        return given

    RunnableLambda(work).invoke(1, through(MissionCallbackHandler()))
    assert ("custom", "count", "progress") in tell(journal())
    assert payloads(journal(), "custom") == [{"name": "progress", "data": {"percent": 50}}]
