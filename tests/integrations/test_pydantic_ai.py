"""pydantic-ai: real loops over models that answer from a function, and what is recorded of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("pydantic_ai")
pytest.importorskip("opentelemetry.sdk.trace")

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic_ai import Agent, ModelRetry
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.instrumented import InstrumentationSettings
from pydantic_ai.models.test import TestModel

import mission_tracer as mt
from mission_tracer import _context
from mission_tracer._base.ownership import Rank, may_record
from mission_tracer.integrations import pydantic_ai
from mission_tracer.integrations.otel import MissionSpanProcessor

from .telling import payloads, runs, tell

Journal = Callable[[], list[Any]]


@pytest.fixture
def switch() -> Iterator[Callable[..., Callable[[], None]]]:
    """Switch the integration on; off again after the test."""
    undone: list[Callable[[], None]] = []

    def on(**options: Any) -> Callable[[], None]:
        undone.append(pydantic_ai.install("pydantic-ai", **options))
        return undone[-1]

    yield on
    for undo in undone:
        undo()
    assert Agent._instrument_default is False


def calls_two(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    if len(messages) == 1:
        return ModelResponse(
            parts=[ToolCallPart("add", {"a": 1, "b": 2}, "c1"), ToolCallPart("fail", {"why": "no road"}, "c2")]
        )
    return ModelResponse(parts=[TextPart("It is 3.")])


def calculator(error: type[Exception] = ModelRetry) -> Agent[None, str]:
    agent = Agent(FunctionModel(calls_two, model_name="gpt-x"), name="Calculator", retries=2)

    @agent.tool_plain(sequential=True)
    def add(a: int, b: int) -> int:
        return a + b

    @agent.tool_plain(sequential=True)
    async def fail(why: str) -> str:
        raise error(why)

    return agent


def run(agent: Agent[None, str]) -> str:
    return asyncio.run(agent.run("go")).output


def test_a_loop_is_recorded_whole(journal: Journal, switch: Any) -> None:
    """An agent's run is a run; every answer, call, result and error is there once, with what it said."""
    mt.configure(strict=True)
    switch()
    assert run(calculator()) == "It is 3."
    facts = journal()
    assert tell(facts) == [
        ("run_opened", "Calculator"),
        ("message", None, "calls tools add, fail"),
        ("tool_call", None, "add(a=1, b=2)"),
        ("tool_result", None, "add: 3"),
        ("tool_call", None, "fail(why='no road')"),
        ("error", None, "pydantic_ai.exceptions.ToolRetryError: no road"),
        ("message", None, "It is 3."),
        ("run_closed", "succeeded", {"result": "It is 3."}),
    ]
    first, second = payloads(facts, "message")
    assert first["tool_calls"] == [
        {"id": "c1", "name": "add", "arguments": {"a": 1, "b": 2}},
        {"id": "c2", "name": "fail", "arguments": {"why": "no road"}},
    ]
    assert (second["model"], second["provider"], second["text"]) == ("gpt-x", "function", "It is 3.")
    assert sorted(second["usage"]) == ["input_tokens", "output_tokens", "total_tokens"]
    assert [call["call_id"] for call in payloads(facts, "tool_call")] == ["c1", "c2"]
    assert [error["call_id"] for error in payloads(facts, "error")] == ["c2"]
    assert "conversation_id" in facts[0].metadata["otel"]


def test_a_loop_reaches_the_api(api: Any, switch: Any) -> None:
    """What an agent does arrives at the API: a succeeded run with its events."""
    switch()
    run(calculator())
    assert mt.flush(10)
    found = api.only_run()
    assert found["run"].status == "succeeded"
    assert [event.type for event in found["events"]] == [
        "message",
        "tool_call",
        "tool_result",
        "tool_call",
        "error",
        "message",
    ]


def test_a_decorated_function_that_is_a_tool_is_one_call(journal: Journal, switch: Callable[..., Any]) -> None:
    """A function with both decorators is one call, with the model's id, on whatever thread it runs."""
    switch()

    def calls_one(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        asked = ToolCallPart("look_up", {"name": "Ann"}, "c1")
        return ModelResponse(parts=[asked] if len(messages) == 1 else [TextPart("Done.")])

    agent = Agent(FunctionModel(calls_one), name="Scout")

    @agent.tool_plain
    @mt.tool_call
    def look_up(name: str, most: int = 3) -> str:
        return name

    assert run(agent) == "Done."
    assert tell(journal())[2:4] == [
        ("tool_call", None, "look_up(name='Ann')"),
        ("tool_result", None, "look_up: Ann"),
    ]
    assert [line[0] for line in tell(journal())[4:]] == ["message", "run_closed"]
    assert payloads(journal(), "tool_result")[0]["call_id"] == "c1"


def test_an_error_that_surfaces_twice_is_logged_once(journal: Journal, switch: Any) -> None:
    """What a tool raises fails call and run, is logged once, and reaches the caller unchanged."""
    mt.configure(strict=True)
    switch()
    with pytest.raises(ValueError, match="no road"):
        run(calculator(ValueError))
    assert tell(journal())[-2:] == [
        ("error", None, "ValueError: no road"),
        ("run_closed", "failed", "ValueError: no road"),
    ]


def test_a_streamed_run_is_recorded(journal: Journal, switch: Any) -> None:
    """A streamed run is a run with the whole answer; abandoned in the middle it is over all the same."""
    mt.configure(strict=True)
    switch()
    agent = Agent(TestModel(custom_output_text="hello world"), name="Greeter")

    async def main() -> None:
        async with agent.run_stream("go") as streamed:
            async for _ in streamed.stream_text():
                pass
        async with agent.run_stream("go") as streamed:
            async for _ in streamed.stream_text():
                break

    asyncio.run(main())
    whole, cut = runs(journal())
    assert whole == [
        ("run_opened", "Greeter"),
        ("message", None, "hello world"),
        ("run_closed", "succeeded", {"result": "hello world"}),
    ]
    assert [cut[0][0], cut[-1][0]] == ["run_opened", "run_closed"]


def test_an_agent_inside_a_run_is_a_step(journal: Journal, switch: Any) -> None:
    """With a run under way an agent is a step, and so is an agent that a tool of another one runs."""
    mt.configure(strict=True)
    switch()
    inner = Agent(TestModel(call_tools=[], custom_output_text="42"), name="Inner")
    outer = Agent(TestModel(custom_output_text="ok"), name="Outer")

    @outer.tool_plain
    async def ask() -> str:
        mt.log_event("asking")
        return (await inner.run("go")).output

    with mt.mission_run("Mission"), mt.plan_step("thinking"):
        run(outer)
    assert tell(journal()) == [
        ("run_opened", "Mission"),
        ("step_entered", "thinking", None),
        ("step_entered", "Outer", "thinking"),
        ("message", "Outer", "calls tools ask"),
        ("tool_call", "Outer", "ask()"),
        ("custom", "Outer", "asking"),
        ("step_entered", "Inner", "Outer"),
        ("message", "Inner", "42"),
        ("step_left", "Inner", "completed"),
        ("tool_result", "Outer", "ask: 42"),
        ("message", "Outer", "ok"),
        ("step_left", "Outer", "completed"),
        ("step_left", "thinking", "completed"),
        ("run_closed", "succeeded", None),
    ]


def test_many_agents_at_once_never_cross(journal: Journal, switch: Any) -> None:
    """Ten runs of one agent at the same time are ten runs, each with its own events alone."""
    mt.configure(strict=True)
    switch()
    agent = calculator()

    async def main() -> None:
        await asyncio.gather(*(agent.run("go") for _ in range(10)))

    asyncio.run(main())
    found = runs(journal())
    assert len(found) == 10
    for lines in found:
        assert [line[0] for line in lines] == [line[0] for line in found[0]]


def test_a_cancelled_agent_is_cancelled(journal: Journal, switch: Any) -> None:
    """Cancelling an agent's task ends its open tool call and cancels its run."""
    mt.configure(strict=True)
    switch()
    agent = Agent(TestModel(), name="Waiter")
    began = asyncio.Event()

    @agent.tool_plain
    async def wait() -> str:
        began.set()
        await asyncio.Event().wait()
        return ""

    async def main() -> None:
        task = asyncio.create_task(agent.run("go"))
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert [line[:2] for line in tell(journal())] == [
        ("run_opened", "Waiter"),
        ("message", None),
        ("tool_call", None),
        ("error", None),
        ("run_closed", "cancelled"),
    ]
    assert _context.current() is None


@pytest.mark.parametrize("order", [("otel", "pydantic-ai"), ("pydantic-ai", "otel")])
@pytest.mark.parametrize("asked", [True, False])
def test_beside_otel_everything_is_recorded_once(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, order: tuple[str, str], asked: bool
) -> None:
    """With `otel` on as well, in whatever order, and agents that tell spans already or not, a loop is recorded once."""
    mt.configure(strict=True)
    provider = TracerProvider(shutdown_on_exit=False)
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    if asked:
        Agent.instrument_all(InstrumentationSettings(tracer_provider=provider))
    try:
        mt.instrument(*order)
        assert run(calculator()) == "It is 3."
    finally:
        mt.uninstrument()
        Agent.instrument_all(instrument=False)
    assert [line[0] for line in tell(journal())] == [
        "run_opened",
        "message",
        "tool_call",
        "tool_result",
        "tool_call",
        "error",
        "message",
        "run_closed",
    ]


def test_a_model_that_is_cancelled_says_so(journal: Journal, switch: Any) -> None:
    """A model that is cancelled while it thinks is a message that says so, whichever of the spans ends first."""
    mt.configure(strict=True)
    switch()
    asked = asyncio.Event()

    async def think(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def main() -> None:
        task = asyncio.create_task(Agent(FunctionModel(think, model_name="gpt-x"), name="Thinker").run("go"))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    facts = journal()
    assert [line[:2] for line in tell(facts)] == [
        ("run_opened", "Thinker"),
        ("message", None),
        ("run_closed", "cancelled"),
    ]
    assert payloads(facts, "message") == [{"cancelled": True}]


def test_the_calls_of_models_are_owned(switch: Any) -> None:
    """Inside a model's call clients leave it to the span; inside a tool they record."""
    seen: list[tuple[str, bool]] = []

    def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        seen.append(("model", may_record(Rank.CLIENT)))
        return calls_look(messages, info)

    def calls_look(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        part = ToolCallPart("look", {}, "c1") if len(messages) == 1 else TextPart("done")
        return ModelResponse(parts=[part])

    switch()
    agent = Agent(FunctionModel(model))

    @agent.tool_plain
    def look() -> str:
        seen.append(("tool", may_record(Rank.CLIENT)))
        return "found"

    run(agent)
    assert seen == [("model", False), ("tool", True), ("model", False)]


def test_the_openai_client_beside_it_records_nothing_more(journal: Journal, switch: Any) -> None:
    """With the integration of the `openai` client on as well, a call through it is recorded once."""
    httpx2 = pytest.importorskip("httpx2")
    openai = pytest.importorskip("openai")
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    message = {"role": "assistant", "content": "hello"}
    body = {
        "id": "chat",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-x",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, json=body))
    client = openai.AsyncOpenAI(api_key="none", http_client=httpx2.AsyncClient(transport=transport))
    mt.configure(strict=True)
    switch()
    mt.instrument("openai")
    run(Agent(OpenAIChatModel("gpt-x", provider=OpenAIProvider(openai_client=client)), name="Greeter"))
    facts = journal()
    assert tell(facts) == [
        ("run_opened", "Greeter"),
        ("message", None, "hello"),
        ("run_closed", "succeeded", {"result": "hello"}),
    ]
    [message] = payloads(facts, "message")
    assert (message["model"], message["provider"]) == ("gpt-x", "openai")
    assert message["usage"] == {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}


@pytest.mark.parametrize("beside", [("openai",), ("httpx2",), ("openai", "httpx2")])
def test_a_stream_is_recorded_once_and_the_programs_own_calls_in_it_are_too(
    beside: tuple[str, ...], journal: Journal, switch: Any
) -> None:
    """A streamed answer is one message, whoever else sees its request; what the program asks between is recorded."""
    httpx2 = pytest.importorskip("httpx2")
    openai = pytest.importorskip("openai")
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    from .service import Service

    about = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-x"}
    parts = [("hel", None), ("lo", "stop")]
    said = [{"index": 0, "delta": {"content": text}, "finish_reason": end} for text, end in parts]
    transport = httpx2.MockTransport(Service([{**about, "choices": [choice]} for choice in said]))
    client = openai.AsyncOpenAI(api_key="none", http_client=httpx2.AsyncClient(transport=transport))
    agent = Agent(OpenAIChatModel("gpt-x", provider=OpenAIProvider(openai_client=client)), name="Greeter")

    async def main() -> None:
        async with agent.run_stream("go") as stream, httpx2.AsyncClient(transport=transport) as other:
            async for _ in stream.stream_text(debounce_by=None):
                await other.get("http://shop.example/soap")

    mt.configure(strict=True)
    switch()
    mt.instrument(*beside)
    asyncio.run(main())
    asked = [("tool_call", None, "http(method='GET', url='http://shop.example/soap')")]
    asked += [("tool_result", None, "http: status: 200, content_type: text/event-stream")]
    assert tell(journal()) == [
        ("run_opened", "Greeter"),
        *(asked * 2 if "httpx2" in beside else []),
        ("message", None, "hello"),
        ("run_closed", "succeeded", {"result": "hello"}),
    ]


@pytest.fixture
def untold(switch: Any) -> Iterator[None]:
    """Let no agent be instrumented by the program after the test."""
    yield
    Agent.instrument_all(False)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.usefixtures("untold")
def test_a_program_that_instruments_its_agents_is_recorded(first: bool, journal: Journal, switch: Any) -> None:
    """Agents with settings of the program's own, made before or after, tell their spans to its exporters and to us."""
    mt.configure(strict=True)
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    settings = InstrumentationSettings(tracer_provider=provider)
    if first:
        Agent.instrument_all(settings)
    undo = switch()
    if not first:
        Agent.instrument_all(settings)
    run(calculator())
    assert tell(journal())[-1] == ("run_closed", "succeeded", {"result": "It is 3."})
    undo()
    assert Agent._instrument_default is settings
    run(calculator())
    provider.shutdown()
    assert len(exporter.get_finished_spans()) == 10
    assert len(runs(journal())) == 1


def test_a_program_that_stops_to_instrument_its_agents_is_recorded(journal: Journal, switch: Any) -> None:
    """Where the program wants no spans of its own any more, they are told to us alone."""
    mt.configure(strict=True)
    switch()
    Agent.instrument_all(InstrumentationSettings(tracer_provider=TracerProvider(shutdown_on_exit=False)))
    Agent.instrument_all(False)
    run(calculator())
    assert len(runs(journal())) == 1


def test_switching_off_restores(journal: Journal, switch: Any) -> None:
    """Switched off, agents tell nothing any more."""
    undo = switch(mission="Find window washers")
    run(calculator())
    undo()
    assert Agent._instrument_default is False
    run(calculator())
    assert [lines[0] for lines in runs(journal())] == [("run_opened", "Find window washers")]


def test_content_is_kept_from_spans_that_may_not_have_it(journal: Journal, switch: Any) -> None:
    """With the setting `capture` off, neither prompts nor answers nor arguments are put into spans at all."""
    mt.configure(strict=True, capture="off")
    switch()
    run(calculator())
    facts = journal()
    assert "It is 3." not in str(facts)
    assert [line[:2] for line in tell(facts)].count(("tool_call", None)) == 2


def test_an_instrumented_program_needs_the_processor_alone(journal: Journal) -> None:
    """A program that instruments its agents itself adds `MissionSpanProcessor`; its exporters see every span."""
    mt.configure(strict=True)
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    provider.add_span_processor(MissionSpanProcessor())
    agent = calculator()
    agent.instrument = InstrumentationSettings(tracer_provider=provider)
    run(agent)
    provider.shutdown()
    assert tell(journal())[-1] == ("run_closed", "succeeded", {"result": "It is 3."})
    assert len(exporter.get_finished_spans()) == 5
