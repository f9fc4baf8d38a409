"""Record the OpenAI Agents SDK: a trace is a run, an agent a step; tools, answers, handoffs and guardrails are events.

`MissionTracingProcessor` stands beside the user's own trace processors.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from mission_tracer import _context, recorder
from mission_tracer._base.endings import is_cancellation
from mission_tracer._base.guard import guarded
from mission_tracer._base.ownership import Rank
from mission_tracer.integrations._coverage import cover
from mission_tracer.integrations._patches import Patches, require
from mission_tracer.integrations._spans import (
    Answer,
    Kind,
    Node,
    Spans,
    name_for,
    record_answer,
    split,
    usage_of,
)

require("agents", "0.2", distribution="openai-agents")

from agents.tracing import (  # noqa: E402 - the version is checked first
    Span,
    Trace,
    TracingProcessor,
    add_trace_processor,
    get_current_trace,
    get_trace_provider,
)

_KINDS = {
    "agent": Kind.AGENT,
    "function": Kind.TOOL,
    "generation": Kind.MODEL,
    "response": Kind.MODEL,
    "custom": Kind.EVENT,
    "guardrail": Kind.EVENT,
    "handoff": Kind.EVENT,
    "mcp_tools": Kind.EVENT,
    "speech": Kind.EVENT,
    "transcription": Kind.EVENT,
}
"""A span's type -> what it is to us; the others, `task`, `turn` and `speech_group`, only hold spans together."""

_INSTRUMENTATIONS = ("openinference.instrumentation.openai_agents", "opentelemetry.instrumentation.openai_agents")

# By a processor of ours: of several, the first follows a trace.
_followed: weakref.WeakSet[Trace] = weakref.WeakSet()


class MissionTracingProcessor(TracingProcessor):
    """Record every trace as a run of a mission; inside a run that is under way, as a part of that run.

    Add it with `agents.add_trace_processor`, or by `instrument("openai-agents")`. It never raises into the program.

    Args:
        mission: The mission of the runs; `None`: the trace's name (`RunConfig.workflow_name`).
    """

    def __init__(self, *, mission: str | None = None) -> None:
        self._mission = mission
        self._spans = Spans()
        self._joined: weakref.WeakSet[Node] = weakref.WeakSet()
        self.enabled = True
        cover(self)

    def trouble(self, error: Exception, where: str) -> None:
        """Take an error of ours, as the recorder does."""
        recorder.default().trouble(error, where)

    def covers(self, origin: str) -> bool:
        """Say whether it records what an OpenTelemetry instrumentation tells: the SDK tells it, or did just now."""
        return origin in _INSTRUMENTATIONS and self.enabled and (_is_among_the_sdks(self) or len(self._spans) > 0)

    # ---- the SDK's hooks ----

    @guarded()
    def on_trace_start(self, trace: Trace) -> None:
        """Begin a run, or a part of the one that is under way."""
        self._begin_trace(trace)

    @guarded()
    def on_trace_end(self, trace: Trace) -> None:
        """End the run."""
        node = self._spans.take(trace.trace_id)
        if node is not None:
            self._spans.release(node)  # first: whatever fails of the rest, the context is as it was
            error = node.raised()
            self._spans.end(node, None if error is not None else node.answer, error)

    @guarded()
    def on_span_start(self, span: Span[Any]) -> None:
        """Begin a step, a tool call or a call of a model."""
        trace = self._spans.get(span.trace_id) or self._join_trace(span.trace_id)
        if trace is None:
            return
        data = span.span_data
        kind = _KINDS.get(data.type, Kind.OTHER)
        parent = self._spans.get(span.parent_id) or trace
        node = Node(name_for(getattr(data, "name", None), kind.value), parent, self._spans.here(), kind)
        self._spans.add(span.span_id, node, span)
        place = node.place
        if place is None:
            return
        if kind is Kind.AGENT:
            node.enter_step(place)
            node.hold(_context.scope, node.scope)
        elif kind is Kind.MODEL:
            node.about = {"model": data.model} if getattr(data, "model", None) else {}
            node.hold(_context.owner, Rank.FRAMEWORK)
        elif kind is Kind.TOOL:
            node.hold(_context.call, node.known)
            self._begin_call(span, node)

    @guarded()
    def on_span_end(self, span: Span[Any]) -> None:
        """End what the span's start began, or log what it tells."""
        node = self._spans.take(span.span_id)
        if node is None or node.ended:
            return
        self._spans.release(node)
        data = span.span_data
        error = _error_of(span, node)
        result = None
        if node.kind is Kind.TOOL:
            self._call(span, node)
            result = data.output
        elif node.kind is Kind.MODEL:
            answer = _answer_of(data)
            node.about = {"model": answer.model} if answer.model else {}
            agent = _agent_of(node)
            if agent is not None:
                agent.announced = list(answer.tool_calls)
            if error is None or is_cancellation(error):
                record_answer(node, answer, cancelled=error is not None)
        elif node.kind is Kind.EVENT:
            _log(node, span)
            error = None
        if node.kind is Kind.OTHER:
            node.dissolve()
        else:
            self._spans.end(node, result, error)
        self._leave_trace(span.trace_id, error)

    @guarded()
    def shutdown(self) -> None:
        """End what is still under way."""
        self._spans.close()

    @guarded()
    def force_flush(self) -> None:
        """Deliver what was recorded so far."""
        recorder.default().flush()

    # ---- what they do ----

    def _begin_trace(self, trace: Trace | None) -> Node | None:
        recording = recorder.default()
        if trace is None or not (self.enabled and recording.enabled) or _context.quiet.get() or trace in _followed:
            return None
        _followed.add(trace)
        here = self._spans.here()
        node = Node(trace.name, None, here)
        self._spans.add(trace.trace_id, node, trace)
        if here is None:
            about = {"trace_id": trace.trace_id, "group_id": getattr(trace, "group_id", None)}
            about["metadata"] = getattr(trace, "metadata", None)
            told = {key: value for key, value in about.items() if value}
            mission = self._mission or name_for(trace.name, "Agent workflow")
            node.open_run(mission, metadata={"openai_agents": told})
            node.hold(_context.scope, node.scope)
        return node

    def _join_trace(self, trace_id: str) -> Node | None:
        """Begin a trace whose start was not told: it goes on after a pause, or began before the processor was there."""
        trace = get_current_trace()
        if trace is None or trace.trace_id != trace_id or trace in _followed:
            return None
        node = self._begin_trace(trace)
        if node is not None:
            self._joined.add(node)
        return node

    def _leave_trace(self, trace_id: str, error: BaseException | None) -> None:
        """End a trace that was joined with its last span: its end may not be told either."""
        node = self._spans.get(trace_id)
        if node is not None and node in self._joined and not node.children:
            self._spans.take(trace_id)
            self._spans.end(node, None if error is not None else node.answer, error)

    def _begin_call(self, span: Span[Any], node: Node) -> None:
        """Log a tool call, as soon as its arguments are known.

        The SDK sets them right after the span's start and before it runs the tool, which it does in a task: what is
        scheduled now runs in between.
        """
        if span.span_data.input is None:
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop().call_soon(self._call, span, node)
                return
        self._call(span, node)

    @guarded()
    def _call(self, span: Span[Any], node: Node) -> None:
        place = node.place
        if place is not None and node.call is None:
            arguments = _arguments_of(span.span_data.input)
            node.call_tool(place, arguments, call_id=_announced(node, arguments))


def _agent_of(node: Node) -> Node | None:
    above = node.parent
    while above is not None and above.kind is not Kind.AGENT:
        above = above.parent
    return above


def _announced(node: Node, arguments: Mapping[str, Any]) -> str | None:
    """Return the model's id of a call, which the SDK does not tell: that of the call it asked for in these words."""
    agent = _agent_of(node)
    if agent is None:
        return None
    asked = {"name": node.name, "arguments": arguments}
    found = next((call for call in agent.announced if {name: call[name] for name in asked} == asked), None)
    if found is None:
        return None
    agent.announced.remove(found)
    return str(found["id"]) if found["id"] else None


def _arguments_of(given: Any) -> Mapping[str, Any]:
    if given is None:
        return {}
    try:
        read = json.loads(given) if isinstance(given, str) else given
    except ValueError:
        read = given
    return read if isinstance(read, Mapping) else {"input": read}


def _error_of(span: Span[Any], node: Node) -> BaseException | None:
    """Return what ended a span: the exception itself where it still flies, else what the SDK noted."""
    raised = node.raised()
    if raised is not None:
        return raised
    noted = span.error
    if not noted:
        return None
    data = noted.get("data") or {}
    otherwise = "ToolError" if node.kind is Kind.TOOL else "AgentError"
    kind = str(data.get("name") or otherwise)
    said = [noted.get("message"), data.get("message") or data.get("error")]
    return node.failure(kind, ": ".join(str(part) for part in said if part))


def _answer_of(data: Any) -> Answer:
    if data.type == "response":
        response = data.response
        usage = _plain(getattr(response, "usage", None)) or data.usage
        items = getattr(response, "output", None)
        model, provider = getattr(response, "model", None), "openai"
    else:
        usage, items, model, provider = data.usage, data.output, data.model, None
    texts: list[str] = []
    calls: list[dict[str, Any]] = []
    for item in items or ():
        _read_item(_plain(item), texts, calls)
    counts = usage if isinstance(usage, Mapping) else {}
    return Answer(
        text="\n".join(texts),
        tool_calls=calls,
        model=str(model) if model else None,
        provider=provider,
        usage=usage_of(counts.get("input_tokens"), counts.get("output_tokens"), counts.get("total_tokens")),
    )


def _read_item(item: Mapping[str, Any], texts: list[str], calls: list[dict[str, Any]]) -> None:
    """Read one item of an answer: a chat message, an item of a response, or a whole response."""
    content = item.get("content")
    if isinstance(content, str):
        texts.append(content)
    for part in content if isinstance(content, list) else ():
        text = _plain(part).get("text") or _plain(part).get("refusal")
        if item.get("type") != "reasoning" and isinstance(text, str):
            texts.append(text)
    for call in item.get("tool_calls") or ():
        named = _plain(_plain(call).get("function"))
        calls.append(_tool_call(_plain(call).get("id"), named.get("name"), named.get("arguments")))
    kind = str(item.get("type") or "")
    if kind.endswith("_call"):
        # The model's own tools, such as `web_search_call`, have no name beside their type.
        name = item.get("name") or kind.removesuffix("_call")
        calls.append(_tool_call(item.get("call_id") or item.get("id"), name, item.get("arguments")))
    output = item.get("output")
    if "type" not in item and isinstance(output, list):
        for part in output:
            _read_item(_plain(part), texts, calls)


def _tool_call(call_id: Any, name: Any, arguments: Any) -> dict[str, Any]:
    return {"id": call_id, "name": name, "arguments": _arguments_of(arguments)}


def _plain(value: Any) -> Mapping[str, Any]:
    """Return an object of the SDK, or of the openai client, as a mapping."""
    if isinstance(value, Mapping):
        return {str(name): item for name, item in value.items()}
    dump = getattr(value, "model_dump", None)
    dumped = dump() if callable(dump) else None
    return dumped if isinstance(dumped, Mapping) else {}


def _log(node: Node, span: Span[Any]) -> None:
    """Log what a span tells that is neither a tool call nor an answer."""
    place = node.place
    if place is None:
        return
    run, step = split(place)
    summary, payload = _told(span.span_data, full=run.recorder.capture.mode == "full")
    if span.error:
        payload["error"] = span.error
    told = {key: value for key, value in payload.items() if value is not None}
    run.log_event(summary, payload=told, step=step)


def _told(data: Any, *, full: bool) -> tuple[str, dict[str, Any]]:
    if data.type == "handoff":
        return f"Handoff from {data.from_agent} to {data.to_agent}", {"from": data.from_agent, "to": data.to_agent}
    if data.type == "guardrail":
        state = "was triggered" if data.triggered else "passed"
        return f"Guardrail {data.name} {state}", {"guardrail": data.name, "triggered": data.triggered}
    if data.type == "mcp_tools":
        return f"{data.server} offers {len(data.result or ())} tools", {"server": data.server, "tools": data.result}
    if data.type == "transcription":
        # The input is the sound itself.
        return _quoted("Heard", data.model, data.output if full else None)
    if data.type == "speech":
        return _quoted("Said", data.model, data.input if full else None)
    return str(data.name), {"name": data.name, "data": data.data if full else None}


def _quoted(what: str, model: Any, text: Any) -> tuple[str, dict[str, Any]]:
    return what if text is None else f"{what}: {text}", {"model": model, "text": text}


def install(_name: str, *, mission: str | None = None) -> Callable[[], None]:
    """Add a processor to the SDK's own ones, and to those that take their place; return what takes it out again.

    Args:
        mission: As for `MissionTracingProcessor`.
    """
    processor = MissionTracingProcessor(mission=mission)
    add_trace_processor(processor)
    patches = Patches()

    def set_processors(wrapped: Any, _provider: Any, args: Any, kwargs: Any) -> None:
        wrapped(*args, **kwargs)
        if not _is_among_the_sdks(processor):
            add_trace_processor(processor)

    patches.wrap(get_trace_provider(), "set_processors", set_processors)

    def undo() -> None:
        patches.undo()
        processor.enabled = False
        processor.shutdown()
        # The SDK can only replace its processors, and does not say which it has.
        if _is_among_the_sdks(processor):
            several: Any = _the_sdks()
            several.set_processors([other for other in several._processors if other is not processor])  # noqa: SLF001

    return undo


def _the_sdks() -> Any:
    return getattr(get_trace_provider(), "_multi_processor", None)


def _is_among_the_sdks(processor: TracingProcessor) -> bool:
    # The SDK does not say which processors it has.
    return processor in getattr(_the_sdks(), "_processors", ())
