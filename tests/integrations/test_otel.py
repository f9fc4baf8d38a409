"""OpenTelemetry spans of agents, made by hand and by real instrumentations, and what is recorded of them."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import inspect
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk.trace")

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

import mission_tracer as mt
from mission_tracer import _context, recorder
from mission_tracer._base.ownership import Rank, may_record, owning
from mission_tracer.integrations import _coverage
from mission_tracer.integrations.otel import MissionSpanProcessor
from mission_tracer.settings import Settings

from .telling import payloads, runs, tell
from .told import bodies

Journal = Callable[[], list[Any]]

OI = "openinference.span.kind"
OP = "gen_ai.operation.name"


@pytest.fixture
def processor() -> MissionSpanProcessor:
    mt.configure(strict=True)
    return MissionSpanProcessor()


@pytest.fixture
def provider(processor: MissionSpanProcessor) -> Iterator[TracerProvider]:
    made = TracerProvider(shutdown_on_exit=False)
    made.add_span_processor(processor)
    yield made
    made.shutdown()


@pytest.fixture
def tracer(provider: TracerProvider) -> trace.Tracer:
    return provider.get_tracer("test")


@contextmanager
def late(tracer: trace.Tracer, name: str, **attributes: Any) -> Iterator[Span]:
    """Make a span that says what it is when it ends, and is not current meanwhile for anything but spans."""
    with tracer.start_as_current_span(name) as span:
        yield span
        span.set_attributes({key.replace("__", "."): value for key, value in attributes.items()})


def agent(tracer: trace.Tracer, name: str = "Scout") -> Any:
    attributes = {OP: "invoke_agent", "gen_ai.agent.name": name, "gen_ai.conversation.id": "talk"}
    return tracer.start_as_current_span(f"invoke_agent {name}", attributes=attributes)


def tool(tracer: trace.Tracer, name: str, arguments: dict[str, Any], call_id: str = "c1") -> Any:
    attributes = {
        OP: "execute_tool",
        "gen_ai.tool.name": name,
        "gen_ai.tool.call.id": call_id,
        "gen_ai.tool.call.arguments": json.dumps(arguments),
    }
    return tracer.start_as_current_span(f"execute_tool {name}", attributes=attributes)


def answer(span: Span, *parts: dict[str, Any]) -> None:
    span.set_attributes(
        {
            "gen_ai.response.model": "gpt-x",
            "gen_ai.provider.name": "openai",
            "gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": parts}]),
            "gen_ai.usage.input_tokens": 7,
            "gen_ai.usage.output_tokens": 3,
        }
    )


def chat(tracer: trace.Tracer, *parts: dict[str, Any], **options: Any) -> None:
    with tracer.start_as_current_span("chat gpt-x", kind=SpanKind.CLIENT, attributes={OP: "chat"}, **options) as span:
        answer(span, *parts)


def said(text: str) -> dict[str, Any]:
    return {"type": "text", "content": text}


def loop(tracer: trace.Tracer) -> None:
    """Do what an agent does, in spans that follow the GenAI conventions."""
    with agent(tracer):
        chat(tracer, {"type": "tool_call", "id": "c1", "name": "add", "arguments": {"a": 1, "b": 2}})
        with tool(tracer, "add", {"a": 1, "b": 2}) as span:
            span.set_attribute("gen_ai.tool.call.result", "3")
        try:
            with tool(tracer, "fail", {"why": "no road"}, "c2"):
                raise ValueError("no road")
        except ValueError:
            pass
        chat(tracer, said("It is 3."))


LOOP = [
    ("run_opened", "Scout"),
    ("message", None, "calls tools add"),
    ("tool_call", None, "add(a=1, b=2)"),
    ("tool_result", None, "add: 3"),
    ("tool_call", None, "fail(why='no road')"),
    ("error", None, "ValueError: no road"),
    ("message", None, "It is 3."),
    ("run_closed", "succeeded", {"result": "It is 3."}),
]


# ---- spans that say at once what they are ----


def test_a_loop_is_recorded_whole(journal: Journal, tracer: trace.Tracer) -> None:
    """The outermost agent is a run; every answer, call, result and error is there once, with what it said."""
    loop(tracer)
    facts = journal()
    assert tell(facts) == LOOP
    assert facts[0].metadata["otel"]["conversation_id"] == "talk"
    assert len(facts[0].metadata["otel"]["trace_id"]) == 32
    usage = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
    about = {"model": "gpt-x", "provider": "openai", "usage": usage}
    assert payloads(facts, "message") == [
        {**about, "tool_calls": [{"id": "c1", "name": "add", "arguments": {"a": 1, "b": 2}}]},
        {**about, "text": "It is 3."},
    ]
    assert payloads(facts, "tool_call") == [
        {"tool": "add", "call_id": "c1", "arguments": {"a": 1, "b": 2}},
        {"tool": "fail", "call_id": "c2", "arguments": {"why": "no road"}},
    ]
    assert payloads(facts, "tool_result") == [{"tool": "add", "call_id": "c1", "result": "3"}]
    [error] = payloads(facts, "error")
    assert (error["call_id"], error["error"]["type"]) == ("c2", "ValueError")


def test_a_loop_reaches_the_api(api: Any) -> None:
    """What spans tell arrives at the API: a succeeded run with its events."""
    provider = TracerProvider(shutdown_on_exit=False)
    mt.instrument("otel", provider=provider)
    loop(provider.get_tracer("test"))
    assert provider.force_flush()
    found = api.only_run()
    assert found["run"].status == "succeeded"
    assert found["run"].result_payload == {"result": "It is 3."}
    assert [(event.type, event.step_id, event.summary) for event in found["events"]] == LOOP[1:-1]
    provider.shutdown()


def test_agents_and_chains_inside_are_steps(journal: Journal, tracer: trace.Tracer) -> None:
    """An agent or chain inside another one is a step; what is inside it is linked to it, also what the user logs."""
    with agent(tracer, "Outer"), agent(tracer, "Inner"):
        with tracer.start_as_current_span("plan", attributes={OI: "CHAIN"}):
            chat(tracer, said("first"))
        mt.log_event("mine")
        with tool(tracer, "add", {}):
            mt.log_event("inside")
    assert tell(journal()) == [
        ("run_opened", "Outer"),
        ("step_entered", "Inner", None),
        ("step_entered", "plan", "Inner"),
        ("message", "plan", "first"),
        ("step_left", "plan", "completed"),
        ("custom", "Inner", "mine"),
        ("tool_call", "Inner", "add()"),
        ("custom", "Inner", "inside"),
        ("tool_result", "Inner", "add returned"),
        ("step_left", "Inner", "completed"),
        ("run_closed", "succeeded", {"result": "first"}),
    ]


def test_other_kinds_are_events(journal: Journal, tracer: trace.Tracer) -> None:
    """Guardrails, evaluations and embeddings are custom events; retrievals are tool calls; prompts are nothing."""
    with agent(tracer):
        kinds: dict[str, dict[str, Any]] = {
            "safety": {OI: "GUARDRAIL", "input.value": "hello", "output.value": '{"ok": true}'},
            "embed": {OP: "embeddings", "gen_ai.request.model": "e-1"},
            "docs": {OI: "RETRIEVER", "input.value": "query", "output.value": '["a", "b"]'},
            "template": {OI: "PROMPT"},
        }
        for name, attributes in kinds.items():
            with tracer.start_as_current_span(name, attributes=attributes):
                pass
    facts = journal()
    assert tell(facts)[1:-1] == [
        ("custom", None, "guardrail: safety"),
        ("custom", None, "embeddings: embed"),
        ("tool_call", None, "docs(input='query')"),
        ("tool_result", None, "docs: 2 items: a, b"),
    ]
    assert payloads(facts, "custom") == [
        {"kind": "guardrail", "input": "hello", "output": {"ok": True}},
        {"kind": "embeddings", "model": "e-1"},
    ]


def test_other_spans_leave_no_trace(journal: Journal, tracer: trace.Tracer) -> None:
    """Spans that are no agent's record nothing, and what is inside them belongs to the agent around them."""
    with tracer.start_as_current_span("alone"), tracer.start_as_current_span("too"):
        pass
    chat(tracer, said("a model called outside of every run"))
    with tool(tracer, "add", {}):
        pass
    assert journal() == []
    other = trace.get_tracer("none")
    with agent(tracer), tracer.start_as_current_span("query", kind=SpanKind.CLIENT, attributes={"db.system": "x"}):
        assert other is not None
    assert tell(journal()) == [("run_opened", "Scout"), ("run_closed", "succeeded", None)]


def test_a_request_with_two_agents_is_two_runs(journal: Journal, provider: TracerProvider) -> None:
    """A span of a server, or of another library, is no run: each agent inside it is one."""
    web, tracer = provider.get_tracer("web"), provider.get_tracer("agents")
    with (
        web.start_as_current_span("GET /", kind=SpanKind.SERVER),
        web.start_as_current_span("handler"),
        tracer.start_as_current_span("middleware", kind=SpanKind.SERVER),
    ):
        for name in ("First", "Second"):
            with agent(tracer, name):
                pass
    assert runs(journal()) == [
        [("run_opened", name), ("run_closed", "succeeded", None)] for name in ("First", "Second")
    ]


def test_one_call_told_by_two_libraries_is_recorded_once(journal: Journal, tracer: trace.Tracer) -> None:
    """A client's span inside a framework's span of the same model call or tool call tells nothing new."""
    with agent(tracer):
        with tracer.start_as_current_span("chat", attributes={OP: "chat"}) as span:
            chat(tracer, said("inner"))
            thread_context = otel_context.get_current()

            def elsewhere() -> None:
                chat(tracer, said("inner, on a thread"), context=thread_context)

            thread = threading.Thread(target=elsewhere)
            thread.start()
            thread.join()
            answer(span, said("outer"))
        with tool(tracer, "add", {"a": 1}), tool(tracer, "add", {"a": 1}):
            pass
    assert tell(journal())[1:-1] == [
        ("message", None, "outer"),
        ("tool_call", None, "add(a=1)"),
        ("tool_result", None, "add returned"),
    ]


# ---- spans that say what they are when they end ----


def late_loop(tracer: trace.Tracer) -> None:
    with late(tracer, "Scout", **{OI: "AGENT", "output__value": "done"}):
        with late(tracer, "think", **{OI: "CHAIN"}):
            with late(tracer, "gpt-x", **{OI: "LLM", "llm.output_messages.0.message.content": "hm"}):
                pass
            with late(
                tracer, "add", **{OI: "TOOL", "tool.name": "add", "input.value": '{"a": 1}', "output.value": "3"}
            ):
                time.sleep(0.01)  # what the tool takes
        with pytest.raises(ValueError, match="no road"), late_failure(tracer):
            raise ValueError("no road")


@contextmanager
def late_failure(tracer: trace.Tracer) -> Iterator[None]:
    with tracer.start_as_current_span("fail") as span:
        try:
            yield
        finally:
            span.set_attributes({OI: "TOOL", "input.value": "no road"})


LATE = [
    ("run_opened", "Scout"),
    ("step_entered", "think", None),
    ("message", "think", "hm"),
    ("tool_call", "think", "add(a=1)"),
    ("tool_result", "think", "add: 3"),
    ("step_left", "think", "completed"),
    ("tool_call", None, "fail(input='no road')"),
    ("error", None, "ValueError: no road"),
    ("run_closed", "succeeded", {"result": "done"}),
]


def test_attributes_that_come_late_nest_right(journal: Journal, tracer: trace.Tracer) -> None:
    """Spans that begin without attributes, whose children end first, are recorded as if they had had them."""
    late_loop(tracer)
    assert tell(journal()) == LATE


def test_what_is_late_has_its_true_duration(journal: Journal, tracer: trace.Tracer) -> None:
    """A step or tool call that is recorded when its span ends took as long as its span."""
    late_loop(tracer)
    facts = journal()
    [result] = [body for body in bodies(facts) if body["type"] == "tool_result"]
    assert result["payload"]["duration_ms"] >= 10
    [left] = [fact for fact in facts if type(fact).__name__ == "StepLeft"]
    assert left.duration_ms >= 10


def test_attributes_set_after_the_start_are_seen(journal: Journal, tracer: trace.Tracer) -> None:
    """A span that says what it is after its start, before it has a part, is that from its first part on."""
    with tracer.start_as_current_span("root") as root:
        root.set_attributes({OP: "invoke_agent", "gen_ai.agent.name": "Scout"})
        with tracer.start_as_current_span("look") as span:
            span.set_attributes({OP: "execute_tool", "gen_ai.tool.name": "look"})
            with agent(tracer, "Helper"):
                chat(tracer, said("found"))
            # The run is there before the root has ended.
            assert tell(journal()) == [
                ("run_opened", "Scout"),
                ("tool_call", None, "look()"),
                ("step_entered", "Helper", None),
                ("message", "Helper", "found"),
                ("step_left", "Helper", "completed"),
            ]
    assert tell(journal())[5:] == [
        ("tool_result", None, "look returned"),
        ("run_closed", "succeeded", {"result": "found"}),
    ]


def test_late_and_early_spans_of_one_library_nest(journal: Journal, tracer: trace.Tracer) -> None:
    """A span that says at once what it is stands inside those of its library that say it later."""
    with late(tracer, "Scout", **{OI: "AGENT"}), late(tracer, "look", **{OI: "TOOL"}):
        chat(tracer, said("found"))
    assert tell(journal()) == [
        ("run_opened", "Scout"),
        ("step_entered", "look", None),
        ("message", "look", "found"),
        ("tool_call", "look", "look()"),
        ("tool_result", "look", "look returned"),
        ("step_left", "look", "completed"),
        ("run_closed", "succeeded", {"result": "found"}),
    ]


def test_a_late_agent_alone_is_a_run_and_a_chain_alone_is_not(journal: Journal, tracer: trace.Tracer) -> None:
    """A late agent without parts is a run all the same; a late chain that held nothing together is not."""
    with late(tracer, "template", **{OI: "CHAIN"}):
        pass
    with late(tracer, "Scout", **{OI: "AGENT"}):
        pass
    assert tell(journal()) == [("run_opened", "Scout"), ("run_closed", "succeeded", None)]


def test_an_instrumentations_chain_opens_its_run_with_its_first_part(
    journal: Journal, provider: TracerProvider
) -> None:
    """A library that makes nothing but agents' spans is believed: its root is a run once it has a part."""
    tracer = provider.get_tracer("openinference.instrumentation.langchain")
    with late(tracer, "LangGraph", **{OI: "CHAIN"}), late(tracer, "node", **{OI: "CHAIN"}):
        assert tell(journal()) == [("run_opened", "LangGraph")]
        with late(tracer, "gpt-x", **{OI: "LLM"}):
            assert tell(journal())[1:] == [("step_entered", "node", None)]


# ---- errors ----


def test_an_error_that_surfaces_three_times_is_logged_once(journal: Journal, tracer: trace.Tracer) -> None:
    """What a tool raises fails call, step and run, and is logged once."""
    with pytest.raises(ValueError, match="no road"), agent(tracer), agent(tracer, "Inner"), tool(tracer, "go", {}):
        raise ValueError("no road")
    assert tell(journal()) == [
        ("run_opened", "Scout"),
        ("step_entered", "Inner", None),
        ("tool_call", "Inner", "go()"),
        ("error", "Inner", "ValueError: no road"),
        ("step_left", "Inner", "failed"),
        ("run_closed", "failed", "ValueError: no road"),
    ]


def test_an_error_of_which_words_are_left_is_logged_once(journal: Journal, tracer: trace.Tracer) -> None:
    """An exception that spans only noted reads as the exception did, and is logged once on its way up."""
    spans = []
    parent: Any = None
    for name, attributes in (("root", {OI: "AGENT"}), ("step", {OI: "CHAIN"}), ("go", {OI: "TOOL"})):
        context = trace.set_span_in_context(parent) if parent is not None else None
        parent = tracer.start_span(name, context, attributes=attributes)
        spans.append(parent)
    for span in reversed(spans):
        try:
            raise ValueError("no road")
        except ValueError as error:
            span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR, "it failed"))
        span.end()
    facts = journal()
    assert tell(facts) == [
        ("run_opened", "root"),
        ("step_entered", "step", None),
        ("tool_call", "step", "go()"),
        ("error", "step", "ValueError: no road"),
        ("step_left", "step", "failed"),
        ("run_closed", "failed", "ValueError: no road"),
    ]
    [error] = [body for body in bodies(facts) if body["type"] == "error"]
    assert "Traceback" in error["payload"]["error"]["notes"][0]


def test_an_error_without_an_exception_has_the_status_words(journal: Journal, tracer: trace.Tracer) -> None:
    """A span with an error status alone fails with the status's words, under the type its attributes name."""
    with agent(tracer) as span:
        span.set_attribute("error.type", "Timeout")
        span.set_status(Status(StatusCode.ERROR, "took too long"))
    assert tell(journal())[1:] == [
        ("error", None, "Timeout: took too long"),
        ("run_closed", "failed", "Timeout: took too long"),
    ]


def test_an_error_handled_inside_leaves_the_run_alone(journal: Journal, tracer: trace.Tracer) -> None:
    """An agent that runs and ends while another exception is being handled succeeds all the same."""
    try:
        raise KeyError("earlier")
    except KeyError:
        with agent(tracer):
            pass
    assert tell(journal())[-1] == ("run_closed", "succeeded", None)


def test_every_failed_call_of_a_model_is_logged(journal: Journal, tracer: trace.Tracer) -> None:
    """A model that fails twice in the same way, and is asked a third time, has two errors and an answer."""
    with agent(tracer):
        for _ in range(2):
            with (
                pytest.raises(RuntimeError),
                tracer.start_as_current_span("chat", attributes={OP: "chat", "gen_ai.request.model": "gpt-x"}),
            ):
                raise RuntimeError("busy")
        chat(tracer, said("at last"))
    facts = journal()
    assert [line[0] for line in tell(facts)] == ["run_opened", "error", "error", "message", "run_closed"]
    assert [payload["model"] for payload in payloads(facts, "error")] == ["gpt-x", "gpt-x"]


def test_every_failed_call_of_a_tool_is_logged(journal: Journal, tracer: trace.Tracer) -> None:
    """A tool that fails each time in the same way has an error each time, whether it flies or is only told."""

    def dial() -> None:
        raise ConnectionError("busy")

    with agent(tracer):
        for _ in range(3):
            with contextlib.suppress(ConnectionError), tool(tracer, "dial", {}):
                dial()
        for _ in range(3):
            with tool(tracer, "dial", {}) as span:
                span.set_status(Status(StatusCode.ERROR, "no line"))
    assert [line[0] for line in tell(journal())] == ["run_opened", *["tool_call", "error"] * 6, "run_closed"]


def test_a_tool_that_an_error_passes_through_ends(journal: Journal, tracer: trace.Tracer) -> None:
    """A tool that called the one that raised ends too, and says what it raised."""

    @mt.tool_call
    def dial() -> None:
        raise ConnectionError("busy")

    with agent(tracer), contextlib.suppress(ConnectionError), tool(tracer, "ask", {}):
        dial()
    assert tell(journal())[1:-1] == [
        ("tool_call", None, "ask()"),
        ("tool_call", None, "dial()"),
        ("error", None, "ConnectionError: busy"),
        ("tool_result", None, "ask raised ConnectionError: busy"),
    ]


def test_a_cancelled_agent_is_cancelled(journal: Journal, tracer: trace.Tracer) -> None:
    """Cancelling an agent's task cancels its run, and says what the model had answered by then."""

    async def main() -> None:
        async def work() -> None:
            with agent(tracer), tracer.start_as_current_span("chat", attributes={OP: "chat"}) as span:
                answer(span, said("It is"))
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    facts = journal()
    assert [line[:2] for line in tell(facts)] == [
        ("run_opened", "Scout"),
        ("message", None),
        ("run_closed", "cancelled"),
    ]
    [message] = payloads(facts, "message")
    assert (message["text"], message["cancelled"]) == ("It is", True)


# ---- places ----


def test_spans_inside_a_run_are_a_part_of_it(journal: Journal, tracer: trace.Tracer) -> None:
    """With a run under way an agent opens none: it is a step inside the current one."""
    with mt.mission_run("Outer"), mt.plan_step("thinking"):
        chat(tracer, said("hello"))
        with agent(tracer):
            with mt.plan_step("mine"):
                chat(tracer, said("inside"))
            with mt.mission_run("Another"), agent(tracer, "Deep"):
                pass
    first, second = runs(journal())
    assert first == [
        ("run_opened", "Outer"),
        ("step_entered", "thinking", None),
        ("message", "thinking", "hello"),
        ("step_entered", "Scout", "thinking"),
        ("step_entered", "mine", "Scout"),
        ("message", "mine", "inside"),
        ("step_left", "mine", "completed"),
        first[7],
        ("step_left", "Scout", "completed"),
        ("step_left", "thinking", "completed"),
        ("run_closed", "succeeded", None),
    ]
    assert first[7][0] == "custom"  # the run inside is linked to this one
    assert second == [
        ("run_opened", "Another"),
        ("step_entered", "Deep", None),
        ("step_left", "Deep", "completed"),
        ("run_closed", "succeeded", None),
    ]


def test_spans_of_other_threads_find_their_place(journal: Journal, tracer: trace.Tracer) -> None:
    """A span on a thread that has only OpenTelemetry's context stands inside its parent all the same."""

    def work(context: Any) -> None:
        with tracer.start_as_current_span("look", context, attributes={OI: "TOOL"}):
            pass

    with agent(tracer), agent(tracer, "Inner"):
        thread = threading.Thread(target=work, args=(otel_context.get_current(),))
        thread.start()
        thread.join()
    assert ("tool_call", "Inner", "look()") in tell(journal())


def test_many_agents_at_once_never_cross(
    journal: Journal, tracer: trace.Tracer, processor: MissionSpanProcessor
) -> None:
    """Twenty agents through one processor at the same time are twenty runs, each with its own events alone."""

    async def main() -> None:
        async def one(number: int) -> None:
            with agent(tracer, f"A{number}"):
                for turn in range(3):
                    with tool(tracer, "add", {"n": number}, f"c{number}-{turn}"):
                        await asyncio.sleep(0)

        await asyncio.gather(*(one(number) for number in range(20)))

    asyncio.run(main())
    found = {lines[0][1]: lines for lines in runs(journal())}
    assert sorted(found) == sorted(f"A{number}" for number in range(20))
    for number in range(20):
        turn = [("tool_call", None, f"add(n={number})"), ("tool_result", None, "add returned")]
        assert found[f"A{number}"][1:-1] == turn * 3
    assert len(processor._spans) == 0


def test_late_spans_on_many_threads_open_one_run(
    journal: Journal, tracer: trace.Tracer, processor: MissionSpanProcessor
) -> None:
    """Parts of one late root that begin on many threads at once are all in one run."""
    start = threading.Barrier(8)

    def work(context: Any, number: int) -> None:
        start.wait()
        with tracer.start_as_current_span(f"t{number}", context, attributes={OI: "TOOL"}):
            pass

    with late(tracer, "Scout", **{OI: "AGENT"}):
        threads = [threading.Thread(target=work, args=(otel_context.get_current(), n)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    [lines] = runs(journal())
    assert sorted(line[0] for line in lines) == sorted(
        ["run_opened", *["tool_call"] * 8, *["tool_result"] * 8, "run_closed"]
    )


# ---- ends ----


def test_what_outlives_its_run_is_closed_with_it(
    journal: Journal, tracer: trace.Tracer, processor: MissionSpanProcessor
) -> None:
    """A tool call and a step that are open when their run ends are ended with it; their own end tells nothing more."""
    with agent(tracer):
        inner = tracer.start_span("Inner", attributes={OI: "AGENT"})
        call = tracer.start_span("look", trace.set_span_in_context(inner), attributes={OI: "TOOL"})
        _context.scope.set(_context.current().run)  # such spans were made in other tasks
    call.end()
    inner.end()
    told = tell(journal())
    assert [line[:2] for line in told[2:]] == [
        ("tool_call", "Inner"),
        ("error", "Inner"),
        ("step_left", "Inner"),
        ("run_closed", "succeeded"),
    ]
    assert "did not end" in told[3][2]
    assert len(processor._spans) == 0


def test_what_is_open_when_its_agent_fails_did_not_fail_itself(journal: Journal, tracer: trace.Tracer) -> None:
    """A tool call that goes on beside the one that fails ends as given up, not with the other's error."""
    with contextlib.suppress(ConnectionError), agent(tracer):
        beside = tracer.start_span("look", attributes={OI: "TOOL"})
        with tool(tracer, "dial", {}):
            raise ConnectionError("busy")
    beside.end()
    assert tell(journal())[1:-1] == [
        ("tool_call", None, "look()"),
        ("tool_call", None, "dial()"),
        ("error", None, "ConnectionError: busy"),
        ("error", None, "mission_tracer.AbandonedError: it did not end before what it is a part of"),
    ]
    assert [payload["tool"] for payload in payloads(journal(), "error")] == ["dial", "look"]


def test_a_span_that_ends_elsewhere_is_current_no_more(journal: Journal, tracer: trace.Tracer) -> None:
    """A run whose span ends in another context is current no more for the spans that come after it."""

    def main() -> None:
        span = tracer.start_span("Scout", attributes={OI: "AGENT"})
        contextvars.copy_context().run(span.end)
        with agent(tracer, "Next"):
            pass
        assert _context.current() is None

    contextvars.copy_context().run(main)
    assert [lines[0][1] for lines in runs(journal())] == ["Scout", "Next"]


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 2, 0]])
def test_agents_that_nobody_makes_current_stand_side_by_side(
    order: list[int], journal: Journal, tracer: trace.Tracer
) -> None:
    """Traces that overlap in one context are a run each, whichever ends first; after them nothing is current."""

    def main() -> None:
        spans = [tracer.start_span(name, attributes={OI: "AGENT"}) for name in ("A", "B", "C")]
        for number in order:
            spans[number].end()
        assert _context.current() is None

    contextvars.copy_context().run(main)
    assert [lines[0][1] for lines in runs(journal())] == ["A", "B", "C"]
    assert [len(lines) for lines in runs(journal())] == [2, 2, 2]


def test_a_dropped_span_is_closed(journal: Journal, tracer: trace.Tracer, processor: MissionSpanProcessor) -> None:
    """A span that nobody ends is given up once nobody has it any more, and nothing is kept of it."""

    def main() -> None:
        span = tracer.start_span("Scout", attributes={OI: "AGENT"})
        assert span.is_recording()
        del span
        gc.collect()
        tracer.start_span("other").end()

    contextvars.copy_context().run(main)
    assert [line[:2] for line in tell(journal())] == [("run_opened", "Scout"), ("run_closed", "cancelled")]
    assert len(processor._spans) == 0


def test_shutting_the_provider_down_closes_what_is_open(
    journal: Journal, provider: TracerProvider, tracer: trace.Tracer
) -> None:
    """What is open when the provider is shut down is cancelled."""
    with agent(tracer):
        provider.shutdown()
    assert [line[:2] for line in tell(journal())] == [("run_opened", "Scout"), ("run_closed", "cancelled")]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_ends_nothing_of_its_parents(journal: Journal, tracer: trace.Tracer) -> None:
    """A forked child that ends its parent's span records no end; spans of its own are a part of the parent's run."""
    span = tracer.start_span("Scout", attributes={OI: "AGENT"})
    child = os.fork()
    if child == 0:
        with trace.use_span(span), agent(tracer, "Child"):
            pass
        span.end()
        os._exit(0)
    os.waitpid(child, 0)
    span.end()
    assert tell(journal()) == [
        ("run_opened", "Scout"),
        ("step_entered", "Child", None),
        ("step_left", "Child", "completed"),
        ("run_closed", "succeeded", None),
    ]


# ---- others who record ----


def test_the_calls_of_models_are_owned(tracer: trace.Tracer) -> None:
    """Inside the span of a model's call clients leave it to the span; inside a tool's they record."""
    with agent(tracer):
        with tracer.start_as_current_span("chat", attributes={OP: "chat"}):
            assert not may_record(Rank.CLIENT)
        with tool(tracer, "add", {}):
            assert may_record(Rank.CLIENT)
    assert may_record(Rank.CLIENT)


@pytest.mark.parametrize("rank", [Rank.FRAMEWORK, Rank.CLIENT])
def test_a_call_that_another_integration_records_is_left_alone(
    journal: Journal, tracer: trace.Tracer, rank: Rank
) -> None:
    """Spans inside a call that a framework's integration or a client's records tell nothing."""
    with mt.mission_run("Outer"):
        with owning(rank):
            chat(tracer, said("told already"))
        with _context.silence():
            chat(tracer, said("our own traffic"))
    assert tell(journal()) == [("run_opened", "Outer"), ("run_closed", "succeeded", None)]


def test_of_several_processors_one_records(journal: Journal, provider: TracerProvider) -> None:
    """A program that placed a processor and switched the integration on as well has everything once."""
    mt.instrument("otel", provider=provider)
    provider.add_span_processor(MissionSpanProcessor(mission="Another"))
    loop(provider.get_tracer("test"))
    twice = tell(journal())
    mt.uninstrument("otel")
    loop(provider.get_tracer("test"))
    assert [line[0] for line in twice].count("run_opened") == 1
    assert tell(journal()) == [*twice, *twice]


def test_a_covered_instrumentation_is_left_alone(journal: Journal, provider: TracerProvider) -> None:
    """Spans of an instrumentation whose framework is recorded by another integration tell nothing, until it is not."""

    class Records:
        at_work = True

        def covers(self, origin: str) -> bool:
            return self.at_work and origin == "openinference.instrumentation.langchain"

    tracer = provider.get_tracer("openinference.instrumentation.langchain")
    records = Records()
    _coverage.cover(records)
    late_loop(tracer)
    assert journal() == []
    with late(tracer, "chain", **{OI: "CHAIN"}), agent(provider.get_tracer("another")):
        pass
    assert tell(journal()) == [("run_opened", "Scout"), ("run_closed", "succeeded", None)]
    records.at_work = False
    late_loop(tracer)
    assert tell(journal())[2:] == LATE


# ---- real instrumentations ----


def drive(called: Any) -> None:
    """Wait for a call, or read a stream to its end."""
    if inspect.iscoroutine(called):
        asyncio.run(called)
    else:
        list(called)


def run_langchain(provider: TracerProvider, callbacks: Any = None, *, how: str = "invoke") -> None:
    """Run a LangChain agent with two tools, one of which fails it, under OpenInference's instrumentation."""
    instrumentation = pytest.importorskip("openinference.instrumentation.langchain")
    agents = pytest.importorskip("langchain.agents")
    from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.tools import tool as make_tool

    class Model(FakeMessagesListChatModel):
        def bind_tools(self, tools: Any, **options: Any) -> Any:
            return self

    @make_tool
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    @make_tool
    def fail(why: str) -> str:
        """Fail."""
        raise ValueError(why)

    def calls(name: str, arguments: dict[str, Any]) -> AIMessage:
        return AIMessage("", tool_calls=[{"name": name, "args": arguments, "id": name}])

    model = Model(responses=[calls("add", {"a": 1, "b": 2}), calls("fail", {"why": "no road"})])
    instrumentor = instrumentation.LangChainInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        with pytest.raises(ValueError, match="no road"):
            drive(getattr(agents.create_agent(model, [add, fail]), how)({"messages": [("user", "go")]}, callbacks))
    finally:
        instrumentor.uninstrument()


def test_openinference_for_langchain(journal: Journal, provider: TracerProvider) -> None:
    """What OpenInference tells of a LangChain agent is a run with a step for each node, every call and answer once.

    That a handler of ours is there says nothing, as long as nobody hands it to the agent.
    """
    pytest.importorskip("langchain_core")
    from mission_tracer.integrations import langchain as callbacks

    idle = callbacks.MissionCallbackHandler()
    run_langchain(provider)
    assert idle.under_way == 0
    assert tell(journal()) == [
        ("run_opened", "LangGraph"),
        ("step_entered", "model", None),
        ("message", "model", "calls tools add"),
        ("step_left", "model", "completed"),
        ("step_entered", "tools", None),
        ("tool_call", "tools", "add(a=1, b=2)"),
        ("tool_result", "tools", "add: 3"),
        ("step_left", "tools", "completed"),
        ("step_entered", "model-2", None),
        ("message", "model-2", "calls tools fail"),
        ("step_left", "model-2", "completed"),
        ("step_entered", "tools-2", None),
        ("tool_call", "tools-2", "fail(input='no road')"),
        ("error", "tools-2", "ValueError: no road"),
        ("step_left", "tools-2", "failed"),
        ("run_closed", "failed", "ValueError: no road"),
    ]


def test_openinference_beside_our_own_handler_records_nothing_more(journal: Journal, provider: TracerProvider) -> None:
    """With the integration of LangChain on as well, the same agent is recorded once."""
    pytest.importorskip("langchain_core")
    mt.instrument("langchain")
    run_langchain(provider)
    kinds = [line[0] for line in tell(journal())]
    assert {kind: kinds.count(kind) for kind in ("run_opened", "message", "tool_call", "tool_result", "error")} == {
        "run_opened": 1,
        "message": 2,
        "tool_call": 2,
        "tool_result": 1,
        "error": 1,
    }


@pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream"])
def test_openinference_beside_a_handler_that_is_handed_to_one_call(
    journal: Journal, provider: TracerProvider, how: str
) -> None:
    """A call that is handed a handler of ours is recorded by it alone; the next one, which is not, from its spans."""
    pytest.importorskip("langchain_core")
    from mission_tracer.integrations import langchain as callbacks

    handler = callbacks.MissionCallbackHandler("Handled")
    run_langchain(provider, {"callbacks": [handler]}, how=how)
    run_langchain(provider, how=how)
    for name, found in zip(("Handled", "LangGraph"), runs(journal()), strict=True):
        kinds = [line[0] for line in found]
        assert found[0] == ("run_opened", name)
        assert [kinds.count(kind) for kind in ("step_entered", "message", "tool_call", "tool_result", "error")] == [
            4,
            2,
            2,
            1,
            1,
        ]
        assert found[-1][:2] == ("run_closed", "failed")


ANTHROPIC = """
import anthropic, httpx2
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
import mission_tracer as mt

mt.instrument("otel")
trace.set_tracer_provider(TracerProvider(shutdown_on_exit=False))
body = {"id": "m", "type": "message", "role": "assistant", "model": "claude-x", "stop_reason": "end_turn",
        "stop_sequence": None, "content": [{"type": "text", "text": "hello"}],
        "usage": {"input_tokens": 7, "output_tokens": 3}}
http = httpx2.Client(transport=httpx2.MockTransport(lambda request: httpx2.Response(200, json=body)))
client = anthropic.Anthropic(api_key="none", http_client=http)
with mt.mission_run("Greet"):
    client.messages.count_tokens(model="claude-x", messages=[{"role": "user", "content": "hi"}])
    client.messages.create(model="claude-x", max_tokens=9, messages=[{"role": "user", "content": "hi"}])
"""


def run_script(code: str) -> None:
    env = {**os.environ, "MISSION_TRACER_LOG_LEVEL": "off", "MISSION_TRACER_STRICT": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_anthropic_client_tells_its_own_spans(journal: Journal) -> None:
    """The spans that the anthropic client makes of answers are messages of the run under way, with model and usage."""
    pytest.importorskip("anthropic")
    run_script(ANTHROPIC)
    facts = journal()
    assert tell(facts) == [
        ("run_opened", "Greet"),
        ("message", None, "claude-x answered"),
        ("run_closed", "succeeded", None),
    ]
    [message] = payloads(facts, "message")
    assert message["usage"] == {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}


# ---- switching on and off ----

GLOBAL = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import set_tracer_provider
import mission_tracer as mt

def work(name):
    with trace.get_tracer("x").start_as_current_span(name, attributes={"gen_ai.operation.name": "invoke_agent"}):
        pass

provider = TracerProvider(shutdown_on_exit=False)
original = trace._set_tracer_provider
if FIRST:
    set_tracer_provider(provider)
mt.instrument("otel")
mt.instrument("otel")
set_tracer_provider(provider) if not FIRST else None
work("one")
mt.uninstrument("otel")
assert trace._set_tracer_provider is original
assert provider._active_span_processor._span_processors == ()
work("two")
"""


@pytest.mark.parametrize("first", [True, False])
def test_the_global_provider_is_used_whenever_it_is_set(journal: Journal, first: bool) -> None:
    """Switched on before or after the global provider is set it records once; switched off it leaves nothing."""
    run_script(f"FIRST = {first}\n{GLOBAL}")
    assert tell(journal()) == [("run_opened", "one"), ("run_closed", "succeeded", None)]


def test_the_users_own_processors_are_kept(journal: Journal) -> None:
    """Switching on and off leaves the processors that others added, which see every span."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    own = SimpleSpanProcessor(exporter)
    provider.add_span_processor(own)
    mt.instrument("otel", provider=provider, mission="Find window washers")
    loop(provider.get_tracer("test"))
    mt.uninstrument("otel")
    assert provider._active_span_processor._span_processors == (own,)
    loop(provider.get_tracer("test"))
    assert [lines[0] for lines in runs(journal())] == [("run_opened", "Find window washers")]
    assert len(exporter.get_finished_spans()) == 10
    provider.shutdown()


def test_flushing_is_no_failure_without_a_key(processor: MissionSpanProcessor) -> None:
    """Flushing says nothing against going on with the other processors when nothing can be sent."""
    assert processor.force_flush(1)


def test_nothing_is_recorded_when_recording_is_off(journal: Journal, tracer: trace.Tracer) -> None:
    """A processor of a program that records nothing records nothing."""
    mt.configure(enabled=False)
    loop(tracer)
    assert journal() == []


def test_the_setting_capture_is_obeyed(journal: Journal, tracer: trace.Tracer) -> None:
    """With `names` arguments show as types, and neither results nor texts are kept."""
    mt.configure(strict=True, capture="names")
    with agent(tracer), tool(tracer, "add", {"a": 1}) as span:
        span.set_attribute("gen_ai.tool.call.result", "3")
        chat(tracer, said("secret plan"))
    facts = journal()
    assert payloads(facts, "tool_call") == [{"tool": "add", "call_id": "c1", "arguments": {"a": "int"}}]
    assert payloads(facts, "tool_result") == [{"tool": "add", "call_id": "c1"}]
    assert "secret plan" not in str(facts)


@pytest.mark.parametrize("mode", ["names", "off"])
def test_the_setting_capture_is_obeyed_by_other_kinds(mode: Any, journal: Journal, tracer: trace.Tracer) -> None:
    """Of a guardrail, an evaluation or an embedding no more than its kind, name and model is kept."""
    mt.configure(strict=True, capture=mode)
    with agent(tracer):
        for kind in ("GUARDRAIL", "EVALUATOR", "EMBEDDING"):
            told = {OI: kind, "input.value": "secret plan", "output.value": "secret too", "llm.model_name": "m"}
            tracer.start_span("check", attributes=told).end()
    facts = journal()
    kinds = ("guardrail", "evaluator", "embedding")
    assert [line[2] for line in tell(facts)[1:-1]] == [f"{kind}: check" for kind in kinds]
    assert payloads(facts, "custom") == [{"kind": kind, "model": "m"} for kind in kinds]


# ---- faults ----


class Broken:
    """Be a span of which nothing can be read."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(f"no {name}")


@pytest.mark.parametrize("hook", ["on_start", "on_end"])
def test_an_error_in_a_hook_stays_ours(hook: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever goes wrong in a hook is said once and never raised into the program."""
    processor = MissionSpanProcessor()
    getattr(processor, hook)(Broken())
    getattr(processor, hook)(Broken())
    lines = [line for line in capsys.readouterr().err.splitlines() if "kept from the program" in line]
    assert len(lines) == 1
    assert hook in lines[0]


class Failing(recorder.Recorder):
    """Be a recorder that fails from some fact on, and at flushing."""

    left = 0

    def put(self, stream: Any, fact: Any) -> None:
        if self.left <= 0:
            raise RuntimeError("the recorder is broken")
        self.left -= 1
        super().put(stream, fact)

    def flush(self, *args: Any, **options: Any) -> bool:
        raise RuntimeError("the recorder is broken")


@pytest.mark.parametrize("work", [loop, late_loop])
@pytest.mark.parametrize("left", range(9))
def test_a_broken_recorder_leaves_the_program_alone(left: int, work: Callable[[trace.Tracer], None]) -> None:
    """Whichever fact cannot be recorded, no span raises, and nothing is left behind."""
    broken = Failing(Settings.load({"log_level": "off"}))
    broken.left = left
    recorder.replace(broken)
    provider = TracerProvider(shutdown_on_exit=False)
    processor = MissionSpanProcessor()
    provider.add_span_processor(processor)
    work(provider.get_tracer("test"))
    broken.sends = True
    assert provider.force_flush()
    broken.sends = False
    provider.shutdown()
    assert len(processor._spans) == 0
    assert _context.current() is None
