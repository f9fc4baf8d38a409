"""LangChain: every call is recorded once, whoever is told of it, and switching off leaves the library as it was."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("langchain")

import langgraph.pregel.main as pregel
from langchain.agents import create_agent
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import ToolException, tool
from langchain_core.tracers import context as hooks

import mission_tracer as mt
from mission_tracer import _context
from mission_tracer._base.ownership import Rank, may_record, owning
from mission_tracer.facts import RunOpened
from mission_tracer.integrations import _coverage
from mission_tracer.integrations.langchain import MissionCallbackHandler

from .langchain_fakes import ScriptedModel, add, calls, hand_written, model, question, talker, through
from .telling import payloads, runs, tell

Journal = Callable[[], list[Any]]
PATCHED = ("get_sync_graph_callback_manager_for_config", "get_async_graph_callback_manager_for_config")
TURNS = (calls(("add", {"a": 1, "b": 2})), "It is 3.")


@pytest.fixture(autouse=True)
def strict(isolation: None) -> None:
    mt.configure(strict=True)


def agent() -> Any:
    return create_agent(model(*TURNS), [add], name="sums")


def missions(facts: list[Any]) -> list[str]:
    return [fact.mission.name for fact in facts if isinstance(fact, RunOpened)]


def test_instrument_hands_a_handler_to_every_call(journal: Journal) -> None:
    """With `instrument` an agent is recorded without being handed anything, in every thread."""
    mt.instrument("langchain", mission="Sums")
    agent().invoke(question())
    thread = threading.Thread(target=lambda: agent().invoke(question()))
    thread.start()
    thread.join()
    assert missions(journal()) == ["Sums", "Sums"]
    assert [len(run) for run in runs(journal())] == [13, 13]


def test_a_handler_that_is_given_is_the_one(journal: Journal) -> None:
    """A call that is handed a handler is recorded by that one alone, also with `instrument`."""
    mt.instrument("langchain", mission="Everything")
    handler = MissionCallbackHandler("Given")
    agent().invoke(question(), through(handler))
    agent().invoke(question(), through(handler, handler, MissionCallbackHandler("Second")))
    assert missions(journal()) == ["Given", "Given"]
    assert [len(run) for run in runs(journal())] == [13, 13]


def test_a_handler_further_in_adds_nothing(journal: Journal) -> None:
    """A model with a handler of its own, or called with one, inside of a recorded chain, is one answer of it."""
    mt.instrument("langchain")
    handler = MissionCallbackHandler("Inner")

    def work(asked: str) -> str:
        ScriptedModel(responses=[*model("one").responses], callbacks=[handler]).invoke(asked)
        talker("two").invoke(asked, through(handler))
        return asked

    RunnableLambda(work).invoke("How much?")
    assert missions(journal()) == ["work"]
    assert [line[2] for line in tell(journal()) if line[0] == "message"] == ["one", "two"]


def test_lone_calls_are_left_alone_by_instrument(journal: Journal) -> None:
    """With `instrument`, a model or tool called outside of every run is not recorded, unless that is asked for."""
    mt.instrument("langchain")
    hand_written("How much?", TURNS)
    assert journal() == []
    with mt.mission_run("Mine"):
        hand_written("How much?", TURNS)
    assert len(journal()) == 6
    mt.uninstrument("langchain")
    mt.instrument("langchain", lone_calls=True)
    talker("yes").invoke("Is it?")
    assert missions(journal()) == ["Mine", "GenericFakeChatModel"]


def test_installing_twice_and_uninstalling(journal: Journal) -> None:
    """Installing twice is as good as once; uninstalling restores the library, and records no more."""
    before = list(hooks._configure_hooks), {name: vars(pregel).get(name) for name in PATCHED}  # not in 1.0.0
    mt.instrument("langchain")
    mt.instrument("langchain")
    agent().invoke(question())
    assert _coverage.is_covered("openinference.instrumentation.langchain")
    mt.uninstrument("langchain")
    agent().invoke(question())
    assert missions(journal()) == ["sums"]
    assert before == (hooks._configure_hooks, {name: vars(pregel).get(name) for name in PATCHED})


def test_uninstalling_in_the_middle_of_a_run(journal: Journal) -> None:
    """What is under way when the integration is switched off is recorded to its end."""
    mt.instrument("langchain")

    @tool
    def switch_off() -> str:
        """Switch it off."""
        mt.uninstrument("langchain")
        return "off"

    create_agent(model(calls(("switch_off", {})), "Done."), [switch_off], name="sums").invoke(question())
    assert tell(journal())[-1][:2] == ("run_closed", "succeeded")
    assert len(journal()) == 13


def test_models_and_tools_own_what_happens_inside(journal: Journal) -> None:
    """While a model or tool of LangChain works, weaker integrations may not record; in a node's own code they may."""
    seen: dict[str, list[bool]] = {}

    def look(where: str) -> None:
        seen[where] = [may_record(rank) for rank in (Rank.HTTP, Rank.CLIENT, Rank.SPAN)]

    class Looking(ScriptedModel):
        def _generate(self, *args: Any, **kwargs: Any) -> Any:
            look("model")
            return super()._generate(*args, **kwargs)

    @tool
    def look_around() -> str:
        """Look around."""
        look("tool")
        return "seen"

    def work(asked: str) -> str:
        Looking(responses=model("yes").responses).invoke(asked)
        look_around.invoke({})
        look("chain")
        return asked

    RunnableLambda(work).invoke("How much?", through(MissionCallbackHandler()))
    assert seen == {"model": [False] * 3, "tool": [False] * 3, "chain": [True] * 3}
    assert _context.owner.get() is None


@pytest.mark.parametrize("rank", Rank)
def test_inside_of_anothers_call(journal: Journal, rank: Rank) -> None:
    """A chain inside of a call that another framework records is left alone; inside of weaker ones it is recorded."""
    with owning(rank):
        RunnableLambda(str).invoke(1, through(MissionCallbackHandler("Mine")))
    assert missions(journal()) == ([] if rank is Rank.FRAMEWORK else ["Mine"])


def test_our_own_traffic_is_not_recorded(journal: Journal) -> None:
    """Where recording is silenced, nothing of LangChain is recorded."""
    with _context.silence():
        RunnableLambda(str).invoke(1, through(MissionCallbackHandler()))
    assert journal() == []


def test_a_model_inside_of_a_model_is_one_answer(journal: Journal) -> None:
    """A model that asks another model for its answer is one message."""

    class Asking(ScriptedModel):
        def _generate(self, *args: Any, **kwargs: Any) -> Any:
            talker("inner").invoke("Well?", through(handler))
            return super()._generate(*args, **kwargs)

    handler = MissionCallbackHandler()
    Asking(responses=model("outer").responses).invoke("How much?", through(handler))
    assert [line[2] for line in tell(journal()) if line[0] == "message"] == ["outer"]


def test_a_tool_that_calls_an_agent(journal: Journal) -> None:
    """An agent inside of a tool, with or without a handler of its own, is a part of the tool's step."""
    handler = MissionCallbackHandler()

    @tool
    def delegate() -> str:
        """Ask another agent."""
        agent().invoke(question())
        agent().invoke(question(), through(handler))
        return "done"

    create_agent(model(calls(("delegate", {})), "Done."), [delegate], name="boss").invoke(question(), through(handler))
    assert missions(journal()) == ["boss"]
    inner = [line[1:] for line in tell(journal()) if line[0] == "step_entered" and line[2] is not None]
    once = ["tools.model", "tools.tools", "tools.model-2"]
    assert inner == [(name, "tools") for name in [*once, "tools.model-3", "tools.tools-2", "tools.model-4"]]


def asked(name: str, /, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "args": arguments, "id": "c1", "type": "tool_call"}


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
def test_a_decorated_function_that_is_a_tool_is_one_call(journal: Journal, how: str) -> None:
    """A function with both decorators is one call, with the model's id, also where it has more arguments than asked."""
    mt.instrument("langchain")

    @tool
    @mt.tool_call
    def look_up(name: str, most: int = 3) -> list[str]:
        """Look for somebody."""
        return [name] * most

    @tool
    @mt.tool_call
    async def ring(number: str) -> str:
        """Call somebody."""
        return f"{number} answered"

    with mt.mission_run("Mine"), mt.plan_step("search"):
        if how == "invoke":
            look_up.invoke(asked("look_up", name="Ann"))
        else:
            asyncio.run(look_up.ainvoke(asked("look_up", name="Ann")))
            asyncio.run(ring.ainvoke(asked("ring", number="1")))
    told = [
        ("tool_call", "search", "look_up(name='Ann')"),
        ("tool_result", "search", "look_up: 3 items: Ann, Ann, Ann"),
    ]
    if how == "ainvoke":
        told += [("tool_call", "search", "ring(number='1')"), ("tool_result", "search", "ring: 1 answered")]
    assert tell(journal())[2:-2] == told
    assert {payload["call_id"] for kind in ("tool_call", "tool_result") for payload in payloads(journal(), kind)} == {
        "c1"
    }


@pytest.mark.parametrize("handles", [False, True])
def test_a_decorated_tool_that_fails_is_one_error(journal: Journal, handles: bool) -> None:
    """Its error is logged once and as it was raised, also where the framework makes words of it for the model."""
    mt.instrument("langchain")

    @tool
    @mt.tool_call
    def look_up(name: str) -> str:
        """Look for somebody."""
        raise ToolException(name)

    look_up.handle_tool_error = handles
    with mt.mission_run("Mine"), contextlib.suppress(ToolException):
        look_up.invoke(asked("look_up", name="nobody"))
    assert tell(journal())[1:-1] == [
        ("tool_call", None, "look_up(name='nobody')"),
        ("error", None, "langchain_core.tools.base.ToolException: nobody"),
    ]
    [error] = payloads(journal(), "error")
    assert (error["call_id"], error["error"]["message"]) == ("c1", "nobody")


def test_an_error_that_a_tool_handles_itself_is_kept(journal: Journal) -> None:
    """What a decorated function raised is logged also if the tool around it, of the same name, gives something else."""
    mt.instrument("langchain")

    @mt.tool_call(name="look_up")
    def search(name: str) -> str:
        raise KeyError(name)

    @tool
    def look_up(name: str) -> str:
        """Look for somebody."""
        try:
            return search(name)
        except KeyError:
            return "nobody"

    with mt.mission_run("Mine"):
        look_up.invoke(asked("look_up", name="Ann"))
    assert tell(journal())[1:-1] == [
        ("tool_call", None, "look_up(name='Ann')"),
        ("error", None, "KeyError: 'Ann'"),
        ("tool_result", None, "look_up: nobody"),
    ]


def test_another_call_of_the_same_name_is_a_call_of_its_own(journal: Journal) -> None:
    """A call is another one in a step, in a block, after another call, with other arguments, and the second time."""
    mt.instrument("langchain")

    @mt.tool_call(name="look_up")
    def search(name: str) -> str:
        return name

    @mt.tool_call
    def check(name: str) -> None: ...

    @tool
    def look_up(name: str, how: str) -> str:
        """Look for somebody."""
        if how == "in a step":
            with mt.plan_step("inner"):
                search(name)
        elif how == "a block":
            with mt.tool_call("look_up", arguments={"name": name, "how": how}):
                pass
        elif how == "after another":
            check(name)
            search(name)
        else:
            search(name if how == "twice" else how)
            search(name)
        return name

    whole = {"in a step": 2, "a block": 2, "after another": 2, "other": 3, "twice": 3}
    for how, count in whole.items():
        with mt.mission_run(how):
            look_up.invoke(asked("look_up", name="Ann", how=how))
        told = [line for line in runs(journal())[-1] if line[0] == "tool_call" and line[2].startswith("look_up")]
        assert len(told) == count, how


def test_after_its_tool_a_decorated_call_is_a_call_of_its_own(journal: Journal) -> None:
    """A tool that is over, or given up, has no part in what is called later."""
    mt.instrument("langchain")

    @mt.tool_call
    def add(a: int, b: int) -> int:
        return a + b

    @tool("add")
    def sums(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    with mt.mission_run("Mine"):
        sums.invoke(asked("add", a=1, b=2))
        add(1, 2)
        assert _context.call.get() is None
    assert [line[0] for line in tell(journal())[1:-1]] == ["tool_call", "tool_result"] * 2


def test_a_recorder_that_is_off(journal: Journal) -> None:
    """With recording off, a handler does nothing."""
    mt.configure(enabled=False)
    agent().invoke(question(), through(MissionCallbackHandler()))
    mt.instrument("langchain")
    assert journal() == []
