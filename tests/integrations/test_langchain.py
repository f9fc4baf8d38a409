"""LangChain: real loops over models that answer from a script, and what is recorded of them."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("langchain")
pytest.importorskip("langchain_classic")

from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool

import mission_tracer as mt
from mission_tracer import _context
from mission_tracer.facts import PlanDeclared, RunClosed, RunOpened, StepLeft
from mission_tracer.integrations.langchain import MissionCallbackHandler

from .langchain_fakes import (
    USAGE,
    add,
    calls,
    fail,
    handed,
    model,
    question,
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
TOLD = [
    ("run_opened", "Sums"),
    ("PlanDeclared",),
    ("step_entered", "model", None),
    ("message", "model", "calls tools add"),
    ("step_left", "model", "completed"),
    ("step_entered", "tools", None),
    ("tool_call", "tools", "add(a=1, b=2)"),
    ("tool_result", "tools", "add: 3"),
    ("step_left", "tools", "completed"),
    ("step_entered", "model-2", None),
    ("message", "model-2", "calls tools refuse"),
    ("step_left", "model-2", "completed"),
    ("step_entered", "tools-2", None),
    ("tool_call", "tools-2", "refuse(why='no road')"),
    ("error", "tools-2", "refuse: no road"),
    ("step_left", "tools-2", "completed"),
    ("step_entered", "model-3", None),
    ("message", "model-3", "It is 3."),
    ("step_left", "model-3", "completed"),
]


@pytest.fixture(autouse=True)
def strict(isolation: None) -> None:
    mt.configure(strict=True)


def sums(*, strict: bool = False) -> Any:
    return create_agent(model(*TURNS), [add, fail if strict else refuse], name="sums")


def run_agent(agent: Any, given: Any, config: Any, how: str) -> None:
    """Call an agent in one of the ways there are."""

    async def consume() -> None:
        if how == "ainvoke":
            await agent.ainvoke(given, config)
        elif how == "astream":
            async for _ in agent.astream(given, config):
                pass
        else:
            async for _ in agent.astream_events(given, config, version="v2"):
                pass

    if how == "invoke":
        agent.invoke(given, config)
    elif how == "stream":
        for _ in agent.stream(given, config, stream_mode=["updates", "messages"]):
            pass
    else:
        asyncio.run(consume())


@pytest.mark.parametrize("how", ["invoke", "stream", "ainvoke", "astream", "astream_events"])
def test_an_agent_is_a_run(journal: Journal, how: str) -> None:
    """Calling an agent in any way records its run, each turn as a step, and each answer, call and result once."""
    run_agent(sums(), question(), handed(how, "Sums"), how)
    found = tell(journal())
    assert found[:-1] == TOLD
    kind, status, result = found[-1]
    assert (kind, status, result["output"]) == ("run_closed", "succeeded", "It is 3.")


def test_what_is_said_of_a_run(journal: Journal) -> None:
    """A run has its input, the graph's nodes as its plan, the framework and the given metadata, and a readable end."""
    sums().invoke(question(), through(MissionCallbackHandler("Sums", metadata={"team": "north"})))
    facts = journal()
    [opened] = [fact for fact in facts if isinstance(fact, RunOpened)]
    [plan] = [fact for fact in facts if isinstance(fact, PlanDeclared)]
    [closed] = [fact for fact in facts if isinstance(fact, RunClosed)]
    assert opened.input == {"messages": [{"role": "human", "content": "How much?"}]}
    assert {name: opened.metadata[name] for name in ("framework", "team")} == {
        "framework": "langgraph",
        "team": "north",
    }
    assert [step.step_id for step in plan.steps] == ["model", "tools"]
    assert closed.summary == "output: It is 3., messages: 6 items"


def test_payloads_of_answers_and_calls(journal: Journal) -> None:
    """An answer tells model, provider, tool calls and tokens; a call and its result have the model's id of the call."""
    sums().invoke(question(), through(MissionCallbackHandler()))
    facts = journal()
    known = {"model": "ScriptedModel", "provider": "scriptedmodel"}
    asked = [("add", {"a": 1, "b": 2}), ("refuse", {"why": "no road"})]
    listed = [{"tool_calls": [{"id": "c1", "name": name, "arguments": args}]} for name, args in asked]
    assert payloads(facts, "message") == [
        {**known, **listed[0], "usage": USAGE},
        {**known, **listed[1]},
        {**known, "text": "It is 3."},
    ]
    assert payloads(facts, "tool_call") == [{"tool": name, "call_id": "c1", "arguments": args} for name, args in asked]
    assert payloads(facts, "tool_result") == [{"tool": "add", "call_id": "c1", "result": "3"}]
    error = {"type": "ToolError", "message": "no road"}
    assert payloads(facts, "error") == [{"tool": "refuse", "call_id": "c1", "error": error}]


@pytest.mark.parametrize("how", ["invoke", "stream", "ainvoke", "astream"])
def test_an_error_that_surfaces_three_times_is_logged_once(journal: Journal, how: str) -> None:
    """An error of a tool fails its call, its step and the run, is logged once, and reaches the caller as it is."""
    agent = create_agent(model(calls(("fail", {"why": "no road"}))), [fail], name="sums")
    with pytest.raises(ValueError, match=r"^no road"):
        run_agent(agent, question(), handed(how), how)
    assert tell(journal())[5:] == [
        ("step_entered", "tools", None),
        ("tool_call", "tools", "fail(why='no road')"),
        ("error", "tools", "ValueError: no road"),
        ("step_left", "tools", "failed"),
        ("run_closed", "failed", "ValueError: no road"),
    ]
    [payload] = payloads(journal(), "error")
    assert (payload["tool"], payload["call_id"], payload["error"]["type"]) == ("fail", "c1", "ValueError")


def test_logging_inside_a_tool_belongs_to_its_step(journal: Journal) -> None:
    """What a tool logs, and the steps it enters, belong to the step that calls it; a model inside belongs to those."""

    @tool
    def survey(place: str) -> str:
        """Look at a place."""
        mt.log_event(f"sees {place}")
        with mt.plan_step("closer"):
            return str(talker("fine").invoke("How is it?").content)

    agent = create_agent(model(calls(("survey", {"place": "roof"})), "Fine."), [survey])
    agent.invoke(question(), through(MissionCallbackHandler()))
    assert tell(journal())[5:14] == [
        ("step_entered", "tools", None),
        ("tool_call", "tools", "survey(place='roof')"),
        ("custom", "tools", "sees roof"),
        ("step_entered", "closer", "tools"),
        ("message", "closer", "fine"),
        ("step_left", "closer", "completed"),
        ("tool_result", "tools", "survey: fine"),
        ("step_left", "tools", "completed"),
        ("step_entered", "model-2", None),
    ]


@pytest.mark.parametrize("capture", ["names", "off"])
def test_without_values_none_is_kept(journal: Journal, capture: str) -> None:
    """With `capture` at names or off, no argument, answer or result is kept; names, tokens and errors are."""
    mt.configure(strict=True, capture=capture)
    sums().invoke(question("secret question"), through(MissionCallbackHandler()))
    facts = journal()
    text = "".join(str(fact) for fact in facts if not isinstance(fact, StepLeft)) + str(payloads(facts, "message"))
    assert "secret question" not in text
    assert "It is 3." not in text
    assert payloads(facts, "message")[0] == {
        "model": "ScriptedModel",
        "provider": "scriptedmodel",
        "tool_calls": [{"id": "c1", "name": "add"}],
        "usage": USAGE,
    }
    kinds = {"a": "int", "b": "int"} if capture == "names" else {}
    assert payloads(facts, "tool_call")[0]["arguments"] == kinds
    assert "result" not in payloads(facts, "tool_result")[0]


def test_a_hundred_runs_through_one_handler_do_not_cross(journal: Journal) -> None:
    """Runs that are under way at the same time, in threads and in tasks, each have their own events and no others."""
    config = handed("ainvoke", "Many")

    def agent(number: int) -> Any:
        return create_agent(model(calls(("add", {"a": number, "b": 0})), f"It is {number}."), [add])

    def ask(number: int) -> Any:
        return agent(number).invoke(question(f"Is it {number}?"), config)

    async def many() -> None:
        await asyncio.gather(
            *(agent(n).ainvoke(question(f"Is it {n}?"), config) for n in range(50)),
            *(asyncio.to_thread(ask, n) for n in range(50, 100)),
        )

    asyncio.run(many())
    found = runs(journal())
    assert len(found) == 100
    seen = set()
    for told, opened in zip(found, [fact for fact in journal() if isinstance(fact, RunOpened)], strict=True):
        number = int((opened.input or {})["messages"][0]["content"][6:-1])
        seen.add(number)
        assert told[3] == ("message", "model", "calls tools add")
        assert told[6:8] == [
            ("tool_call", "tools", f"add(a={number}, b=0)"),
            ("tool_result", "tools", f"add: {number}"),
        ]
        assert told[10] == ("message", "model-2", f"It is {number}.")
        assert told[-1][:2] == ("run_closed", "succeeded")
        assert len(told) == 13
    assert seen == set(range(100))


def test_a_part_of_a_run_under_way(journal: Journal) -> None:
    """Inside of a run and a step, an agent opens no run: its nodes are steps of that step, planned there."""
    with mt.mission_run("Mine"), mt.plan_step("count"):
        sums().invoke(question(), through(MissionCallbackHandler("Sums")))
    facts = journal()
    assert [fact.mission.name for fact in facts if isinstance(fact, RunOpened)] == ["Mine"]
    [plan] = [fact for fact in facts if isinstance(fact, PlanDeclared)]
    assert [(step.step_id, step.parent_step_id) for step in plan.steps] == [("model", "count"), ("tools", "count")]
    assert [line for line in tell(facts) if line[0] == "step_entered"] == [
        ("step_entered", "count", None),
        *[("step_entered", name, "count") for name in ("model", "tools", "model-2", "tools-2", "model-3")],
    ]


def test_a_handler_can_be_pickled() -> None:
    """A handler that went through pickle opens runs as the first would."""
    made = pickle.loads(pickle.dumps(MissionCallbackHandler("Sums", metadata={"team": "north"}, lone_calls=False)))
    assert made.__reduce__()[1] == ("Sums", None, None, None, None, {"team": "north"}, False)


@pytest.mark.parametrize("name", ["", "  ", 3])
def test_a_mission_needs_a_name(name: Any) -> None:
    """A name that is none is refused where the handler is made."""
    with pytest.raises((TypeError, ValueError), match="mission"):
        MissionCallbackHandler(name)


def test_what_arrives_at_the_server(api: Any) -> None:
    """A loop's run, steps and events are on the server, each once, in order, and ended."""
    sums().invoke(question(), through(MissionCallbackHandler("Sums")))
    assert mt.flush(20)
    found = api.only_run()
    assert (found["run"].status, found["run"].result_payload["output"]) == ("succeeded", "It is 3.")
    assert [(step.step_id, step.status) for step in found["steps"]] == [
        ("model", "completed"),
        ("tools", "completed"),
        ("model-2", "completed"),
        ("tools-2", "completed"),
        ("model-3", "completed"),
    ]
    events = [(event.type, event.step_id) for event in found["events"] if not str(event.type).startswith("step_")]
    assert events == [line[:2] for line in TOLD if len(line) == 3 and not str(line[0]).startswith("step_")]


def test_nothing_is_left_in_the_callers_context() -> None:
    """After a call, also one that failed, no run or step is current and no call is owned."""
    handler = MissionCallbackHandler()

    async def look() -> None:
        await sums().ainvoke(question(), through(handler))
        assert (_context.scope.get(), _context.owner.get()) == (None, None)
        with pytest.raises(ValueError, match="no road"):
            await RunnableLambda(lambda _: fail.invoke({"why": "no road"})).ainvoke(1, through(handler))
        assert (_context.scope.get(), _context.owner.get()) == (None, None)

    asyncio.run(look())
    assert handler.under_way == 0
