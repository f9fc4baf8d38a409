"""One exchange with a server of any kind; what comes of each answer is in `test_answers`."""

from __future__ import annotations

import base64
import gzip
import http.server
import os
import socket
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpcore
import pytest

import mission_tracer._sending.transport as transport_module
from mission_tracer._planning.actions import Answer, Call, Lost, Unsent
from mission_tracer._sending.transport import Transport
from mission_tracer._sending.transport_deadline import Punctual
from tests.processes import served
from tests.scripted import Answer as Reply
from tests.scripted import scripted_server

Start = Callable[[dict[str, str], bytes], Transport]

BODY = b'{"data": {"mission_id": "m1"}}'
CALL = Call("missions.retrieve", {"mission_id": "m1"})


@pytest.fixture
def answers(request: pytest.FixtureRequest) -> Start:
    """Start a server that says the same to everyone."""

    def start(headers: dict[str, str], body: bytes) -> Transport:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                for name, value in {
                    "content-type": "application/json",
                    "content-length": str(len(body)),
                    **headers,
                }.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        transport = Transport(f"http://127.0.0.1:{server.server_port}/v2", "k", timeout=10, user_agent="test")
        for end in (thread.join, server.server_close, server.shutdown, transport.close):
            request.addfinalizer(end)
        return transport

    return start


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("Deflate", zlib.compress), ("identity", bytes)])
def test_a_packed_answer_is_unpacked(answers: Start, coding: str, pack: Callable[[bytes], bytes]) -> None:
    """What stands before the API may pack answers although nobody asked for it."""
    answer = answers({"Content-Encoding": coding}, pack(BODY)).exchange(CALL)
    assert isinstance(answer, Answer)
    assert answer.data == {"mission_id": "m1"}


def test_an_answer_that_cannot_be_unpacked_is_no_answer(
    answers: Start,
) -> None:
    """It is as if it had been lost on the way: nobody knows what the server did."""
    answer = answers({"content-encoding": "gzip"}, b"not packed at all").exchange(CALL)
    assert isinstance(answer, Lost)
    assert answer.status == 200


def test_a_key_hides_nothing_of_a_success() -> None:
    """A short key of a test may be a word of the answer."""
    with scripted_server() as api:
        api.answer(Reply(200, {"data": {"mission_id": "m1"}}))
        transport = Transport(api.url, "mission", timeout=10, user_agent="test")
        assert transport.exchange(CALL) == Answer(200, {"mission_id": "m1"}, 1 << 30)
        transport.close()


@pytest.mark.parametrize(
    ("status", "key"), [(200, "KEY_secret"), (422, "KEY_secret"), (401, "KEY_secret"), (500, "KEY_secret"), (422, "x")]
)
def test_a_key_that_the_server_gives_back_goes_nowhere(status: int, key: str) -> None:
    """What a server says is logged and kept: without the key that it may repeat, unless that is too short to be one."""
    with scripted_server() as api:
        api.answer(Reply(status, {"detail": f"exactly: Bearer {key}"}))
        transport = Transport(api.url, key, timeout=10, user_agent="test")
        outcome = transport.exchange(CALL)
        transport.close()
    assert f"exactly: Bearer {'x' if key == 'x' else '[redacted]'}" in outcome.why


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(204), Answer),
        (Reply(200, {"data": {}}), Answer),
        (Reply(200, {"data": None}), Answer),
        (Reply(200, {"status": "maintenance"}), Lost),
        (Reply(200, []), Lost),
        (Reply(200), Lost),
    ],
)
def test_a_success_has_data_or_says_that_it_has_none(reply: Reply, kind: type) -> None:
    """Every answer of the API has `data`, but for a 204: any other comes from somebody else, and tells nothing."""
    call = Call("missions.runs.telnyx_agents.unlink", {"mission_id": "m", "run_id": "r", "telnyx_agent_id": "a"})
    assert type(told(reply, call)) is kind


WORDS = {"errors": [{"title": "no"}]}
PAGE = b"<html>default backend - 404</html>"


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        *((status, WORDS, Unsent("", after=7.0)) for status in (402, 407, 421, 429)),
        *((status, WORDS, Unsent("", after=7.0, here=True)) for status in (423, 425)),
        *((status, WORDS, Answer(status)) for status in (404, 405, 410, 418, 451)),
        *((status, PAGE, Unsent("", after=7.0, here=True)) for status in (404, 405, 410, 451)),
        *((status, PAGE, Answer(status)) for status in (400, 413, 422)),
    ],
)
def test_what_may_be_taken_later_is_no_refusal(status: int, body: Any, outcome: Answer | Unsent) -> None:
    """What says "not now", or that nobody is there and is not the API's, had no effect; what remains is for good."""
    reply = told(Reply(status, body, {"retry-after": "7"}))
    assert isinstance(reply, type(outcome))
    assert str(status) in reply.why
    assert replace(reply, why="") == outcome


def told(reply: Reply, call: Call = CALL) -> Any:
    """Put one question to a server that answers so."""
    with scripted_server() as server:
        server.answer(reply)
        transport = Transport(server.url, "k", timeout=10, user_agent="test")
        try:
            return transport.exchange(call)
        finally:
            transport.close()


class Counting(http.server.ThreadingHTTPServer):
    """Keep and count connections, note what is asked, and answer when as many requests are there as are waited for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.made = 0
        self.connections: list[socket.socket] = []
        self.asked: list[tuple[str, str | None]] = []
        self.together = threading.Barrier(1)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.made += 1
        self.connections.append(request)
        super().process_request(request, client_address)

    def hang_up(self) -> None:
        """End the connections, as a server does that waited long enough."""
        for connection in self.connections:
            connection.shutdown(socket.SHUT_WR)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            assert isinstance(self.server, Counting)
            self.server.asked.append((self.path, self.headers["proxy-authorization"]))
            self.server.together.wait(10)
            self.send_response(200)
            self.send_header("content-length", str(len(BODY)))
            self.end_headers()
            self.wfile.write(BODY)

        def log_message(self, *_: object) -> None:
            pass


@contextmanager
def serving(server: http.server.HTTPServer, make: Callable[[str], Transport]) -> Iterator[Transport]:
    """Run a server, and a transport that is made for its address."""
    with server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        transport = make(f"127.0.0.1:{server.server_port}")
        try:
            yield transport
        finally:
            transport.close()
            server.shutdown()
            thread.join()


@contextmanager
def counting() -> Iterator[tuple[Counting, Transport]]:
    """Run a server that counts connections, and a transport to it."""
    server = Counting()
    with serving(server, lambda at: Transport(f"http://{at}", "k", timeout=10, user_agent="test")) as transport:
        yield server, transport


def test_a_connection_is_kept_and_there_are_as_many_as_requests_at_once() -> None:
    """Requests that follow one another share a connection; those at the same time have one each, and keep it."""
    with counting() as (server, transport):
        for _ in range(3):
            assert isinstance(transport.exchange(CALL), Answer)
        assert server.made == 1
        for _ in range(2):
            server.together = threading.Barrier(4)
            with ThreadPoolExecutor(4) as threads:
                answers = list(threads.map(lambda _: transport.exchange(CALL), range(4)))
            assert all(isinstance(answer, Answer) for answer in answers)
            assert server.made == 4
        assert len(transport._idle) == 4
        transport.close()
        assert len(transport._idle) == 0


def test_a_connection_that_was_not_needed_for_long_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was open for a burst is closed when requests follow one another again."""
    with counting() as (server, transport):
        server.together = threading.Barrier(3)
        with ThreadPoolExecutor(3) as threads:
            assert len(list(threads.map(lambda _: transport.exchange(CALL), range(3)))) == 3
        assert len(transport._idle) == 3
        server.together = threading.Barrier(1)
        monkeypatch.setattr(transport_module, "_KEPT", -1.0)  # the time is over at once, instead of after a wait
        assert isinstance(transport.exchange(CALL), Answer)
        assert len(transport._idle) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="lists open files")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_keeps_none() -> None:
    """Its parent's connections, idle or in use, would stay open for the server as long as the child lives."""

    def opened() -> set[str]:
        return {str(file) for file in Path("/proc/self/fd").iterdir() if file.is_socket()}

    with served() as base_url:
        transport = Transport(base_url, "k", timeout=10, user_agent="test")
        before = opened()
        assert isinstance(transport.exchange(CALL), Answer)
        kept = opened() - before
        assert len(kept) == 1
        child = os.fork()
        if child == 0:
            os._exit(len(kept & opened()))
        assert os.waitpid(child, 0)[1] == 0
        assert isinstance(transport.exchange(CALL), Answer)
        assert opened() - before == kept
        transport.close()


def test_a_connection_that_the_server_closed_is_not_used(answers: Start) -> None:
    """A server that ends each connection with its answer loses no request."""
    transport = answers({}, BODY)  # it speaks HTTP/1.0
    for _ in range(3):
        assert isinstance(transport.exchange(CALL), Answer)
        assert len(transport._idle) == 0


def test_a_connection_that_the_server_closed_later_is_not_used() -> None:
    """A connection that was kept, and that the server closed meanwhile, is replaced by another one."""
    with counting() as (server, transport):
        assert isinstance(transport.exchange(CALL), Answer)
        server.hang_up()
        assert isinstance(transport.exchange(CALL), Answer)
        assert server.made == 2


@contextmanager
def dribbling(beginning: bytes, drop: bytes) -> Iterator[str]:
    """Answer with a beginning, and then with one drop after the other until the client hangs up."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with listener.accept()[0] as connection, suppress(OSError):
                connection.sendall(beginning)
                while not over.wait(0.02):
                    connection.sendall(drop)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize(
    ("beginning", "drop"),
    [
        (b"HTTP/1.1 201 Created\r\n", b"x: y\r\n"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 201 Created\r\ncontent-length: 100000\r\n\r\n", b" "),
    ],
    ids=["headers", "answers that are none yet", "body"],
)
def test_an_answer_that_comes_drop_by_drop_ends_in_time(beginning: bytes, drop: bytes) -> None:
    """The whole of an exchange ends when its time is over, whatever part of the answer comes so slowly."""
    with dribbling(beginning, drop) as at:
        transport = Transport(at, "k", timeout=0.3, user_agent="test")
        began = time.monotonic()
        answer = transport.exchange(CALL)
        assert time.monotonic() - began < 2
        transport.close()
    assert isinstance(answer, Lost)
    assert answer.why.startswith("ReadTimeout")


def test_a_greeting_that_names_no_time_ends_with_that_of_connecting() -> None:
    """What is read from a proxy before the request is has until the moment by which the connection had to be made."""
    with dribbling(b"", b"x") as at:
        stream = Punctual().connect_tcp("127.0.0.1", int(at.rpartition(":")[2]), time.monotonic() + 0.2)
        began = time.monotonic()
        with pytest.raises(httpcore.ReadTimeout):
            list(iter(lambda: stream.read(1), b""))  # up to the end, which does not come
        assert time.monotonic() - began < 2
        stream.close()


def test_whatever_breaks_an_exchange_is_a_lost_answer(answers: Start) -> None:
    """An error that no network makes is taken as if the answer had been lost, with its words."""
    transport = answers({}, BODY)
    transport._timeout = float("inf")
    answer = transport.exchange(CALL)
    assert isinstance(answer, Lost)
    assert answer.why.startswith("OverflowError: ")


@pytest.mark.parametrize("variable", ["http_proxy", "all_proxy"])
def test_a_proxy_is_used(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests go through the proxy that the environment names, with its credentials, and share a connection to it."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)

    def behind(proxy: str) -> Transport:
        monkeypatch.setenv(variable, f"http://me:secret@{proxy}")
        return Transport("http://api.example/v2", "k", timeout=10, user_agent="test")

    server = Counting()
    with serving(server, behind) as transport:
        for _ in range(2):
            assert isinstance(transport.exchange(CALL), Answer)
    basic = "Basic " + base64.b64encode(b"me:secret").decode()
    assert server.asked == [("http://api.example/v2/ai/missions/m1", basic)] * 2
    assert server.made == 1


def test_who_needs_no_proxy_is_asked_directly(answers: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that `no_proxy` names is asked without the proxy."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert isinstance(answers({}, BODY).exchange(CALL), Answer)
