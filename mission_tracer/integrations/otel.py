"""Record OpenTelemetry spans of agents: the outermost is a run, agents and chains are steps, the rest is events.

Works with whatever follows the GenAI conventions, OpenInference or Traceloop: pydantic-ai, the instrumentations of
LangChain, LlamaIndex, CrewAI and others, and spans made by hand.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from mission_tracer import _context, recorder
from mission_tracer._base.endings import is_cancellation
from mission_tracer._base.guard import guarded
from mission_tracer._base.ownership import Rank, may_record
from mission_tracer.integrations import _genai
from mission_tracer.integrations._coverage import heed, is_covered
from mission_tracer.integrations._patches import Patches, require
from mission_tracer.integrations._spans import Kind, Node, Scope, Spans, name_for, record_answer, split

require("opentelemetry.sdk", "1.20", distribution="opentelemetry-sdk")

from opentelemetry import trace  # noqa: E402 - the version is checked first
from opentelemetry.context import Context  # noqa: E402
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor  # noqa: E402
from opentelemetry.trace import SpanKind, StatusCode  # noqa: E402

OURS = "mission_tracer"
"""The instrumentation scope of the spans that mirror our own runs."""

_LATE = ("openinference.", "opentelemetry.instrumentation.")
_TRACELOOP = {"agno", "anthropic", "bedrock", "cohere", "crewai", "groq", "haystack", "langchain", "llamaindex", "mcp"}
_TRACELOOP |= {"mistralai", "ollama", "openai", "openai_agents", "together", "transformers", "vertexai", "watsonx"}
_LATE_FAMILY = "instrumentations of agent frameworks"

# By a processor of ours: of several on one provider, the first follows a span.
_followed: weakref.WeakSet[Span] = weakref.WeakSet()

_held: ContextVar[Node | None] = ContextVar("mission_tracer_otel_held", default=None)
"""The span that made its run or step the current one of this context; it may be over."""


class MissionSpanProcessor(SpanProcessor):
    """Record the spans of an agent as a run of a mission; inside a run that is under way, as a part of that run.

    Add it to a tracer provider, or by `instrument("otel")`. It never raises into the program, keeps nothing of a span
    after its end, and leaves exporting to others.

    Args:
        mission: The mission of the runs; `None`: the name of the agent, or of the outermost span.
    """

    def __init__(self, *, mission: str | None = None) -> None:
        self._mission = mission
        self._spans = Spans()
        self.enabled = True
        heed(self)

    def trouble(self, error: Exception, where: str) -> None:
        """Take an error of ours, as the recorder does."""
        recorder.default().trouble(error, where)

    def claims(self, rank: Rank) -> bool:
        """Say whether the call that begins is that of the current span, which may have begun in another context.

        It is the first one inside: what comes after it, while the answer is streamed, is the program's.
        """
        node = self._current()
        return node is not None and node.kind is Kind.MODEL and not node.silent and node.claim(rank)

    def _current(self) -> Node | None:
        context = trace.get_current_span().get_span_context()
        return self._spans.get((context.trace_id, context.span_id))

    # ---- OpenTelemetry's hooks ----

    @guarded()
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Begin a run, a step, a tool call or a call of a model, if the span says already that it is one."""
        origin = _origin(span)
        if not (self.enabled and recorder.default().enabled) or _context.quiet.get() or origin == OURS:
            return
        if span in _followed:
            return
        _followed.add(span)
        context, above = span.get_span_context(), span.parent
        assert context is not None
        parent = None if above is None else self._spans.get((above.trace_id, above.span_id))
        node = Node(name_for(span.name, "span"), parent, self._here() if above is None else self._spans.here())
        node.family = _family(origin)
        node.silent = _is_told_elsewhere(node, origin)
        with _context.silence():
            self._spans.add((context.trace_id, context.span_id), node, span)
            if not node.silent:
                self._start(node, span)

    @guarded()
    def on_end(self, span: ReadableSpan) -> None:
        """End what the span began, or record it now if only its end says what it was."""
        context = span.get_span_context()
        node = None if context is None else self._spans.take((context.trace_id, context.span_id))
        if node is not None and not node.ended:
            self._spans.release(node)  # first: whatever fails of the rest, the context is as it was
            with _context.silence():
                self._end(node, span)

    @guarded()
    def shutdown(self) -> None:
        """End what is still under way."""
        with _context.silence():
            self._spans.close()

    @guarded(otherwise=True)
    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Deliver what was recorded so far; say whether it is delivered, or cannot be now.

        Args:
            timeout_millis: The longest wait, in milliseconds.
        """
        recording = recorder.default()
        # A False would keep the provider from flushing the processors after this one.
        return not recording.sends or recording.flush(timeout_millis / 1000, stall=recording.settings.flush_stall)

    # ---- what they do, in silence: what comes from spans is not shown as spans once more ----

    def _start(self, node: Node, span: Span) -> None:
        attributes = span.attributes or {}
        kind = _genai.kind_of(attributes)
        if kind is not None:
            self._begin(node, kind, attributes)
            self._hold(node)
        elif span.kind in {SpanKind.SERVER, SpanKind.CONSUMER, SpanKind.PRODUCER}:
            node.kind = Kind.OTHER
        elif node.parent is not None and node.parent.family == _LATE_FAMILY:
            # Such spans say what they are when they end. One that has a part is an agent or a chain.
            self._place_ancestors(node)

    def _end(self, node: Node, span: ReadableSpan) -> None:
        attributes = span.attributes or {}
        if node.kind is None and not node.silent:
            kind = _genai.kind_of(attributes) or (Kind.CHAIN if node.scope is not None else None)
            if kind is not None:
                self._begin(node, kind, attributes, is_over=True)
        if node.kind in {None, Kind.OTHER} or node.silent:
            node.dissolve()
        else:
            self._finish(node, attributes, _error_of(span, node))

    def _here(self) -> Scope | None:
        """Return the run or step that the first span of a trace belongs to.

        A span's run or step is current from the span's start, also when nobody makes the span itself current. Then a
        trace that begins there is no part of it, but stands beside it.
        """
        here, held, node = self._spans.here(), _held.get(), self._current()
        while node is not None and node is not held:
            node = node.parent
        return here.outer if here is not None and held is not None and held.scope is here and node is None else here

    def _begin(self, node: Node, kind: Kind, attributes: _genai.Attributes, *, is_over: bool = False) -> None:
        """Record the beginning of a span that is known now."""
        node.kind = kind
        node.name = _genai.name_of(kind, attributes, node.name)
        if _is_told_outside(node):
            node.silent = True
            return
        self._place_ancestors(node)
        if kind in {Kind.AGENT, Kind.CHAIN}:
            # A chain alone that is over already held nothing together.
            if node.scope is None and not (is_over and kind is Kind.CHAIN and node.place is None):
                self._enter(node, attributes)
                node.is_late = is_over
        elif kind is Kind.TOOL:
            place = node.scope or node.place
            if place is not None:
                arguments, call_id = _genai.arguments_in(attributes), _genai.call_id_of(attributes)
                node.call_tool(place, arguments, call_id=call_id)
        elif kind is Kind.MODEL:
            node.about = _genai.about_model(attributes)

    def _enter(self, node: Node, attributes: _genai.Attributes) -> None:
        place = node.place
        if place is not None:
            node.enter_step(place)
            return
        source = node.source() if node.source is not None else None
        context = source.get_span_context() if source is not None else None
        about = {"trace_id": format(context.trace_id, "032x")} if context is not None else {}
        node.open_run(
            self._mission or node.name,
            values=_genai.input_of(attributes),
            metadata={"otel": {**about, **_genai.about_run(attributes)}},
        )

    def _hold(self, node: Node) -> None:
        """Make a span that said at once what it is the current run or step, or the owner of a model's call."""
        if node.scope is not None:
            node.hold(_context.scope, node.scope)
            node.hold(_held, node)
        elif node.kind is Kind.MODEL:
            node.hold(_context.owner, Rank.SPAN)
        elif node.kind is Kind.TOOL:
            node.hold(_context.call, node.known)

    def _place_ancestors(self, node: Node) -> None:
        """Settle, the outermost first, what the spans are that a span is a part of.

        Those that do not say so yet stand in as chains, if they are made by the same library or by one that makes
        nothing but spans of agents: so what is inside them nests right, and is recorded when it happens.
        """
        ancestors: list[Node] = []
        above = node.parent
        while above is not None:
            ancestors.append(above)
            above = above.parent
        for found in reversed(ancestors):
            if found.kind is None and found.scope is None and not (found.silent or found.ended):
                with self._spans.lock:
                    self._settle(found, node.family)

    def _settle(self, node: Node, family: str) -> None:
        source = node.source() if node.source is not None else None
        if source is None or node.kind is not None or node.scope is not None:
            return
        attributes = source.attributes or {}
        kind = _genai.kind_of(attributes)
        if kind is not None:
            self._begin(node, kind, attributes)
        elif node.family in {family, _LATE_FAMILY} and source.kind is SpanKind.INTERNAL:
            self._enter(node, attributes)
        node.is_late = node.scope is not None

    def _finish(self, node: Node, attributes: _genai.Attributes, error: BaseException | None) -> None:
        result = None
        if node.kind is Kind.TOOL:
            result = _genai.tool_result_of(attributes)
        elif node.kind is Kind.MODEL:
            answer = _genai.answer_of(attributes)
            node.about = _genai.about_model(attributes)
            # One that holds another call of a model is that very call, seen from further out.
            if node.answer is None and (error is None or is_cancellation(error)):
                record_answer(node, answer, cancelled=error is not None)
        elif node.kind is Kind.EVENT:
            place = node.place
            if place is not None:
                run, step = split(place)
                told = _genai.event_of(attributes, full=run.recorder.capture.mode == "full")
                run.log_event(f"{told['kind']}: {node.name}", payload=told, step=step)
        elif node.is_run:
            result = _genai.result_of(attributes, node.answer)
        self._spans.end(node, result, error)


def _origin(span: ReadableSpan) -> str:
    scope = span.instrumentation_scope
    return scope.name if scope is not None else ""


def _family(origin: str) -> str:
    is_late = origin.startswith(_LATE[0]) or (
        origin.startswith(_LATE[1]) and origin.removeprefix(_LATE[1]).partition(".")[0] in _TRACELOOP
    )
    return _LATE_FAMILY if is_late else origin


def _is_told_elsewhere(node: Node, origin: str) -> bool:
    """Say whether another integration records what a span tells: a framework's own, or that of a client inside."""
    parent = node.parent
    inherits = parent is not None and parent.silent and parent.family == node.family
    return inherits or not may_record(Rank.CLIENT) or is_covered(origin)


def _is_told_outside(node: Node) -> bool:
    """Say whether a span it is a part of tells the same: a client's span inside a framework's, for one call."""
    above = node.parent
    while above is not None and above.kind in {None, Kind.OTHER, Kind.EVENT}:
        above = above.parent
    if above is None or above.kind is not node.kind:
        return False
    return node.kind is Kind.MODEL or (node.kind is Kind.TOOL and above.name == node.name)


def _error_of(span: ReadableSpan, node: Node) -> BaseException | None:
    """Return what ended a span: the exception itself where it still flies, else what the span noted of it."""
    raised = node.raised()
    failed = span.status.status_code is StatusCode.ERROR
    if raised is not None and (failed or is_cancellation(raised)):
        return raised
    if not failed:
        return None
    for event in reversed(span.events):
        told: Any = event.attributes or {}
        if event.name == "exception":
            kind, message = told.get("exception.type", "Error"), told.get("exception.message", "")
            return node.failure(str(kind), str(message), told.get("exception.stacktrace"))
    kind = (span.attributes or {}).get("error.type", "Error")
    return node.failure(str(kind), span.status.description or "the span ended with an error")


def install(
    _name: str,
    *,
    mission: str | None = None,
    provider: Any = None,
) -> Callable[[], None]:
    """Add a processor to the tracer provider; return what takes it out again.

    Args:
        mission: As for `MissionSpanProcessor`.
        provider: The tracer provider; `None`: the global one, as soon as one is set by `trace.set_tracer_provider`.
    """
    processor = MissionSpanProcessor(mission=mission)
    detach = attach(processor, provider)

    def undo() -> None:
        detach()
        processor.enabled = False
        processor.shutdown()

    return undo


def attach(processor: SpanProcessor, provider: Any = None) -> Callable[[], None]:
    """Add a processor to a tracer provider; return what takes it out again.

    Args:
        processor: The processor.
        provider: It, or what its spans go to; `None`: the global one, now or as soon as there is one.
    """
    provider = provider or trace.get_tracer_provider()
    if not hasattr(provider, "add_span_processor"):
        return _attach_later(processor)
    provider.add_span_processor(processor)

    def detach() -> None:
        # The SDK can only add processors.
        several = getattr(provider, "_active_span_processor", provider)
        present = getattr(several, "_span_processors", None)
        if isinstance(present, tuple):
            several._span_processors = tuple(other for other in present if other is not processor)  # noqa: SLF001

    return detach


def _attach_later(processor: SpanProcessor) -> Callable[[], None]:
    patches = Patches()
    detach: list[Callable[[], None]] = []

    def set_tracer_provider(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:  # noqa: ARG001 - as wrapt calls it
        result = wrapped(*args, **kwargs)
        provider = trace.get_tracer_provider()
        if not detach and hasattr(provider, "add_span_processor"):
            detach.append(attach(processor, provider))
        return result

    # What `set_tracer_provider` calls: the program may have imported that by name.
    patches.wrap(trace, "_set_tracer_provider", set_tracer_provider)

    def undo() -> None:
        patches.undo()
        for each in detach:
            each()

    return undo
