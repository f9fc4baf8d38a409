"""A real HTTP server in a thread that answers what a test tells it to, and both clients to ask it."""

import asyncio
import json
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import httpx

from mission_tracer.client import AsyncMissionsClient, MissionsClient

KEY = "KEY_secret_123"

# Reading the certificates of the world takes longer than all the rest of a test; redirects are the hardest default.
HTTP: dict[str, Any] = {"verify": False, "follow_redirects": True}


@dataclass(frozen=True)
class Answer:
    """One answer.

    Args:
        status: the HTTP status.
        body: bytes as they are, anything else as JSON.
        headers: more headers.
        cut: how many bytes of the announced body are never sent.
    """

    status: int = 200
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0


DROP = Answer(status=0)
"""Close the connection without an answer."""

HANG = Answer(status=-1)
"""Say nothing until the test is over."""


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class ScriptedServer:
    """Answers in order; a request beyond the script gets a 418."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.seen: list[Seen] = []
        self.script: deque[Answer] = deque()
        self.over = threading.Event()

    def answer(self, *answers: Answer) -> None:
        self.script.extend(answers)


@contextmanager
def scripted_server() -> Iterator[ScriptedServer]:
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server = ScriptedServer(f"http://127.0.0.1:{httpd.server_port}/v2")
    httpd.script = server  # type: ignore[attr-defined]
    httpd.daemon_threads = False
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        httpd.shutdown()
        httpd.server_close()
        thread.join()


class Asker:
    """Puts one question to the server through either client, in the words of the synchronous one."""

    def __init__(self, kind: str, server: ScriptedServer) -> None:
        self.kind = kind
        self.server = server
        self.slept: list[float] = []

    def __call__(self, question: Callable[[Any], Any], **options: Any) -> Any:
        options = {"api_key": KEY, "base_url": self.server.url, "timeout": 5, "draw": lambda: 1.0, **options}
        if self.kind == "sync":
            with httpx.Client(**HTTP) as http:
                options = {"http_client": http, "sleep": self.slept.append, **options}
                return question(MissionsClient(**options).missions)
        return asyncio.run(self._ask(question, options))

    async def _ask(self, question: Callable[[Any], Awaitable[Any]], options: dict[str, Any]) -> Any:
        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)

        async with httpx.AsyncClient(**HTTP) as http:
            options = {"http_client": http, "sleep": sleep, **options}
            return await question(AsyncMissionsClient(**options).missions)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10
    disable_nagle_algorithm = True
    wbufsize: ClassVar[int] = -1

    def _serve(self) -> None:
        script: ScriptedServer = self.server.script  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        script.seen.append(Seen(self.command, self.path, headers, body))
        answer = script.script.popleft() if script.script else Answer(418)
        if answer is HANG:
            script.over.wait(10)
        if answer in (DROP, HANG):
            self.close_connection = True
            return
        content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in {"content-type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("content-length", str(len(content) + answer.cut))
        self.end_headers()
        if answer.status != 204:
            self.wfile.write(content)
        self.wfile.flush()
        self.close_connection = bool(answer.cut)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - the names http.server looks for

    def log_message(self, format: str, *args: object) -> None:
        pass
