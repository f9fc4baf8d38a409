"""What models answer through the anthropic client: each answer once, whichever way it was asked for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

import mission_tracer as mt
from mission_tracer import facts
from mission_tracer._base.ownership import Rank, owning

from .service import Service, httpx2
from .told import are_the_same, bodies, events

anthropic = pytest.importorskip("anthropic")
pydantic = pytest.importorskip("pydantic")

Journal = Callable[[], list[facts.Fact]]

MESSAGE = {
    "id": "m1",
    "type": "message",
    "role": "assistant",
    "model": "claude-test-1",
    "content": [{"type": "text", "text": "ABC is best"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 2, "output_tokens": 4, "cache_read_input_tokens": 1},
}
CALLS = {
    **MESSAGE,
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1}},
        {"type": "tool_use", "id": "t2", "name": "look", "input": {}},
    ],
}
PARSED = {**MESSAGE, "content": [{"type": "text", "text": '{"name": "ABC"}'}]}
ANSWER = {
    "model": "claude-test-1",
    "provider": "anthropic",
    "text": "ABC is best",
    "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
}
EVENTS = [
    {
        "type": "message_start",
        "message": {**MESSAGE, "content": [], "stop_reason": None, "usage": {"input_tokens": 3, "output_tokens": 1}},
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "ABC "}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "is best"}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 4},
    },
    {"type": "message_stop"},
]
TOOL_EVENTS = [
    EVENTS[0],
    {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "tool_use", "id": "t1", "name": "add", "input": {}},
    },
    {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": '{"a"'}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": ": 1}"}},
    {"type": "content_block_stop", "index": 0},
    EVENTS[5],
    EVENTS[6],
]
ASKED = {"model": "claude-test", "max_tokens": 10, "messages": [{"role": "user", "content": "who?"}]}


class Best(pydantic.BaseModel):
    name: str


@pytest.fixture(autouse=True)
def on() -> None:
    mt.configure(strict=True)
    mt.instrument("anthropic")


def client(*answers: Any) -> Any:
    http = httpx2.Client(transport=httpx2.MockTransport(Service(*answers)))
    return anthropic.Anthropic(api_key="sk-ant-test", http_client=http, max_retries=0)


def async_client(*answers: Any) -> Any:
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(Service(*answers)))
    return anthropic.AsyncAnthropic(api_key="sk-ant-test", http_client=http, max_retries=0)


def ask(api: Any, how: str) -> Any:
    if how == "parse":
        return api.messages.parse(**ASKED, output_format=Best)
    if how == "beta":
        return api.beta.messages.create(**ASKED)
    if how == "beta parse":
        return api.beta.messages.parse(**ASKED, output_format=Best)
    if how == "raw":
        return api.messages.with_raw_response.create(**ASKED)
    return api.messages.create(**ASKED)


WAYS = ["create", "parse", "beta", "beta parse", "raw"]


@pytest.mark.parametrize("how", WAYS)
def test_every_way_to_ask_is_recorded_once(how: str, journal: Journal) -> None:
    """Created, parsed, of the beta or left raw: an answer is one event with text, model and usage."""
    with mt.mission_run("m"), mt.plan_step("s"):
        assert ask(client(PARSED if "parse" in how else MESSAGE), how) is not None
    [body] = bodies(journal())
    text = '{"name": "ABC"}' if "parse" in how else "ABC is best"
    assert body == {"type": "message", "summary": text, "step_id": "s", "payload": {**ANSWER, "text": text}}


@pytest.mark.parametrize("how", WAYS)
def test_every_way_to_ask_asynchronously_is_recorded_once(how: str, journal: Journal) -> None:
    """The asynchronous client records as the other one does."""

    async def main() -> None:
        with mt.mission_run("m"):
            assert await ask(async_client(PARSED if "parse" in how else MESSAGE), how) is not None

    asyncio.run(main())
    [body] = bodies(journal())
    assert (body["type"], body["payload"]["usage"]) == ("message", ANSWER["usage"])


def test_calls_of_tools_are_told(journal: Journal) -> None:
    """An answer that calls tools names them, with their arguments; what the model thought is left out."""
    with mt.mission_run("m"):
        ask(client(CALLS), "create")
    [body] = bodies(journal())
    assert body["summary"] == "calls tools add, look"
    assert body["payload"]["tool_calls"] == [
        {"id": "t1", "name": "add", "arguments": {"a": 1}},
        {"id": "t2", "name": "look"},
    ]


def test_a_failed_call_is_an_error_event(journal: Journal) -> None:
    """An error of the API is one error event, with the model, and reaches the caller unchanged."""
    with mt.mission_run("m"), pytest.raises(anthropic.AuthenticationError):
        ask(client(401), "create")
    [body] = bodies(journal())
    assert (body["type"], body["payload"]["model"], body["payload"]["provider"]) == (
        "error",
        "claude-test",
        "anthropic",
    )


@pytest.mark.parametrize("how", ["create", "stream", "beta stream", "text", "final"])
def test_a_stream_is_one_message_when_it_is_read_out(how: str, journal: Journal) -> None:
    """`create(stream=True)` and `stream()`, read by events, by text or at once, are one event with the usage."""
    api = client(EVENTS)
    with mt.mission_run("m"), mt.plan_step("s"):
        if how == "create":
            stream = api.messages.create(**ASKED, stream=True)
            assert isinstance(stream, anthropic.Stream)
            assert len(list(stream)) == len(EVENTS)
        else:
            messages = api.beta.messages if how == "beta stream" else api.messages
            with messages.stream(**ASKED) as stream:
                if how == "text":
                    assert "".join(stream.text_stream) == "ABC is best"
                elif how == "final":
                    assert stream.get_final_text() == "ABC is best"
                else:
                    assert [e.type for e in stream][-1] == "message_stop"
    assert bodies(journal()) == [{"type": "message", "summary": "ABC is best", "step_id": "s", "payload": ANSWER}]


@pytest.mark.parametrize("how", ["create", "stream", "beta stream", "text", "final"])
def test_an_asynchronous_stream_is_one_message(how: str, journal: Journal) -> None:
    """The asynchronous client's streams record as the others do."""

    async def main() -> None:
        api = async_client(EVENTS)
        with mt.mission_run("m"), mt.plan_step("s"):
            if how == "create":
                stream = await api.messages.create(**ASKED, stream=True)
                assert isinstance(stream, anthropic.AsyncStream)
                assert len([e async for e in stream]) == len(EVENTS)
                return
            messages = api.beta.messages if how == "beta stream" else api.messages
            async with messages.stream(**ASKED) as stream:
                if how == "text":
                    assert "".join([text async for text in stream.text_stream]) == "ABC is best"
                elif how == "final":
                    assert await stream.get_final_text() == "ABC is best"
                else:
                    assert [e.type async for e in stream][-1] == "message_stop"

    asyncio.run(main())
    assert bodies(journal()) == [{"type": "message", "summary": "ABC is best", "step_id": "s", "payload": ANSWER}]


@pytest.mark.parametrize("how", ["left", "unread"])
def test_a_stream_that_is_given_up_is_a_cancelled_message(how: str, journal: Journal) -> None:
    """A block that is left in the middle of its stream tells what there was, marked as cancelled."""
    with mt.mission_run("m"), client(EVENTS).messages.stream(**ASKED) as stream:
        if how == "left":
            for event in stream:
                if event.type == "text":
                    break
    [body] = bodies(journal())
    assert body["payload"]["cancelled"] is True
    assert body["summary"] == ("ABC" if how == "left" else "claude-test was cancelled")


def test_a_stream_that_breaks_is_an_error(journal: Journal) -> None:
    """An error in the middle of a stream reaches the program; what there was is told, and the error."""
    broken = client([*EVENTS[:3], None]).messages.stream(**ASKED)
    with mt.mission_run("m"), broken as stream, pytest.raises(httpx2.ReadError):
        list(stream)
    assert [e[0] for e in events(journal())] == ["message", "error"]


def test_a_stream_that_cannot_begin_is_an_error(journal: Journal) -> None:
    """A request that is refused when the block is entered is an error event."""

    async def main() -> None:
        async with async_client(401).messages.stream(**ASKED):
            raise AssertionError

    with mt.mission_run("m"):
        with pytest.raises(anthropic.AuthenticationError), client(401).messages.stream(**ASKED):
            raise AssertionError
        with pytest.raises(anthropic.AuthenticationError):
            asyncio.run(main())
    assert [e[0] for e in events(journal())] == ["error", "error"]


def test_calls_of_tools_in_a_stream_are_put_together(journal: Journal) -> None:
    """The arguments of a tool that come in pieces are told whole."""
    with mt.mission_run("m"):
        list(client(TOOL_EVENTS).messages.create(**ASKED, stream=True))
    [body] = bodies(journal())
    assert body["payload"]["tool_calls"] == [{"id": "t1", "name": "add", "arguments": {"a": 1}}]


def test_outside_of_a_run_and_inside_of_something_stronger_it_stays_silent(journal: Journal) -> None:
    """Without a run, or with a framework that records the call, nothing is recorded or wrapped."""
    with client(EVENTS).messages.stream(**ASKED) as stream:
        assert type(stream._raw_stream) is anthropic.Stream
    with mt.mission_run("m"), owning(Rank.FRAMEWORK):
        assert type(client(EVENTS).messages.create(**ASKED, stream=True)) is anthropic.Stream
        ask(client(MESSAGE), "create")
        with client(EVENTS).messages.stream(**ASKED) as stream:
            assert type(stream._raw_stream) is anthropic.Stream
    assert events(journal()) == []


def test_switching_off_restores_everything() -> None:
    """After `uninstrument` the client's classes have their own methods again."""
    mt.uninstrument("anthropic")
    from anthropic.resources.beta.messages import AsyncMessages
    from anthropic.resources.messages import Messages

    before = vars(Messages)["create"], vars(Messages)["stream"], vars(AsyncMessages)["parse"]
    mt.instrument("anthropic")
    assert vars(Messages)["stream"] is not before[1]
    mt.uninstrument("anthropic")
    assert are_the_same((vars(Messages)["create"], vars(Messages)["stream"], vars(AsyncMessages)["parse"]), before)


def test_an_error_of_ours_does_not_reach_the_program(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a stream is not built as we know it, or an answer's parts fail us, the program has what it asked for."""
    mt.configure(log_level="error")

    class Hostile:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(f"ours: {name}")

    api = client(json.loads(json.dumps(MESSAGE)))
    answer = Hostile()
    monkeypatch.setattr(api.messages, "_post", lambda *args, **kwargs: answer, raising=False)
    with mt.mission_run("m"):
        assert api.messages.create(**ASKED) is answer
        manager = client(EVENTS).messages.stream(**ASKED)
        monkeypatch.setattr(type(manager.__wrapped__), "__enter__", lambda self: answer)
        with manager as stream:
            assert stream is answer
    assert "an error of ours" in capfd.readouterr().err


def test_what_is_recorded_arrives(api: Any) -> None:
    """An answer, a failure and a stream are on the server, in order."""
    with mt.mission_run("m"), mt.plan_step("s"):
        ask(client(MESSAGE), "create")
        with pytest.raises(anthropic.NotFoundError):
            ask(client(404), "create")
        list(client(EVENTS).messages.create(**ASKED, stream=True))
    assert mt.flush(20)
    found = [(e.type, e.step_id) for e in api.only_run()["events"] if not e.type.startswith("step_")]
    assert found == [("message", "s"), ("error", "s"), ("message", "s")]
