"""Runs, steps and tool calls as OpenTelemetry spans."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk.trace")

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import mission_tracer as mt
from mission_tracer import recorder
from mission_tracer.errors import ConfigurationError
from mission_tracer.integrations import otel_export
from mission_tracer.integrations.otel import MissionSpanProcessor

from .telling import tell

Journal = Callable[[], list[Any]]


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[TracerProvider]:
    """Be the global tracer provider for one test; the API lets it be set only once."""
    made = TracerProvider(shutdown_on_exit=False)
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: made)
    yield made
    made.shutdown()


@pytest.fixture
def spans(provider: TracerProvider) -> Callable[[], dict[str, ReadableSpan]]:
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return lambda: {span.name: span for span in exporter.get_finished_spans()}


def parent_of(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent is not None else None


def id_of(span: ReadableSpan) -> int:
    context = span.get_span_context()
    assert context is not None
    return context.span_id


@mt.tool_call
def add(a: int, b: int) -> int:
    return a + b


@mt.tool_call
def fail() -> None:
    raise ValueError("no road")


def work() -> None:
    with mt.mission_run("Find a way", input={"city": "Chicago"}), mt.plan_step("look", description="Look around"):
        add(1, b=2)
        mt.log_event("found a map", payload={"scale": 5})
        with pytest.raises(ValueError, match="no road"), mt.plan_step("drive"):
            fail()


def test_runs_steps_and_tools_are_spans(spans: Callable[[], dict[str, ReadableSpan]]) -> None:
    """A run is a span, its steps and tool calls are spans inside, with times, attributes and what became of them."""
    mt.configure(export="otel", strict=True)
    work()
    found = spans()
    assert set(found) == {"Find a way", "look", "drive", "execute_tool add", "execute_tool fail"}
    run, look, drive = found["Find a way"], found["look"], found["drive"]
    call, failed = found["execute_tool add"], found["execute_tool fail"]
    assert [parent_of(span) for span in (run, look, drive, call, failed)] == [
        None,
        id_of(run),
        id_of(look),
        id_of(look),
        id_of(drive),
    ]
    assert run.attributes is not None
    assert run.attributes["gen_ai.operation.name"] == "invoke_workflow"
    assert run.attributes["mission_tracer.run.input"] == '{"city":"Chicago"}'
    assert run.attributes["mission_tracer.status"] == "succeeded"
    assert look.attributes is not None
    assert look.attributes["mission_tracer.step.description"] == "Look around"
    assert call.attributes is not None
    assert call.attributes["gen_ai.tool.call.arguments"] == '{"a":1,"b":2}'
    assert call.attributes["gen_ai.tool.call.result"] == "3"
    assert [span.status.status_code.name for span in (run, look, drive, call, failed)] == [
        "UNSET",
        "UNSET",
        "ERROR",
        "UNSET",
        "ERROR",
    ]
    assert drive.status.description == "ValueError: no road"
    [event] = look.events
    assert (event.name, dict(event.attributes or {})) == (
        "custom",
        {"summary": "found a map", "payload": '{"scale":5}'},
    )
    [exception] = failed.events
    assert exception.attributes is not None
    assert exception.attributes["exception.type"] == "ValueError"
    assert "Traceback" in str(exception.attributes["exception.stacktrace"])
    times = [(span.start_time or 0, span.end_time or 0) for span in (run, look, call)]
    assert times == sorted(times, key=lambda time: (time[0], -time[1]))
    assert all(start <= end for start, end in times)


@pytest.mark.parametrize(
    ("payload", "attributes"),
    [
        (
            {"error": {"type": "ToolError", "message": "busy"}},
            {"exception.type": "ToolError", "exception.message": "busy"},
        ),
        ({"error": "busy"}, {"exception.message": "busy"}),
        ({"cancelled": True}, None),
    ],
    ids=["told", "words", "cancelled"],
)
def test_however_a_tool_failed_its_span_fails(
    spans: Callable[[], Any], payload: dict[str, Any], attributes: dict[str, str] | None
) -> None:
    """The error of a tool call ends its span with what is known of the error, in whatever form the event has that."""
    mt.configure(export="otel", strict=True)
    with mt.mission_run("m") as run:
        run.log_event("dial()", type="tool_call", payload={"tool": "dial", "call_id": "c1", "arguments": {}})
        run.log_event("dial: busy", type="error", payload={"tool": "dial", "call_id": "c1", **payload})
    span = spans()["execute_tool dial"]
    assert (span.status.status_code.name, span.status.description) == ("ERROR", "dial: busy")
    assert [dict(event.attributes or {}) for event in span.events] == ([] if attributes is None else [attributes])


def test_the_span_of_a_tool_that_an_error_passes_through_fails(spans: Callable[[], Any]) -> None:
    """The span of a tool that called the one that raised has no exception of its own, and failed all the same."""
    mt.configure(export="otel", strict=True)

    @mt.tool_call
    def dial() -> None:
        raise ConnectionError("busy")

    @mt.tool_call
    def ask() -> None:
        dial()

    with mt.mission_run("m"), contextlib.suppress(ConnectionError):
        ask()
    span = spans()["execute_tool ask"]
    assert (span.status.status_code.name, span.status.description) == ("ERROR", "ask raised ConnectionError: busy")
    assert [event.name for event in spans()["execute_tool dial"].events] == ["exception"]
    assert not span.events


def test_the_variable_switches_it_on(spans: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment variable alone switches the export on."""
    monkeypatch.setenv("MISSION_TRACER_EXPORT", "otel")
    work()
    assert "Find a way" in spans()


def test_another_export_is_refused() -> None:
    """An export that there is none of is an error that names those there are."""
    with pytest.raises(ConfigurationError, match="one of otel"):
        mt.configure(export="carrier pigeon")


def test_spans_stand_in_the_programs_traces(provider: TracerProvider, spans: Callable[[], Any]) -> None:
    """A run's span is inside the span that is current when it begins; a run inside a run, inside that run's."""
    mt.configure(export="otel", strict=True)
    request = provider.get_tracer("program").start_as_current_span("request")
    with request, mt.mission_run("Outer"), mt.mission_run("Inner"):
        pass
    found = spans()
    assert parent_of(found["Outer"]) == id_of(found["request"])
    assert parent_of(found["Inner"]) == id_of(found["Outer"])


def test_what_is_open_when_a_run_ends_is_ended(spans: Callable[[], Any]) -> None:
    """A step that is still open when its run is closed ends with it, as abandoned."""
    mt.configure(export="otel", strict=True)
    with mt.mission_run("Hasty") as run:
        run.enter_step("left open", "left open", None, repeat=None, metadata={})
    assert spans()["left open"].attributes["mission_tracer.status"] == "abandoned"


def test_runs_that_wait_for_ever_are_not_kept_for_ever(
    spans: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is paused and resumed is one span; of many that are never resumed the oldest end as paused."""
    monkeypatch.setattr(otel_export, "_WAITING", 2)
    mt.configure(export="otel", strict=True)
    with mt.mission_run("goes on") as run:
        run.pause()
        run.resume()
    with contextlib.ExitStack() as stack:
        for number in range(4):
            stack.enter_context(mt.mission_run(f"waits {number}")).pause()
        found = {name: span.attributes["mission_tracer.status"] for name, span in spans().items()}
    assert found == {"goes on": "succeeded", "waits 0": "paused", "waits 1": "paused"}


def test_our_own_spans_are_not_recorded_again(
    journal: Journal, provider: TracerProvider, spans: Callable[[], Any]
) -> None:
    """With the processor beside the export, runs are recorded once, and what comes from spans is not mirrored."""
    mt.configure(export="otel", strict=True)
    mt.instrument("otel", provider=provider)
    work()
    recorded = len(journal())
    tracer = provider.get_tracer("agents")
    attributes = {"gen_ai.operation.name": "invoke_agent"}
    with tracer.start_as_current_span("Scout", attributes=attributes) as scout, mt.plan_step("mine"):
        pass
    assert [line[0] for line in tell(journal())].count("run_opened") == 2
    assert len(journal()) == recorded + 4
    found = spans()
    assert set(found) == {
        "Find a way",
        "look",
        "drive",
        "execute_tool add",
        "execute_tool fail",
        "Scout",
        "mine",
    }
    # The user's own step inside the agent's span stands inside that span.
    assert parent_of(found["mine"]) == scout.get_span_context().span_id


def test_runs_of_before_keep_their_export(spans: Callable[[], Any]) -> None:
    """A run that is under way when the settings change is mirrored to its end; the next one as the settings say."""
    mt.configure(export="otel", strict=True)
    with mt.mission_run("First"):
        mt.configure(strict=True)
    with mt.mission_run("Second"):
        pass
    assert set(spans()) == {"First"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_ends_nothing_of_its_parents(spans: Callable[[], Any]) -> None:
    """A forked child leaves its parent's spans to the parent."""
    mt.configure(export="otel", strict=True)
    with mt.mission_run("Parent"):
        child = os.fork()
        if child == 0:
            with mt.plan_step("in the child"):
                pass
            os._exit(sorted(spans()) != ["in the child"])
        assert os.waitpid(child, 0)[1] == 0
    assert set(spans()) == {"Parent"}


class Raising(SpanProcessor):
    """Be a processor of the program's that fails."""

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        raise RuntimeError("a processor is broken")

    def on_end(self, span: Any) -> None:
        raise RuntimeError("a processor is broken")


def test_an_error_in_the_export_stays_ours(
    journal: Journal, provider: TracerProvider, capsys: pytest.CaptureFixture[str]
) -> None:
    """A processor that raises harms neither the program nor the record, and is said once."""
    provider.add_span_processor(Raising())
    mt.configure(export="otel")
    work()
    assert [line[0] for line in tell(journal())][-1] == "run_closed"
    lines = [line for line in capsys.readouterr().err.splitlines() if "a processor is broken" in line]
    assert len(lines) == 1


def test_without_the_library_recording_goes_on(journal: Journal) -> None:
    """Without OpenTelemetry the setting is answered with one line, and everything is recorded."""
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "import mission_tracer as mt\n"
        "mt.configure(export='otel')\n"
        "with mt.mission_run('Find a way'): pass\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ}, capture_output=True, text=True, check=True)
    assert "nothing is exported" in done.stderr
    assert [line[0] for line in tell(journal())] == ["run_opened", "run_closed"]


def test_without_the_setting_nothing_is_exported(spans: Callable[[], Any]) -> None:
    """Without the setting no span is made, and the export's module is not reached."""
    work()
    assert spans() == {}
    assert recorder.default()._export is None


def test_a_mirrored_span_says_who_made_it(provider: TracerProvider, spans: Callable[[], Any]) -> None:
    """Spans of ours carry our name, by which processors know them."""
    mt.configure(export="otel", strict=True)
    with mt.mission_run("Find a way"):
        pass
    [span] = spans().values()
    assert span.instrumentation_scope.name == otel_export.OURS
    assert isinstance(MissionSpanProcessor(), SpanProcessor)
