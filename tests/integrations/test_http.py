"""HTTP requests as calls of a tool."""

from __future__ import annotations

import asyncio
import http.server
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

import mission_tracer as mt
from mission_tracer import facts
from mission_tracer._base.ownership import Rank, owning

from .told import are_the_same, bodies, events

Journal = Callable[[], list[facts.Fact]]

LIBRARIES = ["httpx", "httpx2", "requests"]


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with the path; `/to/...` redirects, `/404` is not found."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to"))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data = self.path.encode()
        self.send_response(404 if self.path == "/404" else 200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Set-Cookie", "session=hunter2-hunter2")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> Any:
    mt.configure(strict=True)
    return pytest.importorskip(request.param)


def get(library: Any, url: str, **options: Any) -> Any:
    if library.__name__ == "requests":
        with library.Session() as session:
            return session.get(url, **options)
    with library.Client(follow_redirects=True, verify=False) as client:  # verify: the context takes long to make
        return client.get(url, **options)


def test_a_request_is_a_call_of_a_tool(library: Any, url: str, journal: Journal) -> None:
    """Method and address are the arguments, status, kind and size the result; the caller has its response unchanged."""
    mt.instrument(library.__name__)
    with mt.mission_run("m"), mt.plan_step("s"):
        response = get(library, f"{url}/found?q=windows")
    assert response.text == "/found?q=windows"
    call, result = bodies(journal())
    assert call["payload"].pop("call_id") == result["payload"].pop("call_id")
    assert result["payload"].pop("duration_ms") > 0
    address = f"{url}/found?q=windows"
    assert call == {
        "type": "tool_call",
        "summary": f"http(method='GET', url='{address}')",
        "step_id": "s",
        "payload": {"tool": "http", "arguments": {"method": "GET", "url": address}},
    }
    assert result == {
        "type": "tool_result",
        "summary": "http: status: 200, content_type: text/plain, bytes: 16",
        "step_id": "s",
        "payload": {"tool": "http", "result": {"status": 200, "content_type": "text/plain", "bytes": 16}},
    }


def test_redirects_are_a_part_of_their_request(library: Any, url: str, journal: Journal) -> None:
    """A request that is redirected is one call, with the answer at its end."""
    mt.instrument(library.__name__)
    with mt.mission_run("m"):
        get(library, f"{url}/to/to/404")
    call, result = bodies(journal())
    assert call["payload"]["arguments"]["url"] == f"{url}/to/to/404"
    assert result["payload"]["result"]["status"] == 404


def test_a_failed_request_is_an_error(library: Any, journal: Journal) -> None:
    """A request that gets no answer is one error event of that call, and the error reaches the caller."""
    mt.instrument(library.__name__)
    errors = library.ConnectionError if library.__name__ == "requests" else library.ConnectError
    with mt.mission_run("m"), pytest.raises(errors):
        get(library, "http://127.0.0.1:1/")
    call, error = bodies(journal())
    assert (error["type"], error["payload"]["call_id"]) == ("error", call["payload"]["call_id"])


def test_secrets_are_stripped(library: Any, url: str, journal: Journal) -> None:
    """Users, passwords, secret parameters, fragments and secret headers are nowhere, headers only on request."""
    mt.instrument(library.__name__, headers=True)
    address = (
        url.replace("://", "://me:hunter2-hunter2@") + "/x?api_key=hunter2-hunter2&q=1#access_token=hunter2-hunter2"
    )
    headers = {
        "Authorization": "Bearer hunter2-hunter2",
        "X-Api-Key": "hunter2-hunter2",
        "X-Plain": "told",
        "Cookie": "a=hunter2-hunter2",
    }
    with mt.mission_run("m"):
        get(library, address, headers=headers)
    written = b"".join(bytes(f.body) for f in journal() if isinstance(f, facts.Event))
    assert b"hunter2" not in written
    call, result = bodies(journal())
    asked = call["payload"]["arguments"]
    assert asked["url"] == f"{url}/x?api_key=[redacted]&q=1"
    assert asked["headers"]["x-plain"] == "told"
    assert asked["headers"]["authorization"] == asked["headers"]["x-api-key"] == "[redacted]"
    assert result["payload"]["result"]["headers"]["set-cookie"] == "[redacted]"


def test_secret_headers_are_stripped_although_nothing_is_redacted(library: Any, url: str, journal: Journal) -> None:
    """With `redact` off, users and passwords of addresses and secret headers are stripped all the same."""
    mt.configure(strict=True, redact=False)
    mt.instrument(library.__name__, headers=True)
    with mt.mission_run("m"):
        get(library, url.replace("://", "://me:hunter2@") + "/x", headers={"X-Api-Key": "hunter2"})
    assert b"hunter2" not in b"".join(bytes(f.body) for f in journal() if isinstance(f, facts.Event))


def test_outside_skipped_owned_and_quiet_requests_are_left_out(library: Any, url: str, journal: Journal) -> None:
    """Without a run, to a skipped host, or inside of a call that somebody else records, a request is no call."""
    mt.instrument(library.__name__, skip=["127.0.0.1"])
    get(library, url)
    with mt.mission_run("m"):
        get(library, url)
        with owning(Rank.CLIENT):
            get(library, url.replace("127.0.0.1", "localhost"))
    assert events(journal()) == []


@pytest.mark.parametrize("name", ["httpx", "httpx2"])
def test_asynchronous_requests(name: str, url: str, journal: Journal) -> None:
    """Asynchronous requests are calls of the step that awaits them; a cancelled one says so."""
    library: Any = pytest.importorskip(name)
    mt.configure(strict=True)
    mt.instrument(name)

    async def main() -> None:
        async with library.AsyncClient(verify=False) as client:
            with mt.mission_run("m"), mt.plan_step("s"):
                assert (await client.get(f"{url}/one")).text == "/one"
                async with client.stream("GET", f"{url}/two") as response:
                    assert not response.is_stream_consumed
                    assert await response.aread() == b"/two"
                with pytest.raises(library.ConnectError):
                    await client.get("http://127.0.0.1:1/")

            waiting = asyncio.Event()

            async def handler(request: Any) -> Any:
                waiting.set()
                await asyncio.Event().wait()

            async with library.AsyncClient(transport=library.MockTransport(handler)) as stuck:
                with mt.mission_run("m"):
                    task = asyncio.create_task(stuck.get("http://x/"))
                    await waiting.wait()
                    task.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await task

    asyncio.run(main())
    told = [(kind, step) for kind, _, step in events(journal())]
    assert told == [
        ("tool_call", "s"),
        ("tool_result", "s"),
        ("tool_call", "s"),
        ("tool_result", "s"),
        ("tool_call", "s"),
        ("error", "s"),
        ("tool_call", None),
        ("tool_result", None),
    ]
    assert bodies(journal())[-1]["payload"]["result"] == {"cancelled": True}


def test_a_streamed_body_is_not_read(library: Any, url: str, journal: Journal) -> None:
    """A streamed response is handed over unread."""
    mt.instrument(library.__name__)
    with mt.mission_run("m"):
        if library.__name__ == "requests":
            with library.Session() as session, session.get(url, stream=True) as response:
                assert response.raw.tell() == 0
                assert response.text == "/"
        else:
            with library.Client(verify=False) as client, client.stream("GET", url) as response:
                assert not response.is_stream_consumed
                assert response.read() == b"/"
    assert len(events(journal())) == 2


def test_our_own_requests_are_no_calls(api: Any) -> None:
    """Delivering, which uses httpx, is not recorded as calls of a tool."""
    mt.instrument("httpx")
    with mt.mission_run("m"):
        mt.log_event("one")
        assert mt.flush(20)
    assert mt.flush(20)
    assert [e.summary for e in api.only_run()["events"]] == ["one"]


@pytest.mark.parametrize("capture", ["names", "off"])
def test_less_is_kept_when_less_is_wanted(capture: str, library: Any, url: str, journal: Journal) -> None:
    """With `capture` names or off, addresses and answers are not kept."""
    mt.configure(strict=True, capture=capture)
    mt.instrument(library.__name__)
    with mt.mission_run("m"):
        get(library, f"{url}/secret-place")
    assert "secret-place" not in str(bodies(journal()))
    assert [e[0] for e in events(journal())] == ["tool_call", "tool_result"]


def test_switching_off_restores_everything(library: Any) -> None:
    """After `uninstrument` the library's methods are its own again."""
    owners = [library.Session] if library.__name__ == "requests" else [library.Client, library.AsyncClient]
    before = [vars(owner)["send"] for owner in owners]
    mt.instrument(library.__name__)
    assert all(vars(owner)["send"] is not send for owner, send in zip(owners, before, strict=True))
    mt.uninstrument(library.__name__)
    assert are_the_same([vars(owner)["send"] for owner in owners], before)


def test_an_error_of_ours_does_not_reach_the_program(capfd: pytest.CaptureFixture[str]) -> None:
    """When our part before or after a request fails, the request is made and answered as ever."""
    mt.configure(log_level="error")
    mt.instrument("httpx", headers=True)

    class Hostile(httpx.Headers):
        def items(self) -> Any:
            raise RuntimeError("ours")

    def handler(request: httpx.Request) -> httpx.Response:
        response = httpx.Response(200, text="fine")
        if request.url.path == "/after":
            response.headers = Hostile()
        return response

    with mt.mission_run("m"), httpx.Client(transport=httpx.MockTransport(handler)) as client:
        request = client.build_request("GET", "http://x/before")
        request.headers = Hostile(request.headers)
        assert client.send(request).text == "fine"
        assert client.get("http://x/after").status_code == 200
    assert "an error of ours" in capfd.readouterr().err
