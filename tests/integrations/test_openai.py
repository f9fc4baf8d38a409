"""What models answer through the openai client: each answer once, whichever way it was asked for."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import mission_tracer as mt
from mission_tracer import facts
from mission_tracer._base.ownership import Rank, owning

from .service import Service
from .told import are_the_same, bodies, events

openai = pytest.importorskip("openai")
httpx2 = pytest.importorskip("httpx2")
pydantic = pytest.importorskip("pydantic")

Journal = Callable[[], list[facts.Fact]]

CHAT = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-test-1",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "ABC is best"}}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
}
CALLS = {
    **CHAT,
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "t1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}},
                    {"id": "t2", "type": "function", "function": {"name": "look", "arguments": ""}},
                ],
            },
        }
    ],
}
RESPONSE = {
    "id": "r1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "gpt-test-1",
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "output": [
        {
            "type": "message",
            "id": "m1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "ABC is best", "annotations": []}],
        },
        {"type": "function_call", "id": "f1", "call_id": "t1", "name": "add", "arguments": '{"a": 1}'},
    ],
    "usage": {
        "input_tokens": 3,
        "output_tokens": 4,
        "total_tokens": 7,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    },
}
ANSWER = {
    "model": "gpt-test-1",
    "provider": "openai",
    "text": "ABC is best",
    "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
}


def chunk(**delta: Any) -> dict[str, Any]:
    return {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-test-1",
        "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
    }


CHUNKS = [
    chunk(role="assistant", content=""),
    chunk(content="ABC "),
    chunk(content="is best"),
    {**chunk(), "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    {**chunk(), "choices": [], "usage": CHAT["usage"]},
]
RESPONSE_EVENTS = [
    {"type": "response.created", "sequence_number": 0, "response": {**RESPONSE, "output": [], "status": "in_progress"}},
    {
        "type": "response.output_item.added",
        "sequence_number": 1,
        "output_index": 0,
        "item": {"type": "message", "id": "m1", "role": "assistant", "status": "in_progress", "content": []},
    },
    {
        "type": "response.content_part.added",
        "sequence_number": 2,
        "output_index": 0,
        "content_index": 0,
        "item_id": "m1",
        "part": {"type": "output_text", "text": "", "annotations": []},
    },
    {
        "type": "response.output_text.delta",
        "sequence_number": 3,
        "output_index": 0,
        "content_index": 0,
        "item_id": "m1",
        "delta": "ABC ",
        "logprobs": [],
    },
    {"type": "response.completed", "sequence_number": 4, "response": RESPONSE},
]


@pytest.fixture(autouse=True)
def on() -> None:
    mt.configure(strict=True)
    mt.instrument("openai")


def client(*answers: Any, **options: Any) -> Any:
    http = httpx2.Client(transport=httpx2.MockTransport(Service(*answers)))
    return openai.OpenAI(api_key="sk-test", http_client=http, max_retries=0, **options)


def async_client(*answers: Any) -> Any:
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(Service(*answers)))
    return openai.AsyncOpenAI(api_key="sk-test", http_client=http, max_retries=0)


def ask(resource: Any, **more: Any) -> Any:
    return resource.create(model="gpt-test", messages=[{"role": "user", "content": "who?"}], **more)


class Best(pydantic.BaseModel):
    name: str


# ---- whole answers ----


def test_an_answer_is_a_message_of_the_step(journal: Journal) -> None:
    """A chat completion is one event with text, model and usage, linked to the step; the caller gets it unchanged."""
    with mt.mission_run("m"), mt.plan_step("s"):
        answer = ask(client(CHAT).chat.completions)
    assert type(answer) is openai.types.chat.ChatCompletion
    assert bodies(journal()) == [{"type": "message", "summary": "ABC is best", "step_id": "s", "payload": ANSWER}]


def test_calls_of_tools_are_told(journal: Journal) -> None:
    """An answer that calls tools names them, with arguments that are read from their JSON."""
    with mt.mission_run("m"):
        ask(client(CALLS).chat.completions)
    [body] = bodies(journal())
    assert body["summary"] == "calls tools add, look"
    assert body["payload"]["tool_calls"] == [
        {"id": "t1", "name": "add", "arguments": {"a": 1}},
        {"id": "t2", "name": "look"},
    ]


def asked_sync(how: str, api: Any) -> Any:
    chat, messages = api.chat.completions, [{"role": "user", "content": "who?"}]
    with_raw = {"model": "gpt-test", "messages": messages}
    if how == "parse":
        return chat.parse(**with_raw, response_format=Best)
    if how == "raw":
        return chat.with_raw_response.create(**with_raw).parse()
    if how == "responses":
        return api.responses.create(model="gpt-test", input="who?")
    if how == "responses parse":
        return api.responses.parse(model="gpt-test", input="who?")
    if how == "raw responses":
        return api.responses.with_raw_response.create(model="gpt-test", input="who?").parse()
    return chat.create(**with_raw)


PARSED = json.loads(json.dumps(CHAT).replace("ABC is best", '{\\"name\\": \\"ABC\\"}'))


@pytest.mark.parametrize(
    ("how", "answer", "text"),
    [
        ("parse", PARSED, '{"name": "ABC"}'),
        ("raw", CHAT, "ABC is best"),
        ("responses", RESPONSE, "ABC is best"),
        ("responses parse", RESPONSE, "ABC is best"),
        ("raw responses", RESPONSE, "ABC is best"),
    ],
)
def test_every_way_to_ask_is_recorded_once(how: str, answer: Any, text: str, journal: Journal) -> None:
    """Parsed answers, raw ones, and those of the responses API are one event each, with text and usage."""
    with mt.mission_run("m"):
        assert asked_sync(how, client(answer)) is not None
    [body] = bodies(journal())
    assert (body["type"], body["payload"]["text"]) == ("message", text)
    assert body["payload"]["usage"] == ANSWER["usage"]
    if "responses" in how:
        assert body["payload"]["tool_calls"] == [{"id": "t1", "name": "add", "arguments": {"a": 1}}]


@pytest.mark.parametrize("how", ["create", "parse", "raw", "responses", "responses parse", "raw responses"])
def test_every_way_to_ask_asynchronously_is_recorded_once(how: str, journal: Journal) -> None:
    """The asynchronous client records as the other one does."""
    answer = RESPONSE if "responses" in how else PARSED if how == "parse" else CHAT

    async def main() -> None:
        with mt.mission_run("m"):
            found = asked_sync(how, async_client(answer)) if "raw" not in how else await_raw(how, async_client(answer))
            assert await found is not None

    async def await_raw(how: str, api: Any) -> Any:
        if how == "raw":
            answer = await api.chat.completions.with_raw_response.create(
                model="gpt-test", messages=[{"role": "user", "content": "who?"}]
            )
        else:
            answer = await api.responses.with_raw_response.create(model="gpt-test", input="who?")
        return answer.parse()

    asyncio.run(main())
    [body] = bodies(journal())
    assert (body["type"], body["payload"]["usage"]) == ("message", ANSWER["usage"])


def test_a_raw_answer_is_left_to_the_program(journal: Journal) -> None:
    """A streamed raw answer is neither read nor parsed for us; the event says who answered."""
    with mt.mission_run("m"):
        raw = client(json.dumps(CHAT).encode()).chat.completions.with_streaming_response
        with raw.create(model="gpt-test", messages=[{"role": "user", "content": "who?"}]) as response:
            assert not response.http_response.is_closed
            assert json.loads(response.read())["model"] == "gpt-test-1"
    assert bodies(journal()) == [
        {
            "type": "message",
            "summary": "gpt-test answered",
            "payload": {"model": "gpt-test", "provider": "openai"},
        }
    ]


def test_retries_are_one_call(journal: Journal) -> None:
    """A call that the client repeats by itself is one event."""
    service = Service(429, CHAT)
    http = httpx2.Client(transport=httpx2.MockTransport(service))
    api = openai.OpenAI(api_key="sk-test", http_client=http, max_retries=2)
    with mt.mission_run("m"):
        ask(api.chat.completions, timeout=5)
    assert len(service.requests) == 2
    assert [e[0] for e in events(journal())] == ["message"]


def test_a_failed_call_is_an_error_event(journal: Journal) -> None:
    """An error of the API is one error event, with the model, and reaches the caller unchanged."""

    @mt.mission_run("m")
    def agent() -> None:
        ask(client(401).chat.completions)

    with pytest.raises(openai.AuthenticationError):
        agent()
    [body] = bodies(journal())
    assert (body["type"], body["payload"]["model"], body["payload"]["provider"]) == ("error", "gpt-test", "openai")
    assert body["summary"].startswith("openai.AuthenticationError: ")


def test_a_cancelled_call_is_told_as_such(journal: Journal) -> None:
    """A call that is cancelled while it waits is a cancelled message, not an error."""

    async def main() -> None:
        waiting = asyncio.Event()

        async def handler(request: Any) -> Any:
            waiting.set()
            await asyncio.Event().wait()

        http = httpx2.AsyncClient(transport=httpx2.MockTransport(handler))
        api = openai.AsyncOpenAI(api_key="sk-test", http_client=http, max_retries=0)
        with mt.mission_run("m"):
            task = asyncio.create_task(ask(api.chat.completions))
            await waiting.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    [body] = bodies(journal())
    assert (body["type"], body["summary"]) == ("message", "gpt-test was cancelled")
    assert body["payload"]["cancelled"] is True


def test_wrong_arguments_are_the_librarys_to_refuse() -> None:
    """What the client says to wrong arguments, it says with us in between."""
    with mt.mission_run("m"), pytest.raises(TypeError, match="messages"):
        client(CHAT).chat.completions.create(model="gpt-test")


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://me.openai.azure.com/openai", "azure"),
        ("https://api.telnyx.com/v2/ai", "api.telnyx.com"),
        ("http://127.0.0.1:8000/v1", "openai"),
    ],
)
def test_the_provider_is_who_answers(url: str, provider: str, journal: Journal) -> None:
    """Another service that speaks the same language is named by its host."""
    with mt.mission_run("m"):
        ask(client(CHAT, base_url=url).chat.completions)
    assert bodies(journal())[0]["payload"]["provider"] == provider


def test_secrets_of_answers_are_hidden(journal: Journal) -> None:
    """What a model says is redacted like everything else."""
    answer = json.loads(json.dumps(CALLS).replace('{\\"a\\": 1}', '{\\"password\\": \\"hunter2-hunter2\\"}'))
    with mt.mission_run("m"):
        ask(client(answer).chat.completions)
    assert "hunter2" not in str(bodies(journal()))


# ---- who records ----


def test_outside_of_a_run_nothing_is_recorded_or_wrapped(journal: Journal) -> None:
    """Without a run the client works as without us, and its streams are its own."""
    api = client(CHUNKS)
    stream = ask(api.chat.completions, stream=True)
    assert type(stream) is openai.Stream
    assert len(list(stream)) == len(CHUNKS)
    assert journal() == []


@pytest.mark.parametrize("rank", [Rank.FRAMEWORK, Rank.SPAN])
def test_inside_of_something_stronger_it_stays_silent(rank: Rank, journal: Journal) -> None:
    """What a framework or a span records is not recorded again."""
    with mt.mission_run("m"), owning(rank):
        ask(client(CHAT).chat.completions)
    assert events(journal()) == []


def test_requests_inside_are_owned(journal: Journal) -> None:
    """While the client asks, what is weaker stays silent; afterwards it may record again."""
    from mission_tracer._base.ownership import may_record

    seen = []

    def handler(request: Any) -> Any:
        seen.append(may_record(Rank.HTTP))
        return httpx2.Response(200, json=CHAT)

    api = openai.OpenAI(api_key="k", http_client=httpx2.Client(transport=httpx2.MockTransport(handler)))
    with mt.mission_run("m"):
        ask(api.chat.completions)
        assert may_record(Rank.HTTP)
    assert seen == [False]


# ---- streams ----


def test_a_stream_is_one_message_when_it_is_read_out(journal: Journal) -> None:
    """The pieces of a stream reach the program as they come; at the end they are one event with the usage."""
    with mt.mission_run("m"), mt.plan_step("s"):
        stream = ask(client(CHUNKS).chat.completions, stream=True)
        assert isinstance(stream, openai.Stream)
        pieces = []
        for piece in stream:
            assert events(journal()) == []
            pieces.append(piece)
        assert [len(p.choices) for p in pieces] == [1, 1, 1, 1, 0]
        assert bodies(journal()) == [{"type": "message", "summary": "ABC is best", "step_id": "s", "payload": ANSWER}]


def test_next_and_with_work_on_a_stream(journal: Journal) -> None:
    """A stream read by `next`, in a block, and to its end, is one event."""
    with mt.mission_run("m"), ask(client(CHUNKS).chat.completions, stream=True) as stream:
        assert isinstance(stream, openai.Stream)
        assert next(stream).choices[0].delta.content == ""
        assert len(list(stream)) == len(CHUNKS) - 1
    assert bodies(journal())[0]["payload"] == ANSWER
    assert len(events(journal())) == 1


def test_a_stream_may_be_left_and_read_on(journal: Journal) -> None:
    """Leaving a loop over a stream does not end it: another loop reads on, and there is one event."""
    with mt.mission_run("m"):
        stream = ask(client(CHUNKS).chat.completions, stream=True)
        for _ in stream:
            break
        gc.collect()
        assert events(journal()) == []
        list(stream)
    assert [e[1] for e in events(journal())] == ["ABC is best"]


@pytest.mark.parametrize("how", ["close", "block", "drop", "forget", "keep"])
def test_a_stream_that_is_given_up_is_a_cancelled_message(how: str, journal: Journal) -> None:
    """Closed, left, dropped, or kept until its run ends: what there was is one event, marked as cancelled."""
    kept = []
    with mt.mission_run("m"):
        with mt.plan_step("s"):
            stream = ask(client(CHUNKS).chat.completions, stream=True)
            if how == "block":
                with stream:
                    next(stream), next(stream)
            elif how == "drop":
                for number, _ in enumerate(stream):
                    if number == 1:
                        break
            else:
                next(stream), next(stream)
            if how == "close":
                stream.close()
            if how == "forget":
                stream.response.close()  # the connection is gone, and nobody told the stream
            if how == "keep":
                kept.append(stream)
            del stream
        if how != "keep":
            assert len(events(journal())) == 1
    [body] = bodies(journal())
    assert (body["summary"], body["step_id"]) == ("ABC", "s")
    assert body["payload"] == {"model": "gpt-test-1", "provider": "openai", "text": "ABC ", "cancelled": True}
    for stream in kept:
        stream.close()
    assert len(events(journal())) == 1


def test_a_stream_that_breaks_is_an_error(journal: Journal) -> None:
    """An error in the middle of a stream reaches the program; what there was is told, and the error."""

    @mt.mission_run("m")
    def agent() -> None:
        for _ in ask(client([*CHUNKS[:2], None]).chat.completions, stream=True):
            pass

    with pytest.raises(openai.APIConnectionError):
        agent()
    told = events(journal())
    assert [e[0] for e in told] == ["message", "error"]
    assert told[0][1] == "ABC"


def test_a_stream_that_is_read_outside_of_its_run_belongs_to_it(journal: Journal) -> None:
    """A stream asked for in one step and read in another is told in the step it was asked for in."""
    with mt.mission_run("m"):
        with mt.plan_step("ask"):
            stream = ask(client(CHUNKS).chat.completions, stream=True)
        with mt.plan_step("read"):
            list(stream)
    assert [(e[1], e[2]) for e in events(journal())] == [("ABC is best", "ask")]


def test_calls_of_tools_in_a_stream_are_put_together(journal: Journal) -> None:
    """The names and arguments of tools that come in pieces are told whole."""
    pieces = [
        chunk(tool_calls=[{"index": 0, "id": "t1", "type": "function", "function": {"name": "add", "arguments": ""}}]),
        chunk(tool_calls=[{"index": 0, "function": {"arguments": '{"a"'}}]),
        chunk(tool_calls=[{"index": 0, "function": {"arguments": ": 1}"}}]),
        chunk(
            tool_calls=[{"index": 1, "id": "t2", "type": "function", "function": {"name": "look", "arguments": "{"}}]
        ),
    ]
    with mt.mission_run("m"):
        list(ask(client(pieces).chat.completions, stream=True))
    [body] = bodies(journal())
    assert body["payload"]["tool_calls"] == [
        {"id": "t1", "name": "add", "arguments": {"a": 1}},
        {"id": "t2", "name": "look", "arguments": "{"},
    ]


def test_an_endless_stream_keeps_little(journal: Journal) -> None:
    """However long a stream is, what we keep of it is bounded."""
    pieces = [chunk(content="x" * 1000) for _ in range(200)]
    pieces += [
        chunk(tool_calls=[{"index": n, "id": f"t{n}", "function": {"name": "f", "arguments": "y" * 1000}}])
        for n in range(200)
    ]
    with mt.mission_run("m"):
        stream = ask(client(pieces).chat.completions, stream=True)
        list(stream)
        watch = stream._self_watch
    assert len(watch._gathering.answer().text) == 32_768
    assert len(watch._gathering.answer().tool_calls) == 64
    [fact] = [f for f in journal() if isinstance(f, facts.Event)]
    assert len(bytes(fact.body)) < 34_000


@pytest.mark.parametrize("how", ["helper", "helper left", "responses", "responses helper"])
def test_the_helpers_streams_are_recorded_once(how: str, journal: Journal) -> None:
    """`stream()` of chat completions and of responses, and `create(stream=True)` of responses, are one event each."""
    api = client(RESPONSE_EVENTS if "responses" in how else CHUNKS)
    with mt.mission_run("m"), mt.plan_step("s"):
        if how.startswith("helper"):
            asked = {"model": "gpt-test", "messages": [{"role": "user", "content": "who?"}]}
            with api.chat.completions.stream(**asked) as stream:
                for event in stream:
                    if how == "helper left" and event.type == "content.delta" and event.snapshot:
                        break
                else:
                    assert stream.get_final_completion().choices[0].message.content == "ABC is best"
        elif how == "responses":
            assert len(list(api.responses.create(model="gpt-test", input="who?", stream=True))) == len(RESPONSE_EVENTS)
        else:
            with api.responses.stream(model="gpt-test", input="who?") as stream:
                assert stream.get_final_response().id == "r1"
    [body] = bodies(journal())
    if how == "helper left":
        assert (body["summary"], body["payload"]["cancelled"]) == ("ABC", True)
    else:
        assert (body["summary"], body["payload"]["usage"]) == ("ABC is best", ANSWER["usage"])


@pytest.mark.parametrize("how", ["read", "next", "block", "close", "break", "drop", "helper"])
def test_asynchronous_streams(how: str, journal: Journal) -> None:
    """Asynchronous streams have the same ends: read out, given up and broken."""

    async def main() -> None:
        with mt.mission_run("m"), mt.plan_step("s"):
            if how == "helper":
                asked = {"model": "gpt-test", "messages": [{"role": "user", "content": "who?"}]}
                async with async_client(CHUNKS).chat.completions.stream(**asked) as helper:
                    await helper.get_final_completion()
                return
            pieces = [*CHUNKS[:2], None] if how == "break" else CHUNKS
            stream = await ask(async_client(pieces).chat.completions, stream=True)
            assert isinstance(stream, openai.AsyncStream)
            if how == "read":
                assert len([piece async for piece in stream]) == len(CHUNKS)
            elif how == "next":
                for _ in CHUNKS:
                    await anext(stream)
                with pytest.raises(StopAsyncIteration):
                    await anext(stream)
            elif how == "break":
                await asyncio.wait_for(anext(stream), 5)
                await anext(stream)
                with pytest.raises(openai.APIConnectionError):
                    await anext(stream)
            elif how == "block":
                async with stream:
                    await anext(stream)
                    await anext(stream)
            else:
                await anext(stream)
                await anext(stream)
                if how == "close":
                    await stream.close()
                else:
                    await stream.response.aclose()
                    del stream

    asyncio.run(main())
    told = bodies(journal())
    whole = how in {"read", "next", "helper"}
    assert [b["type"] for b in told] == (["message", "error"] if how == "break" else ["message"])
    assert told[0]["summary"] == ("ABC is best" if whole else "ABC")
    assert told[0]["payload"].get("cancelled", False) is not whole
    assert told[0]["step_id"] == "s"


@pytest.mark.parametrize("how", ["cancel", "leave"])
def test_an_asynchronous_stream_whose_reader_is_cancelled_is_one_message(how: str, journal: Journal) -> None:
    """A reader that is cancelled while it waits, or whose loop ends, leaves one message that says so, and no error."""
    waits = asyncio.Event()

    async def stall() -> AsyncIterator[bytes]:
        for piece in CHUNKS[:2]:
            yield f"data: {json.dumps(piece)}\n\n".encode()
        waits.set()
        await asyncio.Event().wait()

    async def handler(request: Any) -> Any:
        return httpx2.Response(200, content=stall(), headers={"content-type": "text/event-stream"})

    async def read() -> None:
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(handler))
        api = openai.AsyncOpenAI(api_key="sk-test", http_client=http, max_retries=0)
        seen = 0
        async for _ in await ask(api.chat.completions, stream=True):
            seen += 1
            if how == "leave" and seen == 2:
                break

    async def cancelled() -> None:
        task = asyncio.create_task(read())
        await waits.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with mt.mission_run("m"):
        asyncio.run(read() if how == "leave" else cancelled())
    [body] = bodies(journal())
    assert (body["type"], body["summary"], body["payload"]["cancelled"]) == ("message", "ABC", True)


# ---- on, off, and our own errors ----


def test_switching_off_restores_everything() -> None:
    """After `uninstrument` the client's classes have their own methods again; calls made before go on."""
    mt.uninstrument("openai")
    from openai.resources.chat import completions
    from openai.resources.responses import Responses

    before = vars(completions.Completions)["create"], vars(Responses)["parse"]
    mt.instrument("openai")
    mt.instrument("openai")
    assert vars(completions.Completions)["create"] is not before[0]
    with mt.mission_run("m"):
        stream = ask(client(CHUNKS).chat.completions, stream=True)
        mt.uninstrument("openai")
        assert len(list(stream)) == len(CHUNKS)
    assert are_the_same((vars(completions.Completions)["create"], vars(Responses)["parse"]), before)


class Hostile:
    """An answer whose every part raises."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"ours: {name}")


def test_an_error_of_ours_does_not_reach_the_program(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When every part of an answer, of a stream's piece or of the client fails us, the program has what it asked."""
    mt.configure(log_level="error")
    answer = Hostile()
    stream = openai.Stream.__new__(openai.Stream)
    pieces = [Hostile(), Hostile()]
    monkeypatch.setattr(openai.Stream, "__iter__", lambda self: iter(pieces))
    given = [answer, stream]
    completions = client(CHAT).chat.completions
    monkeypatch.setattr(completions, "_post", lambda *args, **kwargs: given.pop(0), raising=False)
    with mt.mission_run("m"):
        assert ask(completions) is answer
        assert list(ask(completions, stream=True)) == pieces
        monkeypatch.setattr(completions, "_client", Hostile())
        given.append(answer)
        assert ask(completions) is answer
    assert "an error of ours" in capfd.readouterr().err


def test_what_is_recorded_arrives(api: Any) -> None:
    """An answer, a failure and a stream are on the server, in order."""
    mt.configure(api_key="K", base_url=api.base_url, strict=True)
    with mt.mission_run("m"), mt.plan_step("s"):
        ask(client(CHAT).chat.completions)
        with pytest.raises(openai.NotFoundError):
            ask(client(404).chat.completions)
        list(ask(client(CHUNKS).chat.completions, stream=True))
    assert mt.flush(20)
    found = [(e.type, e.step_id) for e in api.only_run()["events"] if not e.type.startswith("step_")]
    assert found == [("message", "s"), ("error", "s"), ("message", "s")]
