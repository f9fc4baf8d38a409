"""What the attributes of spans say, in each of the vocabularies. Pure."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mission_tracer.integrations import _genai
from mission_tracer.integrations._span_events import Answer
from mission_tracer.integrations._spans import Kind

CALL = {"id": "c1", "name": "add", "arguments": {"a": 1}}


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({"gen_ai.operation.name": "invoke_agent"}, Kind.AGENT),
        ({"gen_ai.operation.name": "generate_content"}, Kind.MODEL),
        ({"openinference.span.kind": "RERANKER"}, Kind.TOOL),
        ({"traceloop.span.kind": "task"}, Kind.CHAIN),
        ({"llm.request.type": "chat"}, Kind.MODEL),
        ({"gen_ai.request.model": "gpt-x"}, Kind.MODEL),
        ({"gen_ai.request.model": "gpt-x", "gen_ai.provider.name": "anthropic"}, None),
        ({"gen_ai.request.model": "gpt-x", "gen_ai.operation.name": "of tomorrow"}, None),
        ({"openinference.span.kind": 3, "http.method": "GET"}, None),
        ({}, None),
    ],
)
def test_kind(attributes: dict[str, Any], kind: Kind | None) -> None:
    """A span's kind is what any of the vocabularies says, and nothing when none does."""
    assert _genai.kind_of(attributes) is kind


@pytest.mark.parametrize(
    ("kind", "attributes", "span_name", "name"),
    [
        (Kind.AGENT, {"gen_ai.agent.name": "A"}, "invoke_agent A", "A"),
        (Kind.AGENT, {}, "invoke_agent A", "A"),
        (Kind.AGENT, {}, "invoke_agent", "invoke_agent"),
        (Kind.TOOL, {"tool.name": "add"}, "x", "add"),
        (Kind.CHAIN, {"tool.name": "add"}, "RunnableSequence", "RunnableSequence"),
        (Kind.TOOL, {}, "  ", "tool"),
        (None, {}, "..", "span"),
    ],
)
def test_name(kind: Kind | None, attributes: dict[str, Any], span_name: str, name: str) -> None:
    """A span is named by its attributes, else by its name without the operation, and always by something."""
    assert _genai.name_of(kind, attributes, span_name) == name


@pytest.mark.parametrize(
    "attributes",
    [
        {
            "gen_ai.output.messages": json.dumps(
                [
                    {
                        "role": "assistant",
                        "parts": [
                            {"type": "text", "content": "hello"},
                            {"type": "tool_call", **CALL},
                        ],
                    }
                ]
            ),
            "gen_ai.usage.input_tokens": 7,
            "gen_ai.usage.output_tokens": 3,
            "gen_ai.response.model": "gpt-x",
            "gen_ai.provider.name": "openai",
        },
        {
            "llm.output_messages.0.message.role": "assistant",
            "llm.output_messages.0.message.contents.0.message_content.text": "hello",
            "llm.output_messages.0.message.tool_calls.0.tool_call.id": "c1",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "add",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": '{"a": 1}',
            "llm.token_count.prompt": 7,
            "llm.token_count.completion": 3,
            "llm.token_count.total": 10,
            "llm.model_name": "gpt-x",
            "llm.provider": "openai",
        },
        {
            "gen_ai.completion.0.content": "hello",
            "gen_ai.completion.0.tool_calls.0.id": "c1",
            "gen_ai.completion.0.tool_calls.0.name": "add",
            "gen_ai.completion.0.tool_calls.0.arguments": '{"a": 1}',
            "gen_ai.usage.prompt_tokens": 7,
            "gen_ai.usage.completion_tokens": 3,
            "gen_ai.request.model": "gpt-x",
            "gen_ai.system": "openai",
        },
    ],
    ids=["genai", "openinference", "traceloop"],
)
def test_answer(attributes: dict[str, Any]) -> None:
    """An answer is read the same from every vocabulary."""
    assert _genai.answer_of(attributes) == Answer(
        text="hello",
        tool_calls=[CALL],
        model="gpt-x",
        provider="openai",
        usage={"input_tokens": 7, "output_tokens": 3, "total_tokens": 10},
    )


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.output.messages": "not JSON"},
        {"gen_ai.output.messages": "[3, null, {}]"},
        {"gen_ai.output.messages": '[{"parts": [1, {"type": "text", "content": 3}]}]'},
        {"gen_ai.output.messages": '{"parts": 1}'},
        {"output.value": '{"generations": []}'},
        {"gen_ai.usage.input_tokens": "many"},
    ],
)
def test_an_answer_that_cannot_be_read_is_empty(attributes: dict[str, Any]) -> None:
    """Whatever stands where an answer should, reading it raises nothing."""
    assert _genai.answer_of(attributes) == Answer()


@pytest.mark.parametrize(
    ("attributes", "arguments", "result"),
    [
        (
            {"gen_ai.tool.call.arguments": '{"a": 1}', "gen_ai.tool.call.result": '{"sum": 3}'},
            {"a": 1},
            {"sum": 3},
        ),
        ({"input.value": "text", "output.value": "[1"}, {"input": "text"}, "[1"),
        ({"tool.parameters": '{"a": 1}', "output.value": '{"type": "tool", "data": {"content": "3"}}'}, {"a": 1}, "3"),
        ({"traceloop.entity.input": "[1, 2]", "traceloop.entity.output": "x"}, {"input": [1, 2]}, "x"),
        ({}, {}, None),
    ],
)
def test_tool(attributes: dict[str, Any], arguments: dict[str, Any], result: Any) -> None:
    """A tool's arguments have names; its result is decoded where it is JSON, and taken out of its envelope."""
    assert _genai.arguments_in(attributes) == arguments
    assert _genai.tool_result_of(attributes) == result


@pytest.mark.parametrize(
    ("attributes", "answer", "result"),
    [
        ({"final_result": '{"best": "ABC"}', "output.value": "x"}, "y", {"best": "ABC"}),
        ({"gen_ai.output.messages": '[{"parts": [{"type": "text", "content": "done"}]}]'}, "y", "done"),
        ({"output.value": "said"}, "y", "said"),
        ({"output.value": '{"messages": []}'}, "y", "y"),
        ({"output.value": '{"messages": []}'}, None, '{"messages": []}'),
        ({}, "y", "y"),
        ({}, None, None),
    ],
)
def test_result(attributes: dict[str, Any], answer: str | None, result: Any) -> None:
    """An agent's result is its own final word, else the last answer inside it, else whatever it gives."""
    assert _genai.result_of(attributes, answer) == result


def test_input() -> None:
    """What an agent is given is its messages, or named values."""
    assert _genai.input_of({"gen_ai.input.messages": '[{"role": "user"}]'}) == {"messages": [{"role": "user"}]}
    assert _genai.input_of({"input.value": "Chicago"}) == {"input": "Chicago"}
    assert _genai.input_of({"input.value": '{"city": "Chicago"}'}) == {"city": "Chicago"}
    assert _genai.input_of({}) == {}
