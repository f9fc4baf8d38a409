"""One exchange with a server of any kind; what comes of each answer is in `test_answers`."""

from __future__ import annotations

import gzip
import http.server
import threading
import zlib
from collections.abc import Callable

import pytest

from mission_tracer._actions import Answer, Call, Lost
from mission_tracer._transport import Transport

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
        transport = Transport(
            f"http://127.0.0.1:{server.server_port}/v2", "k", timeout=10, connections=1, user_agent="test"
        )
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
