"""Read what OpenTelemetry spans say of agents, tools and models. Pure.

Four vocabularies are known: the GenAI semantic conventions, old and new; OpenInference; and Traceloop's. The names are
kept here as text: the conventions' own package calls its constants deprecated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from mission_tracer.integrations._spans import Answer, Kind, name_for, usage_of

Attributes: TypeAlias = Mapping[str, Any]

_KINDS: dict[str, dict[str, Kind]] = {
    "gen_ai.operation.name": {
        "invoke_agent": Kind.AGENT,
        "invoke_workflow": Kind.AGENT,
        "create_agent": Kind.EVENT,
        "execute_tool": Kind.TOOL,
        "retrieval": Kind.TOOL,
        "chat": Kind.MODEL,
        "generate_content": Kind.MODEL,
        "text_completion": Kind.MODEL,
        "embeddings": Kind.EVENT,
    },
    "openinference.span.kind": {
        "AGENT": Kind.AGENT,
        "CHAIN": Kind.CHAIN,
        "TOOL": Kind.TOOL,
        "RETRIEVER": Kind.TOOL,
        "RERANKER": Kind.TOOL,
        "LLM": Kind.MODEL,
        "EMBEDDING": Kind.EVENT,
        "GUARDRAIL": Kind.EVENT,
        "EVALUATOR": Kind.EVENT,
        "DECISION": Kind.EVENT,
        "PROMPT": Kind.OTHER,
    },
    "traceloop.span.kind": {
        "workflow": Kind.AGENT,
        "agent": Kind.AGENT,
        "task": Kind.CHAIN,
        "tool": Kind.TOOL,
    },
    "llm.request.type": {"chat": Kind.MODEL, "completion": Kind.MODEL},
}
"""Attribute -> its value -> what a span that has it is to us."""

_OPERATED = {"gen_ai.operation.name", "gen_ai.provider.name"}
_AGENT_NAMES = ("gen_ai.agent.name", "gen_ai.workflow.name", "agent.name", "traceloop.entity.name")
_TOOL_NAMES = ("gen_ai.tool.name", "tool.name", "tool_call.function.name", "traceloop.entity.name")
_CALL_IDS = ("gen_ai.tool.call.id", "tool_call.id")
_ARGUMENTS = ("gen_ai.tool.call.arguments", "tool_call.function.arguments", "input.value", "traceloop.entity.input")
_RESULTS = ("gen_ai.tool.call.result", "output.value", "traceloop.entity.output")
_MODELS = ("gen_ai.response.model", "gen_ai.request.model", "llm.model_name", "embedding.model_name")
_PROVIDERS = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")
_SENT = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt")
_RECEIVED = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion")
_TOTAL = ("llm.token_count.total", "llm.usage.total_tokens", "gen_ai.usage.total_tokens")
_CONVERSATIONS = ("gen_ai.conversation.id", "session.id")
_VERB = re.compile(r"^(invoke_agent|invoke_workflow|execute_tool|agent|tool) +(?=\S)")
_OUTPUT = re.compile(r"(?:llm\.output_messages|gen_ai\.completion)\.(\d+)\.(?:message\.)?(.+)")
_PART = re.compile(r"contents\.(\d+)\.message_content\.text")
_CALL = re.compile(r"tool_calls\.(\d+)\.(?:tool_call\.)?(?:function\.)?(id|name|arguments)")


def kind_of(attributes: Attributes) -> Kind | None:
    """Say what a span is to us; `None`: it does not say, or not yet."""
    for name, kinds in _KINDS.items():
        value = attributes.get(name)
        if isinstance(value, str) and value in kinds:
            return kinds[value]
    # Who names the provider as the newer conventions do names the operation too, where there is one.
    if "gen_ai.request.model" in attributes and not _OPERATED & attributes.keys():
        return Kind.MODEL
    return None


def name_of(kind: Kind | None, attributes: Attributes, span_name: str) -> str:
    """Name the agent, the tool or whatever else a span is about."""
    said = None
    if kind is Kind.AGENT:
        said = _first(attributes, _AGENT_NAMES)
    elif kind is Kind.TOOL:
        said = _first(attributes, _TOOL_NAMES)
    return name_for(said or _VERB.sub("", span_name), kind.value if kind is not None else "span")


def about_run(attributes: Attributes) -> dict[str, Any]:
    """Tell what a run's metadata says of its span."""
    conversation = _first(attributes, _CONVERSATIONS)
    return {"conversation_id": conversation} if conversation else {}


def input_of(attributes: Attributes) -> dict[str, Any]:
    """Read what an agent was given, if its span says so when it begins."""
    messages = read(attributes.get("gen_ai.input.messages"))
    if isinstance(messages, list):
        return {"messages": messages}
    return as_mapping(read(_first(attributes, ("input.value", "traceloop.entity.input"))))


def result_of(attributes: Attributes, answer: str | None) -> Any:
    """Read what an agent came to: its own final word, else the last answer of a model inside it."""
    final = attributes.get("final_result")
    if final is not None:
        return read(final)
    said = "\n".join(_texts(read(attributes.get("gen_ai.output.messages"))))
    if said:
        return said
    output = _first(attributes, ("output.value", "traceloop.entity.output"))
    is_text = isinstance(output, str) and read(output) is output
    return output if is_text or answer is None else answer


def call_id_of(attributes: Attributes) -> str | None:
    """Return the framework's id of a tool call."""
    found = _first(attributes, _CALL_IDS)
    return None if found is None else str(found)


def arguments_in(attributes: Attributes) -> dict[str, Any]:
    """Read what a tool is called with."""
    return as_mapping(read(_first(attributes, (*_ARGUMENTS, "tool.parameters"))))


def tool_result_of(attributes: Attributes) -> Any:
    """Read what a tool gave."""
    result = read(_first(attributes, _RESULTS))
    data = result.get("data") if isinstance(result, dict) and result.get("type") == "tool" else None
    # LangChain hands its tools' results on in an envelope.
    return data["content"] if isinstance(data, dict) and "content" in data else result


def answer_of(attributes: Attributes) -> Answer:
    """Read what a model answered."""
    texts, calls = _structured(attributes)
    if not texts and not calls:
        texts, calls = _flattened(attributes)
    output = attributes.get("output.value")
    if not texts and not calls and isinstance(output, str) and read(output) is output:
        texts = [output]
    return Answer(
        text="\n".join(texts),
        tool_calls=calls,
        model=_first(attributes, _MODELS),
        provider=_first(attributes, _PROVIDERS),
        usage=usage_of(_first(attributes, _SENT), _first(attributes, _RECEIVED), _first(attributes, _TOTAL)),
    )


def about_model(attributes: Attributes) -> dict[str, Any]:
    """Name the model that is asked, if the span says so yet."""
    model = _first(attributes, _MODELS)
    return {"model": model} if model else {}


def event_of(attributes: Attributes, *, full: bool) -> dict[str, Any]:
    """Read what a guardrail, an evaluation or an embedding tells; unless `full`, not what it was given and gave."""
    kind = attributes.get("openinference.span.kind") or attributes.get("gen_ai.operation.name")
    told = {
        "kind": str(kind).lower(),
        "model": _first(attributes, _MODELS),
        "input": read(attributes.get("input.value")) if full else None,
        "output": read(attributes.get("output.value")) if full else None,
    }
    return {name: value for name, value in told.items() if value is not None}


def read(value: Any) -> Any:
    """Decode a text that is JSON; return everything else as it is."""
    if not isinstance(value, str) or value.strip()[:1] not in {"{", "[", '"'}:
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def as_mapping(value: Any) -> dict[str, Any]:
    """Return named values; what has no names is called `input`."""
    if isinstance(value, Mapping):
        return {str(name): item for name, item in value.items()}
    return {} if value is None else {"input": value}


def _first(attributes: Attributes, names: tuple[str, ...]) -> Any:
    for name in names:
        value = attributes.get(name)
        if value is not None and value != "":
            return value
    return None


def _structured(attributes: Attributes) -> tuple[list[str], list[dict[str, Any]]]:
    """Read `gen_ai.output.messages`: a list of messages in parts."""
    messages = read(attributes.get("gen_ai.output.messages"))
    calls = [
        _tool_call(part.get("id"), part.get("name"), part.get("arguments"))
        for part in _parts(messages)
        if part.get("type") == "tool_call"
    ]
    return list(_texts(messages)), calls


def _parts(messages: Any) -> Iterator[dict[str, Any]]:
    for message in messages if isinstance(messages, list) else ():
        parts = message.get("parts") if isinstance(message, dict) else None
        yield from (part for part in parts or () if isinstance(part, dict))


def _texts(messages: Any) -> Iterator[str]:
    for part in _parts(messages):
        content = part.get("content")
        if part.get("type") == "text" and isinstance(content, str):
            yield content


def _flattened(attributes: Attributes) -> tuple[list[str], list[dict[str, Any]]]:
    """Read messages whose every field is an attribute of its own."""
    texts: dict[tuple[int, int], str] = {}
    calls: dict[tuple[int, int], dict[str, Any]] = {}
    for key, value in attributes.items():
        found = _OUTPUT.fullmatch(key)
        if found is None:
            continue
        number, field = int(found[1]), found[2]
        if field == "content" and isinstance(value, str):
            texts[number, -1] = value
        elif part := _PART.fullmatch(field):
            texts[number, int(part[1])] = str(value)
        elif call := _CALL.fullmatch(field):
            calls.setdefault((number, int(call[1])), {})[call[2]] = value
    listed = [_tool_call(c.get("id"), c.get("name"), c.get("arguments")) for _, c in sorted(calls.items())]
    return [text for _, text in sorted(texts.items()) if text], listed


def _tool_call(call_id: Any, name: Any, arguments: Any) -> dict[str, Any]:
    return {"id": call_id, "name": name, "arguments": as_mapping(read(arguments))}
