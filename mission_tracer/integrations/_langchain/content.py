"""Read what LangChain's objects say, and make it plain: messages, documents, answers of models, results. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from langchain_core.documents import Document
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from mission_tracer.integrations._spans import Answer, name_for, usage_of

_DEPTH = 4  # how deep messages are looked for
_ITEMS = 1000  # a longer collection is none of messages


def name_of(name: object, serialized: object, kind: str) -> str:
    """Name a chain, model or tool: as it is called, else by its class."""
    about = serialized if isinstance(serialized, Mapping) else {}
    path = about.get("id")
    by_class = path[-1] if isinstance(path, list) and path else None
    return name_for(name or about.get("name") or by_class, kind)


def plain(value: Any, depth: int = _DEPTH) -> Any:
    """Write messages and documents as small mappings, wherever they stand in a value; leave the rest as it is."""
    if isinstance(value, BaseMessage):
        return _message(value)
    if isinstance(value, Document):
        return {"page_content": value.page_content, "metadata": value.metadata}
    if depth and isinstance(value, (dict, list, tuple)) and len(value) <= _ITEMS:
        if isinstance(value, dict):
            return {name: plain(item, depth - 1) for name, item in value.items()}
        return [plain(item, depth - 1) for item in value]
    return value


def _message(message: BaseMessage) -> dict[str, Any]:
    said: dict[str, Any] = {"role": message.type, "content": message.content}
    if isinstance(message, AIMessage) and message.tool_calls:
        said["tool_calls"] = tool_calls(message)
    if isinstance(message, ToolMessage):
        said |= {"name": message.name, "tool_call_id": message.tool_call_id}
        if message.status == "error":
            said["status"] = "error"
    return said


def tool_calls(message: Any) -> list[dict[str, Any]]:
    """List the calls that a model asks for."""
    calls = getattr(message, "tool_calls", None) or ()
    return [{"id": call.get("id"), "name": call.get("name"), "arguments": call.get("args")} for call in calls]


def text_of(content: Any) -> str:
    """Return the words of a message's content, which is a text or a list of blocks."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [block if isinstance(block, str) else _block_text(block) for block in content]
    return "\n".join(part for part in parts if part)


def _block_text(block: Any) -> str:
    text = block.get("text") if isinstance(block, Mapping) and block.get("type", "text") == "text" else None
    return text if isinstance(text, str) else ""


def inputs_of(inputs: Any) -> dict[str, Any]:
    """Name what a chain was given."""
    shown = plain(inputs)
    if isinstance(shown, Mapping):
        return {str(name): value for name, value in shown.items()}
    return {} if shown is None else {"input": shown}


def result_of(outputs: Any) -> Any:
    """Read what a chain came to; of a conversation, its last words first."""
    if isinstance(outputs, BaseMessage):
        return text_of(outputs.content) or plain(outputs)
    messages = outputs.get("messages") if isinstance(outputs, Mapping) else None
    last = messages[-1] if isinstance(messages, list) and messages else None
    text = text_of(last.content) if isinstance(last, AIMessage) else ""
    shown = plain(outputs)
    return {"output": text, **shown} if text and isinstance(shown, dict) else shown


def tool_result(output: Any) -> tuple[Any, bool]:
    """Read what a tool gave, and whether that is the report of an error."""
    if isinstance(output, ToolMessage):
        return plain(output.content), output.status == "error"
    return plain(output), False


def about_model(name: str, metadata: Mapping[str, Any], params: object) -> dict[str, Any]:
    """Tell which model of which provider is called."""
    given = params if isinstance(params, Mapping) else {}
    model = metadata.get("ls_model_name") or given.get("model") or given.get("model_name") or name
    return {"model": str(model), "provider": metadata.get("ls_provider")}


def answer_of(result: Any, about: Mapping[str, Any]) -> Answer:
    """Read what a model answered to one prompt."""
    generation = _first(_first(getattr(result, "generations", None)))
    message = getattr(generation, "message", None)
    told = getattr(message, "response_metadata", None) or {}
    output = getattr(result, "llm_output", None) or {}
    text = text_of(message.content) if message is not None else getattr(generation, "text", "")
    return Answer(
        text=text,
        tool_calls=tool_calls(message),
        model=told.get("model_name") or output.get("model_name") or about.get("model"),
        provider=about.get("provider"),
        usage=_usage(getattr(message, "usage_metadata", None) or output.get("token_usage") or {}),
    )


def _usage(counts: Mapping[str, Any]) -> dict[str, int]:
    return usage_of(
        counts.get("input_tokens", counts.get("prompt_tokens")),
        counts.get("output_tokens", counts.get("completion_tokens")),
        counts.get("total_tokens"),
    )


def _first(items: Iterable[Any] | None) -> Any:
    return next(iter(items or ()), None)
