"""LangGraph: a graph that stops for an answer pauses its run, and whoever resumes the thread goes on with that run."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("langgraph")
pytest.importorskip("langgraph.checkpoint.sqlite")
pytest.importorskip("langchain")

from langchain.agents import create_agent
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphDrained
from langgraph.graph import START, StateGraph
from langgraph.runtime import RunControl
from langgraph.types import Command, interrupt

import mission_tracer as mt
from mission_tracer import _context
from mission_tracer.facts import RunOpened
from mission_tracer.integrations.langchain import MissionCallbackHandler
from tests import processes

from .langchain_fakes import add, calls, model, question, through
from .langgraph_approval import State, build, find
from .telling import payloads, runs, tell

Journal = Callable[[], list[Any]]
PROGRAM = Path(__file__).parent / "langgraph_approval.py"
BEFORE = [
    ("run_opened", "Approval"),
    ("PlanDeclared",),
    ("step_entered", "find", None),
    ("step_left", "find", "completed"),
    ("step_entered", "approve", None),
    ("custom", "approve", "asks"),
    ("custom", "approve", 'Waits for an answer: {"offer":350}'),
    ("RunPaused",),
]
AFTER = [
    ("RunResumed",),
    ("custom", "approve", "Resumed: yes"),
    ("custom", "approve", "asks"),
    ("step_left", "approve", "completed"),
    ("step_entered", "book", None),
    ("step_left", "book", "completed"),
    ("run_closed", "succeeded", {"offer": 350, "answer": "yes"}),
]


@pytest.fixture(autouse=True)
def strict(isolation: None) -> Iterator[None]:
    mt.configure(strict=True)
    yield
    assert (_context.scope.get(), _context.owner.get()) == (None, None)


def on(thread: str, *handlers: Any) -> Any:
    return {**(through(*handlers) if handlers else {}), "configurable": {"thread_id": thread}}


@pytest.fixture
def waiting(tmp_path: Path) -> Callable[[], list[str]]:
    """List what the state directory remembers of threads that wait."""
    return lambda: [path.name for path in (tmp_path / "state" / "paused").glob("*")]


ASYNC = pytest.param(
    "async",
    marks=pytest.mark.skipif(sys.version_info < (3, 11), reason="LangGraph cannot interrupt there"),
)


@pytest.mark.parametrize("how", ["sync", ASYNC, "stream"])
def test_row_21_resuming_goes_on_with_the_same_run(journal: Journal, waiting: Any, how: str) -> None:
    """The step that waits stays in progress, the run is paused; the answer resumes both, and nothing is an error."""
    graph, handler = build(InMemorySaver()), MissionCallbackHandler()
    config = on("t", handler)

    async def both() -> None:
        await graph.ainvoke({"offer": 0}, config)
        assert (_context.scope.get(), _context.owner.get()) == (None, None)
        await graph.ainvoke(Command(resume="yes"), config)

    if how == "sync":
        graph.invoke({"offer": 0}, config)
        assert tell(journal()) == BEFORE
        assert len(waiting()) == 1
        graph.invoke(Command(resume="yes"), config)
    elif how == "async":
        asyncio.run(both())
    else:
        assert len(list(graph.stream({"offer": 0}, config))) == 2
        assert len(list(graph.stream(Command(resume="yes"), config))) == 2
    assert tell(journal()) == BEFORE + AFTER
    assert payloads(journal(), "custom")[1:3] == [{"questions": [{"offer": 350}]}, {"answer": "yes"}]
    assert waiting() == []
    assert handler.under_way == 0


def test_another_handler_may_resume(journal: Journal) -> None:
    """Whichever handler is told of the answer goes on with the run, as long as it is for the same mission."""
    graph = build(InMemorySaver())
    graph.invoke({"offer": 0}, on("t", MissionCallbackHandler()))
    graph.invoke(Command(resume="yes"), on("t", MissionCallbackHandler()))
    assert tell(journal()) == BEFORE + AFTER


def test_a_recorder_without_a_disk_resumes_too(journal: Journal) -> None:
    """With `durability="memory"` the handler itself remembers what waits."""
    recording = mt.configure(strict=True, durability="memory")
    graph, handler = build(InMemorySaver()), MissionCallbackHandler()
    graph.invoke({"offer": 0}, on("t", handler))
    graph.invoke(Command(resume="yes"), on("t", handler))
    assert [run.name for run in recording.runs.values()] in ([], ["Approval"])
    assert len(recording.roster.streams()) == 1


def test_threads_do_not_mix(journal: Journal) -> None:
    """Two threads that wait, of one graph, and a graph of another mission on the same thread, are three runs."""
    graph, handler, other = build(InMemorySaver()), MissionCallbackHandler(), MissionCallbackHandler("Other")
    for config in (on("a", handler), on("b", handler), on("c", other)):
        graph.invoke({"offer": 0}, config)
    graph.invoke(Command(resume="yes"), on("b", handler))
    told = runs(journal())
    assert [run[0][1] for run in told] == ["Approval", "Approval", "Other"]
    assert [run[-1][0] for run in told] == ["RunPaused", "run_closed", "RunPaused"]


def test_something_new_instead_of_an_answer(journal: Journal, waiting: Any) -> None:
    """A thread that is given a new input ends the run that waited as cancelled, and begins another."""
    graph, config = build(InMemorySaver()), on("t", MissionCallbackHandler())
    graph.invoke({"offer": 0}, config)
    graph.invoke({"offer": 1}, config)
    first, second = runs(journal())
    assert [line[:3] for line in first[len(BEFORE) :]] == [
        ("step_left", "approve", "skipped"),
        ("run_closed", "cancelled", None),
    ]
    assert second == BEFORE
    assert len(waiting()) == 1


def test_an_answer_that_leads_elsewhere(journal: Journal) -> None:
    """A step that waited, and that the resumed graph never comes back to, is skipped when the run ends."""
    graph, config = build(InMemorySaver()), on("t", MissionCallbackHandler())
    graph.invoke({"offer": 0}, config)
    graph.update_state(config, {"answer": "by hand"}, as_node="approve")
    graph.invoke(None, config)
    assert tell(journal())[len(BEFORE) :] == [
        ("RunResumed",),
        ("custom", "approve", "Resumed"),
        ("step_entered", "book", None),
        ("step_left", "book", "completed"),
        ("step_left", "approve", "skipped"),
        ("run_closed", "succeeded", {"offer": 350, "answer": "by hand"}),
    ]


@pytest.mark.parametrize("how", ["handler", "instrument"])
def test_breakpoints_pause_too(journal: Journal, how: str) -> None:
    """A graph that stops before or after a node, as it was compiled to, pauses and goes on with the same run."""
    graph = build(InMemorySaver(), interrupt_before=["approve"], interrupt_after=["approve"])
    if how == "instrument":
        mt.instrument("langchain")
    config = on("t", MissionCallbackHandler()) if how == "handler" else on("t")
    given: Any
    for given in ({"offer": 0}, None, Command(resume="yes"), None):
        graph.invoke(given, config)
    stopped = [("custom", None, "Waits at a breakpoint"), ("RunPaused",)]
    went_on = [("RunResumed",), ("custom", None, "Resumed")]
    assert tell(journal()) == [
        *BEFORE[:4],
        *stopped,
        *went_on,
        *BEFORE[4:],
        *AFTER[:4],
        *stopped,
        *went_on,
        *AFTER[4:],
    ]


def test_a_graph_that_is_drained(journal: Journal) -> None:
    """A graph that is asked to stop between two nodes pauses, and goes on with the same run when it is called again."""
    control = RunControl()

    def leave(state: State) -> State:
        control.request_drain("shutdown")
        return {"offer": 1}

    builder: Any = StateGraph(State)
    builder.add_sequence([leave, find])
    builder.add_edge(START, "leave")
    graph, config = builder.compile(checkpointer=InMemorySaver(), name="Drain"), on("t", MissionCallbackHandler())
    with pytest.raises(GraphDrained):
        graph.invoke({"offer": 0}, config, control=control)
    graph.invoke(None, config)
    assert tell(journal())[2:] == [
        ("step_entered", "leave", None),
        ("step_left", "leave", "completed"),
        ("custom", None, "Waits after it was asked to stop"),
        ("RunPaused",),
        ("RunResumed",),
        ("custom", None, "Resumed"),
        ("step_entered", "find", None),
        ("step_left", "find", "completed"),
        ("run_closed", "succeeded", {"offer": 350}),
    ]


def test_a_tool_that_asks(journal: Journal) -> None:
    """A tool that waits for an answer did not fail: its call is logged once, and its result when it was resumed."""

    @tool
    def approve(price: int) -> str:
        """Ask whether a price is fine."""
        return str(interrupt(f"Is {price} fine?"))

    first = calls(("approve", {"price": 350}), ("add", {"a": 1, "b": 2}))
    agent: Any = create_agent(model(first, "Booked."), [approve, add], checkpointer=InMemorySaver(), name="Booking")
    config = on("t", MissionCallbackHandler())
    agent.invoke(question(), config)
    agent.invoke(Command(resume="yes"), config)
    found = tell(journal())
    assert sorted(line for line in found if line[0] in {"tool_call", "tool_result", "error"}) == sorted(
        [
            ("tool_call", step_of(found, "approve(price=350)"), "approve(price=350)"),
            ("tool_call", step_of(found, "add(a=1, b=2)"), "add(a=1, b=2)"),
            ("tool_result", step_of(found, "add(a=1, b=2)"), "add: 3"),
            ("tool_result", step_of(found, "approve(price=350)"), "approve: yes"),
        ]
    )
    assert [line[1] for line in found if line[0] == "run_closed"] == ["succeeded"]
    assert sorted(line[1:] for line in found if line[0] == "step_left") == [
        (name, "completed") for name in ("model", "model-2", "tools", "tools-2")
    ]


def test_a_decorated_function_that_asks(journal: Journal) -> None:
    """A call inside of a node that waits for an answer did not fail: it ends as interrupted, and is made again."""

    @mt.tool_call
    def confirm(price: int) -> str:
        return str(interrupt(f"Is {price} fine?"))

    def book(state: Any) -> Any:
        return {"answer": confirm(350)}

    graph: Any = StateGraph(dict)
    graph.add_node(book)
    graph.add_edge(START, "book")
    booking, config = graph.compile(checkpointer=InMemorySaver(), name="Book"), on("t", MissionCallbackHandler())
    booking.invoke({}, config)
    booking.invoke(Command(resume="yes"), config)
    told = [line for line in tell(journal()) if line[0] in {"tool_call", "tool_result", "error"}]
    assert told == [
        ("tool_call", "book", "confirm(price=350)"),
        ("tool_result", "book", "confirm was interrupted"),
        ("tool_call", "book", "confirm(price=350)"),
        ("tool_result", "book", "confirm: yes"),
    ]
    assert [payload.get("interrupted") for payload in payloads(journal(), "tool_result")] == [True, None]


def step_of(found: list[Any], summary: str) -> str:
    return str(next(line[1] for line in found if line[2:] == (summary,)))


def test_a_subgraph_that_asks(journal: Journal) -> None:
    """When a graph stops inside of a node, that node and the one inside stay in progress and go on together."""
    builder: Any = StateGraph(State)
    builder.add_node("inner", build(None))
    builder.add_node("find", find)
    builder.add_edge(START, "inner")
    builder.add_edge("inner", "find")
    graph, config = builder.compile(checkpointer=InMemorySaver(), name="Outer"), on("t", MissionCallbackHandler())
    graph.invoke({"offer": 0}, config)
    graph.invoke(Command(resume="yes"), config)
    steps = [line[:2] for line in tell(journal()) if line[0].startswith(("step_", "Run"))]
    assert steps == [
        ("step_entered", "inner"),
        ("step_entered", "inner.find"),
        ("step_left", "inner.find"),
        ("step_entered", "inner.approve"),
        ("RunPaused",),
        ("RunResumed",),
        ("step_left", "inner.approve"),
        ("step_entered", "inner.book"),
        ("step_left", "inner.book"),
        ("step_left", "inner"),
        ("step_entered", "find"),
        ("step_left", "find"),
    ]


def test_asking_inside_of_a_run_of_the_programs(journal: Journal) -> None:
    """A run that the program opened is not paused by a graph in it; the step goes on when it is resumed in there."""
    graph, config = build(InMemorySaver()), on("t", MissionCallbackHandler())
    with mt.mission_run("Mine"):
        graph.invoke({"offer": 0}, config)
        mt.log_event("asks a person")
        graph.invoke(Command(resume="yes"), config)
    assert tell(journal()) == [
        ("run_opened", "Mine"),
        *BEFORE[1:-1],
        ("custom", None, "asks a person"),
        *AFTER[1:-1],
        ("run_closed", "succeeded", None),
    ]


def test_an_answer_outside_of_the_run_that_asked(journal: Journal) -> None:
    """When the program's run ended before the answer came, the rest is a run of its own."""
    graph, config = build(InMemorySaver()), on("t", MissionCallbackHandler())
    with mt.mission_run("Mine"):
        graph.invoke({"offer": 0}, config)
    graph.invoke(Command(resume="yes"), config)
    _, second = runs(journal())
    assert [line[:2] for line in second if line[0] == "step_entered"] == [
        ("step_entered", "approve"),
        ("step_entered", "book"),
    ]
    assert second[-1] == ("run_closed", "succeeded", {"offer": 350, "answer": "yes"})


def test_a_memory_that_cannot_be_read(journal: Journal, tmp_path: Path) -> None:
    """A damaged memory of a thread costs the connection to the run that waits, not the resumed one's record."""
    mt.configure(log_level="off")
    graph, config = build(InMemorySaver()), on("t", MissionCallbackHandler())
    graph.invoke({"offer": 0}, config)
    [memory] = (tmp_path / "state" / "paused").iterdir()
    memory.write_bytes(b"{")
    assert memory.stat().st_mode & 0o777 == 0o600
    graph.invoke(Command(resume="yes"), config)
    _, second = runs(journal())
    assert second[-1] == ("run_closed", "succeeded", {"offer": 350, "answer": "yes"})


def run_program(env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    done = processes.run([sys.executable, str(PROGRAM), *words], env)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
def test_another_process_resumes_the_run(journal: Journal, tmp_path: Path) -> None:
    """A run that waits survives its process, is paused on the server, and is gone on with and ended by another one."""
    database = str(tmp_path / "checkpoints.db")
    with processes.served() as base_url:
        env = processes.environment(tmp_path / "state", TELNYX_BASE_URL=base_url, TELNYX_API_KEY="x")
        with mt.MissionsClient(api_key="x", base_url=base_url) as client:
            run_program(env, database, "t")
            [mission] = client.missions.list()
            [run] = client.missions.runs.list(mission.mission_id)
            assert run.status == "paused"
            assert plan_of(client, run) == [("find", "completed"), ("approve", "in_progress"), ("book", "pending")]
            run_program(env, database, "t", "yes")
            [run] = client.missions.runs.list(mission.mission_id)
            assert run.status == "succeeded"
            assert run.result_payload == {"offer": 350, "answer": "yes"}
            assert plan_of(client, run) == [("find", "completed"), ("approve", "completed"), ("book", "completed")]
    assert tell(journal()) == BEFORE + AFTER


def plan_of(client: Any, run: Any) -> list[tuple[str, str]]:
    steps = client.missions.runs.plan.retrieve(run.run_id, mission_id=run.mission_id)
    return [(step.step_id, step.status) for step in steps]


@pytest.mark.slow
def test_only_one_of_two_processes_gets_the_run(journal: Journal, tmp_path: Path) -> None:
    """When two processes answer the same thread, one goes on with the run, and the other's work is a run of its own."""
    database, env = str(tmp_path / "checkpoints.db"), processes.environment(tmp_path / "state")
    run_program(env, database, "t")
    both = [
        subprocess.Popen([sys.executable, str(PROGRAM), database, "t", "yes"], env=env, stderr=subprocess.DEVNULL)
        for _ in range(2)
    ]
    for process in both:
        process.wait(60)
    assert len([fact for fact in journal() if isinstance(fact, RunOpened)]) <= 2
    assert tell(journal()).count(("RunResumed",)) == 1
    memories = list((tmp_path / "state" / "paused").iterdir())
    assert memories == []


def test_unnamed_graphs_with_one_thread_id_do_not_meet(journal: Journal) -> None:
    """A graph that waits goes on with its run, whatever another one without a name does on a thread of that id."""

    def graph(node: str, act: Callable[[State], State]) -> Any:
        made = StateGraph(State)
        made.add_node(node, act)
        made.add_edge(START, node)
        return made.compile(checkpointer=InMemorySaver())

    handler = MissionCallbackHandler("Two graphs")
    approval = graph("approve", lambda _: {"answer": interrupt("ok?")})
    chat = graph("chat", lambda _: {"answer": "hello"})
    approval.invoke({}, on("1", handler))
    chat.invoke({}, on("1", handler))
    approval.invoke(Command(resume="yes"), on("1", handler))
    assert [lines[-1] for lines in runs(journal())] == [
        ("run_closed", "succeeded", {"answer": "yes"}),
        ("run_closed", "succeeded", {"answer": "hello"}),
    ]


def test_nodes_that_ask_at_once_are_all_shown(journal: Journal) -> None:
    """When two nodes of one step wait for answers, both questions are told."""
    made = StateGraph(State)
    made.add_node("price", lambda _: {"offer": interrupt("how much?")})
    made.add_node("consent", lambda _: {"answer": interrupt("ok?")})
    for node in ("price", "consent"):
        made.add_edge(START, node)
    made.compile(checkpointer=InMemorySaver(), name="Two").invoke({}, on("1", MissionCallbackHandler()))
    [asked] = payloads(journal(), "custom")
    assert sorted(asked["questions"]) == ["how much?", "ok?"]
