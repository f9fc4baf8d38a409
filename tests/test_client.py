"""Both clients against a real server: what they send, what they understand, and how they end."""

import asyncio
import inspect
import operator
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import msgspec
import pytest

from mission_tracer import _context, errors, models
from mission_tracer._api.endpoints import OPERATIONS
from mission_tracer.client import AsyncMissionsClient, MissionsClient
from tests import contract, processes
from tests.scripted import DROP, HANG, KEY, Answer, Asker, ScriptedServer, scripted_server

MISSION = contract.sample("MissionData")
TROUBLES = [DROP, Answer(200, {"data": MISSION}, cut=10), Answer(500), Answer(503), Answer(408)]
ARGUMENTS = {
    "mission_id": "7d0c6b1e-3f7a-4a56-9d6e-2b9f5f0c1a11",
    "run_id": "0f8fad5b-d9cb-469f-a165-70867728950e",
    **{name: f"{name}-1" for name in ("step_id", "event_id", "knowledge_base_id", "mcp_server_id", "tool_id")},
    **{name: f"a {name}" for name in ("name", "description", "model", "instructions", "summary", "agent_id")},
    **{name: {"k": ["ü", 1]} for name in ("metadata", "input", "payload", "result_payload", "body")},
    **{name: f"a {name}" for name in ("error", "result_summary", "idempotency_key", "telnyx_agent_id")},
    "execution_mode": models.ExecutionMode.MANAGED,
    "type": models.EventType.CUSTOM,
    "status": "pending",
    "steps": [models.CreatePlanStepRequest(step_id="a", description="b", sequence=1)],
    "page_number": 1,
    "page_size": 5,
}


@pytest.fixture
def api() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest, api: ScriptedServer) -> Asker:
    return Asker(request.param, api)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_speaks_the_contract(ask: Asker, api: ScriptedServer, name: str) -> None:
    """Calling any of the 41 operations sends a valid request and returns the answer's data, typed."""
    row = OPERATIONS[name]
    declared = next(o for o in contract.OPERATIONS if (o["method"], o["path"]) == (row.method, row.path))
    answer = contract.sample(declared["answer"]) if declared["answer"] else {"any": ["thing"]}
    api.answer(Answer(declared["status"], b"" if declared["status"] == 204 else answer))

    def question(missions: Any) -> Any:
        operation = operator.attrgetter(name.removeprefix("missions."))(missions)
        return operation(**{a: ARGUMENTS[a] for a in inspect.signature(operation).parameters})

    got = ask(question)

    [seen] = api.seen
    assert contract.check_request(seen.method, seen.target, seen.body) is declared
    if row.request:
        assert seen.json.keys() == {f.encode_name for f in msgspec.structs.fields(row.request)}, (
            "an argument was not sent"
        )
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert seen.headers["accept"] == "application/json"
    assert seen.headers["user-agent"].startswith("mission-tracer")
    assert seen.headers.get("content-type") == ("application/json" if seen.body else None)
    if declared["status"] == 204:
        assert got is None
    elif row.answer is None:
        assert got == answer
    else:
        data = getattr(got, "data", got) if row.query else got
        first, kind = (data[0], declared["answer"]) if isinstance(data, list) else (data, declared["answer"])
        assert type(first).__name__ == contract.SCHEMAS[kind]["required"]["data"].strip("[]")


@pytest.mark.parametrize(
    ("id", "wire"),
    [
        ("a/b", "a%2Fb"),
        ("a?b#c", "a%3Fb%23c"),
        ("a%2Fb", "a%252Fb"),
        ("ü ", "%C3%BC%20"),
        ("...", "..."),
        ("a:b", "a%3Ab"),
    ],
)
def test_ids_stay_one_segment_on_the_wire(ask: Asker, api: ScriptedServer, id: str, wire: str) -> None:
    """Calling with an id of any characters sends it as exactly one path segment."""
    api.answer(Answer(200, {"any": 1}))
    ask(lambda missions: missions.tools.retrieve(id, mission_id="m"))
    assert api.seen[0].target == f"/v2/ai/missions/m/tools/{wire}"


@pytest.mark.parametrize("id", ["", ".", ".."])
def test_ids_that_leave_the_path_are_refused(ask: Asker, api: ScriptedServer, id: str) -> None:
    """Calling with an id that would change the path raises ValueError and sends nothing."""
    with pytest.raises(ValueError, match="mission_id must not be"):
        ask(lambda missions: missions.retrieve(id))
    assert api.seen == []


@pytest.mark.parametrize(
    ("question", "words"),
    [
        (lambda m: m.runs.update("r", mission_id="m", status="canceled"), r"'canceled' - at `\$\.status`"),
        (lambda m: m.runs.plan.create("r", mission_id="m", steps=[{"step_id": "a"}]), "description"),
        (lambda m: m.runs.create("m", input="text"), r"`\$\.input`"),
    ],
)
def test_bodies_that_break_the_contract_are_refused(
    ask: Asker, api: ScriptedServer, question: Callable[[Any], Any], words: str
) -> None:
    """Calling with a body the API does not take raises ValueError with the field's place and sends nothing."""
    with pytest.raises(ValueError, match=words):
        ask(question)
    assert api.seen == []


def test_fields_of_a_dict_are_never_dropped(ask: Asker, api: ScriptedServer) -> None:
    """Giving a plan step as a dict sends every field of it, also those this package does not know."""
    step = {"step_id": "a", "description": "b", "sequence": 1, "new_field": [1]}
    api.answer(Answer(201, {"data": []}))
    assert ask(lambda missions: missions.runs.plan.create("r", mission_id="m", steps=iter([step]))) == []
    assert api.seen[0].json == {"steps": [step]}


def test_arguments_left_out_are_absent_on_the_wire(ask: Asker, api: ScriptedServer) -> None:
    """Calling without optional arguments sends neither the fields nor nulls nor query parameters."""
    api.answer(Answer(200, {"data": contract.sample("MissionRunData")}), Answer(200, {"any": 1}))
    ask(lambda missions: missions.runs.update("r", mission_id="m"))
    ask(lambda missions: missions.clone("m"))
    assert [seen.body for seen in api.seen] == [b"{}", b""]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, errors.BadRequestError),
        (401, errors.AuthenticationError),
        (403, errors.PermissionDeniedError),
        (404, errors.NotFoundError),
        (409, errors.ConflictError),
        (413, errors.PayloadTooLargeError),
        (422, errors.UnprocessableEntityError),
        (429, errors.RateLimitError),
        (500, errors.InternalServerError),
        (503, errors.InternalServerError),
        (418, errors.APIStatusError),
    ],
)
@pytest.mark.parametrize(
    "body",
    [
        {"detail": [{"loc": ["body", "name"], "msg": "Field wrong", "type": "x"}]},
        {"errors": [{"code": "10005", "title": "Field wrong", "source": {"pointer": "/name"}}]},
    ],
)
def test_refusals_become_the_error_of_their_status(
    ask: Asker, api: ScriptedServer, status: int, error: type[errors.APIStatusError], body: Any
) -> None:
    """A refusal in either error shape raises the class of its status with the server's words and never the key."""
    api.answer(Answer(status, body, {"x-request-id": "req-1", "retry-after": "7"}))
    with pytest.raises(errors.APIStatusError) as caught:
        ask(lambda missions: missions.create(name="x"), max_retries=0)
    found = caught.value
    assert type(found) is error
    assert (found.status, found.body, found.request_id, found.retry_after) == (status, body, "req-1", 7.0)
    assert found.request == ("POST", f"{api.url}/ai/missions")
    assert "Field wrong" in str(found)
    assert f"POST {api.url}/ai/missions: {status}" in str(found)
    assert KEY not in repr(vars(found)) + str(found) + repr(found)


@pytest.mark.parametrize("body", [{"detail": f"no {KEY} here"}, f"<title>Bearer {KEY}</title>".encode()])
def test_a_key_that_the_server_gives_back_is_not_in_the_error(ask: Asker, api: ScriptedServer, body: Any) -> None:
    """A server that repeats what it was sent does not bring the key into the error, its body or its text."""
    api.answer(Answer(400, body))
    with pytest.raises(errors.BadRequestError) as caught:
        ask(lambda missions: missions.create(name="x"), max_retries=0)
    assert "[redacted]" in str(caught.value)
    assert KEY not in repr(vars(caught.value)) + str(caught.value)


def test_an_html_page_becomes_one_readable_line(ask: Asker, api: ScriptedServer) -> None:
    """A gateway's HTML page is reported by its title and kept as text."""
    page = b"<html><head><title>502 Bad\nGateway</title></head><body>" + b"x" * 100_000
    api.answer(Answer(502, page, {"content-type": "text/html"}))
    with pytest.raises(errors.InternalServerError, match='502 Bad Gateway: an HTML page, "502 Bad Gateway"') as caught:
        ask(lambda missions: missions.create(name="x"))
    assert caught.value.body == page.decode()


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b'{"data": {"mission_id": "x', "application/json", "no usable JSON"),
        (b"<html><title>Sign in</title>", "text/html", "Sign in"),
        (b"", "application/json", "body is empty"),
        (b"{}", "application/json", "required field `data`"),
        (b'{"data":{"metadata":{"a":' + b"[" * 100_000, "application/json", "no usable JSON"),
        (b'{"data": null}', "application/json", "not as declared"),
        (b"\xff\xfe", "application/json", "no usable JSON"),
    ],
)
def test_a_success_without_usable_data_says_so(
    ask: Asker, api: ScriptedServer, body: bytes, kind: str, words: str
) -> None:
    """A 2xx that is cut off, HTML, empty or without data raises APIResponseError in one bounded line, at once."""
    api.answer(Answer(200, body, {"content-type": kind}))
    with pytest.raises(errors.APIResponseError, match=words) as caught:
        ask(lambda missions: missions.retrieve("m"))
    assert len(str(caught.value)) < 1000
    assert caught.value.status == 200
    assert len(api.seen) == 1


def test_redirects_are_not_followed(ask: Asker, api: ScriptedServer) -> None:
    """A redirect is an error that names its target, and the key goes nowhere else."""
    api.answer(Answer(307, b"", {"location": "https://elsewhere.example/v2/ai/missions"}))
    with pytest.raises(errors.APIStatusError, match=r"redirects to https://elsewhere\.example.*set base_url") as caught:
        ask(lambda missions: missions.create(name="x"))
    assert caught.value.status == 307
    assert len(api.seen) == 1


def test_closing_ends_own_connections_only(api: ScriptedServer) -> None:
    """Leaving the `with` block closes the connections that the client made, and not those it was given."""
    api.answer(*[Answer(200, {"data": MISSION})] * 3)
    with MissionsClient(KEY, api.url) as client:
        client.missions.retrieve("m")
    with pytest.raises(RuntimeError, match="closed"):
        client.missions.retrieve("m")

    async def main() -> None:
        async with AsyncMissionsClient(KEY, api.url) as client:
            await client.missions.retrieve("m")
        with pytest.raises(RuntimeError, match="closed"):
            await client.missions.retrieve("m")

    asyncio.run(main())
    with httpx.Client() as http:
        with MissionsClient(KEY, api.url, http_client=http):
            pass
        assert not http.is_closed
    assert len(api.seen) == 2


@pytest.mark.parametrize("trouble", TROUBLES)
def test_repeatable_requests_are_repeated(ask: Asker, api: ScriptedServer, trouble: Answer) -> None:
    """A GET whose answer is lost, cut off or a passing failure is sent again after a growing wait."""
    api.answer(trouble, trouble, Answer(200, {"data": MISSION}))
    assert ask(lambda missions: missions.retrieve("m")).name == MISSION["name"]
    assert len(api.seen) == 3
    assert ask.slept == [0.5, 1.0]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_creations_are_never_repeated_blindly(ask: Asker, api: ScriptedServer, trouble: Answer) -> None:
    """A POST that the server may have acted on is sent once, and its error says that it may have acted."""
    api.answer(trouble, Answer(201, {"data": MISSION}))
    with pytest.raises(errors.APIError) as caught:
        ask(lambda missions: missions.create(name="x"))
    assert len(api.seen) == 1
    assert ask.slept == []
    assert getattr(caught.value, "sent", True) is True


def test_events_with_a_key_are_repeated(ask: Asker, api: ScriptedServer) -> None:
    """Logging an event is repeated when it carries an idempotency key, with the same body, and not otherwise."""
    event = Answer(201, {"data": contract.sample("EventData")})
    api.answer(DROP, event, DROP)
    ask(lambda m: m.runs.events.log("r", mission_id="m", summary="s", type="custom", idempotency_key="k"))
    assert len(api.seen) == 2
    assert api.seen[0].body == api.seen[1].body
    with pytest.raises(errors.APIConnectionError):
        ask(lambda m: m.runs.events.log("r", mission_id="m", summary="s", type="custom"))
    assert len(api.seen) == 3


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_obeyed_by_every_method(ask: Asker, api: ScriptedServer, status: int) -> None:
    """A request turned away with a Retry-After is sent again, POST or not, no sooner than the server asked."""
    api.answer(Answer(status, b"", {"retry-after": "3.5"}), Answer(201, {"data": MISSION}))
    ask(lambda missions: missions.create(name="x"))
    assert ask.slept == [3.5]


def test_a_deletion_whose_answer_was_lost_is_done(ask: Asker, api: ScriptedServer) -> None:
    """A DELETE that finds nothing after an attempt that may have worked succeeds; at first sight it is an error."""
    api.answer(DROP, Answer(404, {"detail": "gone"}), Answer(404, {"detail": "never was"}))
    assert ask(lambda missions: missions.delete("m")) is None
    with pytest.raises(errors.NotFoundError, match="never was"):
        ask(lambda missions: missions.delete("m"))


def test_a_server_that_never_answers_times_out(ask: Asker, api: ScriptedServer) -> None:
    """Waiting longer than `timeout` raises APITimeoutError, which says that the server may have acted."""
    api.answer(HANG)
    with pytest.raises(errors.APITimeoutError) as caught:
        ask(lambda missions: missions.create(name="x"), timeout=0.2)
    assert caught.value.sent is True
    assert isinstance(caught.value.__cause__, httpx.ReadTimeout)


def test_no_server_at_all_is_retried_even_for_creations(ask: Asker) -> None:
    """A POST that cannot have been sent is repeated, and the error says that it was not sent."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/v2"
        with pytest.raises(errors.APIConnectionError, match="ConnectError") as caught:
            ask(lambda missions: missions.create(name="x"), base_url=url)
    assert caught.value.sent is False
    assert ask.slept == [0.5, 1.0]


def test_our_requests_are_made_in_silence(ask: Asker, api: ScriptedServer) -> None:
    """While a request is made the quiet mark is set, and afterwards it is as before."""
    marks: list[bool] = []

    class Sync(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            marks.append(_context.quiet.get())
            return super().handle_request(request)

    class Async(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            marks.append(_context.quiet.get())
            return await super().handle_async_request(request)

    api.answer(Answer(200, {"data": MISSION}), Answer(200, {"data": MISSION}))
    if ask.kind == "sync":
        with httpx.Client(transport=Sync()) as http:
            ask(lambda missions: missions.retrieve("m"), http_client=http)
            assert not http.is_closed, "what was given is not ours to close"
    else:

        async def main() -> None:
            async with httpx.AsyncClient(transport=Async()) as http:
                async with AsyncMissionsClient(KEY, api.url, http_client=http) as client:
                    await client.missions.retrieve("m")
                assert not http.is_closed, "what was given is not ours to close"

        asyncio.run(main())
    assert marks == [True]
    assert _context.quiet.get() is False


def test_settings_come_from_arguments_then_the_environment(
    api: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client takes its key and URL from its arguments, else from TELNYX_API_KEY and TELNYX_BASE_URL."""
    monkeypatch.setenv("TELNYX_API_KEY", " from-environment\n")
    monkeypatch.setenv("TELNYX_BASE_URL", api.url + "/")
    api.answer(Answer(200, {"data": MISSION}), Answer(200, {"data": MISSION}))
    with MissionsClient() as client:
        client.missions.retrieve("m")
    with MissionsClient("argument") as client:
        client.missions.retrieve("m")
    assert [seen.headers["authorization"] for seen in api.seen] == ["Bearer from-environment", "Bearer argument"]
    assert {seen.target for seen in api.seen} == {"/v2/ai/missions/m"}


def test_a_client_needs_no_home_directory() -> None:
    """A client records nothing: where no home directory can be found it is made all the same."""
    code = processes.NO_USERS + "from mission_tracer import MissionsClient; MissionsClient('k', 'http://h').close()"
    done = processes.run([sys.executable, "-c", code], processes.homeless())
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("client", [MissionsClient, AsyncMissionsClient])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "TELNYX_API_KEY"),
        ({"api_key": "se cret"}, "api_key must be an API key"),
        ({"api_key": "secrét"}, "api_key must be an API key"),
        ({"api_key": "k", "base_url": "api.telnyx.com"}, "base_url"),
        ({"api_key": "k", "base_url": "http://h:99999999"}, "base_url"),
        ({"api_key": "k", "base_url": "http://h/v2?x=1"}, "base_url"),
        ({"api_key": "k", "base_url": "http://h/v2#x"}, "base_url"),
        ({"api_key": "k", "base_url": "http://user:secret@h/v2"}, "without user"),
        ({"api_key": "k", "timeout": "5"}, "timeout must be more than 0 seconds"),
        ({"api_key": "k", "timeout": 0}, "timeout must be more than 0 seconds"),
        ({"api_key": "k", "timeout": float("nan")}, "timeout must be more than 0 seconds"),
        ({"api_key": "k", "max_retries": "2"}, "max_retries must be a whole number"),
        ({"api_key": "k", "max_retries": -1}, "max_retries must be a whole number"),
        ({"api_key": "k", "max_retries": True}, "max_retries must be a whole number"),
        ({"api_key": "k", "http_client": 5}, "http_client must be an httpx"),
    ],
)
def test_wrong_settings_are_refused_at_once(
    client: Any, options: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Creating a client without a key, or with a wrong setting, raises ConfigurationError that hides the key."""
    monkeypatch.delenv("TELNYX_API_KEY", raising=False)
    monkeypatch.delenv("TELNYX_BASE_URL", raising=False)
    with pytest.raises(errors.ConfigurationError, match=words) as caught:
        client(**options)
    assert "cr" not in str(caught.value)
