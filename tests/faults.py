"""A reverse proxy that does to HTTP what networks and servers do: a process of its own, or a thread of the test's.

    python tests/faults.py --upstream http://127.0.0.1:4010 --seed 7 --rates drop_after=0.1,500_before=0.05

Which fault the n-th request meets is drawn from the seed, or taken from a script, each entry once, or from rules, which
hold for ever. All can be changed while it runs: `PUT /_faults` takes `{"rates": {...}, "script": [...], "rules": [...],
"seed": 7}`; `GET /_faults` tells what was done so far.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import random
import re
import signal
import socket
import struct
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import urlsplit

PASS = "pass"
SECONDS = {"hang": 60.0, "slow": 0.15, "delay": 0.2, "dribble": 0.2}
"""How long a fault lasts that lasts: how long nothing is said, until an answer, until the effect, between two bytes."""

MIXED = {
    "drop_before": 0.02,
    "drop_after": 0.03,
    "reset_after": 0.01,
    "500_before": 0.02,
    "500_after": 0.02,
    "429": 0.01,
    "503": 0.01,
    "hang_before": 0.003,
    "hang_after": 0.003,
    "truncate": 0.01,
    "html_502": 0.01,
    "html_200": 0.005,
    "slow": 0.02,
    "delay": 0.01,
}
"""A bad day: about one request in six meets a fault."""


@dataclass(frozen=True)
class Fault:
    """One entry of a script, or a rule: what happens, and to which requests.

    `match` is a pattern over `METHOD /path`, `body` is found in the request's body; `pid` is the process that
    `kill_before` and `kill_after` kill.
    """

    kind: str
    match: str = ""
    body: str = ""
    seconds: float | None = None
    pid: int = 0
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Plan:
    """Decide what happens to each request."""

    rates: dict[str, float] = field(default_factory=dict)
    script: deque[Fault] = field(default_factory=deque)
    rules: list[Fault] = field(default_factory=list)
    seed: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: dict(SECONDS))

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        self.random = random.Random(self.seed)
        self.done: Counter[str] = Counter()
        self.requests: deque[tuple[str, str]] = deque(maxlen=100_000)
        self.bodies: deque[bytes] = deque(maxlen=1000)

    def change(self, changes: Mapping[str, Any]) -> None:
        """Take in what the admin says; what is not named stays."""
        script, rules = (
            [entry if isinstance(entry, Fault) else read_fault(entry) for entry in changes.get(name, ())]
            for name in ("script", "rules")
        )
        check([*changes.get("rates", ()), *(fault.kind for fault in script + rules)])
        with self.lock:
            if "rates" in changes:
                self.rates = dict(changes["rates"])
            if "script" in changes:
                self.script = deque(script)
            if "rules" in changes:
                self.rules = rules
            if "seed" in changes:
                self.seed, self.random = changes["seed"], random.Random(changes["seed"])
            self.seconds.update(changes.get("seconds", {}))

    def decide(self, request: str, body: bytes = b"") -> Fault:
        """Choose what happens to a request, and remember it: the script's next entry, a rule, or what is drawn."""
        with self.lock:
            fault = self._scripted(request, body) or self._ruled(request, body) or self._drawn()
            self.done[fault.kind] += 1
            self.requests.append((request, fault.kind))
            return fault

    def _scripted(self, request: str, body: bytes) -> Fault | None:
        return self.script.popleft() if self.script and _meets(self.script[0], request, body) else None

    def _ruled(self, request: str, body: bytes) -> Fault | None:
        return next((rule for rule in self.rules if _meets(rule, request, body)), None)

    def _drawn(self) -> Fault:
        drawn = self.random.random()
        for kind, rate in self.rates.items():
            drawn -= rate
            if drawn < 0:
                return Fault(kind)
        return Fault(PASS)

    def last(self, fault: Fault, kind: str) -> float:
        """Say how long a fault lasts, in seconds."""
        return self.seconds[kind] if fault.seconds is None else fault.seconds


def _meets(fault: Fault, request: str, body: bytes) -> bool:
    return bool(re.search(fault.match, request)) and fault.body.encode() in body


def read_fault(entry: Any) -> Fault:
    return Fault(entry) if isinstance(entry, str) else Fault(**entry)


@dataclass(frozen=True)
class Reply:
    """What a server said."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Exchange:
    """One request on its way: what a fault may do with it."""

    def __init__(self, handler: _Handler, body: bytes, fault: Fault) -> None:
        self.handler = handler
        self.body = body
        self.fault = fault
        self.plan = handler.plan

    def forward(self) -> Reply:
        return self.handler.forward(self.body)

    def answer(self, reply: Reply) -> None:
        self.handler.say(reply.status, reply.headers, reply.body)

    def page(self, status: int, words: str = "a page") -> None:
        body = f"<html><head><title>{words}</title></head><body>{words}</body></html>".encode()
        self.handler.say(status, [("content-type", "text/html")], body)

    def error(self, status: int, **headers: str) -> None:
        body = json.dumps({"errors": [{"code": str(status), "title": "a fault", "detail": "made by the proxy"}]})
        named = [(name.replace("_", "-"), text) for name, text in {**headers, **self.fault.headers}.items()]
        self.handler.say(status, [("content-type", "application/json"), *named], body.encode())

    def wait(self, kind: str) -> None:
        self.handler.server.over.wait(self.plan.last(self.fault, kind))  # type: ignore[attr-defined]


def _pass(exchange: Exchange) -> None:
    exchange.answer(exchange.forward())


def _drop_before(exchange: Exchange) -> None:
    exchange.handler.drop()


def _drop_after(exchange: Exchange) -> None:
    exchange.forward()
    exchange.handler.drop()


def _reset_after(exchange: Exchange) -> None:
    exchange.forward()
    exchange.handler.drop(reset=True)


def _500_before(exchange: Exchange) -> None:
    exchange.error(500)


def _500_after(exchange: Exchange) -> None:
    exchange.forward()
    exchange.error(500)


def _429(exchange: Exchange) -> None:
    exchange.error(429, retry_after="0.05")


def _503(exchange: Exchange) -> None:
    exchange.error(503)


def _hang_before(exchange: Exchange) -> None:
    exchange.wait("hang")
    exchange.handler.drop()


def _hang_after(exchange: Exchange) -> None:
    exchange.forward()
    exchange.wait("hang")
    exchange.handler.drop()


def _truncate(exchange: Exchange) -> None:
    reply = exchange.forward()
    exchange.handler.say(reply.status, reply.headers, reply.body, cut=max(1, len(reply.body) // 2))


def _half(exchange: Exchange) -> None:
    """Announce what is sent, so that the answer looks whole and is no JSON."""
    reply = exchange.forward()
    exchange.handler.say(reply.status, reply.headers, reply.body[: len(reply.body) // 2])


def _html_404(exchange: Exchange) -> None:
    exchange.page(404, "default backend - 404")


def _html_502(exchange: Exchange) -> None:
    exchange.page(502, "Bad Gateway")


def _html_200(exchange: Exchange) -> None:
    exchange.page(200, "Log in to the hotel's network")


def _json_200(exchange: Exchange) -> None:
    exchange.handler.say(200, [("content-type", "application/json")], b'{"status": "maintenance"}')


def _hollow(exchange: Exchange) -> None:
    exchange.handler.say(200, [("content-type", "application/json")], b'{"data": {}}')


def _slow(exchange: Exchange) -> None:
    reply = exchange.forward()
    exchange.wait("slow")
    exchange.answer(reply)


def _dribble(exchange: Exchange) -> None:
    reply = exchange.forward()
    exchange.handler.say(reply.status, reply.headers, reply.body, pause=exchange.plan.last(exchange.fault, "dribble"))


def _delay(exchange: Exchange) -> None:
    """Lose the connection now; the effect comes later."""
    delay, body, forward = exchange.plan.last(exchange.fault, "delay"), exchange.body, exchange.handler.later()
    exchange.handler.drop()

    def late() -> None:
        time.sleep(delay)
        with contextlib.suppress(OSError, http.client.HTTPException):
            forward(body)

    threading.Thread(target=late, daemon=True).start()


def _kill_before(exchange: Exchange) -> None:
    _kill(exchange)
    exchange.handler.drop()


def _kill_after(exchange: Exchange) -> None:
    """Let a request take effect, and kill its sender before it hears of it."""
    exchange.forward()
    _kill(exchange)
    exchange.handler.drop()


def _kill(exchange: Exchange) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(exchange.fault.pid, signal.SIGKILL)


def _redirect(exchange: Exchange) -> None:
    exchange.handler.say(307, [("location", "http://127.0.0.1:9/elsewhere")], b"")


def _status(status: int) -> Callable[[Exchange], None]:
    return lambda exchange: exchange.error(status)


KINDS: dict[str, Callable[[Exchange], None]] = {
    PASS: _pass,
    "drop_before": _drop_before,
    "drop_after": _drop_after,
    "reset_after": _reset_after,
    "500_before": _500_before,
    "500_after": _500_after,
    "429": _429,
    "503": _503,
    "hang_before": _hang_before,
    "hang_after": _hang_after,
    "truncate": _truncate,
    "half": _half,
    "html_404": _html_404,
    "html_502": _html_502,
    "html_200": _html_200,
    "json_200": _json_200,
    "hollow": _hollow,
    "slow": _slow,
    "dribble": _dribble,
    "delay": _delay,
    "kill_before": _kill_before,
    "kill_after": _kill_after,
    "redirect": _redirect,
    **{str(status): _status(status) for status in (400, 401, 402, 403, 404, 408, 409, 413, 422, 423, 501, 504)},
}


def check(kinds: Sequence[str]) -> None:
    """Refuse names of faults that do not exist."""
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise ValueError(f"unknown faults {unknown}: there are {', '.join(KINDS)}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536
    disable_nagle_algorithm = True
    timeout = 120
    # Kept by the connection that a request came on.
    upstream: http.client.HTTPConnection | None = None
    HOPS: ClassVar[set[str]] = {"host", "connection", "keep-alive", "transfer-encoding", "content-length"}

    @property
    def plan(self) -> Plan:
        return self.server.plan  # type: ignore[attr-defined,no-any-return]

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            pass  # the client went away
        finally:
            if self.upstream is not None:
                self.upstream.close()

    def _serve(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:  # its sender died in the middle of it, and no server takes it for a whole one
            self.drop()
            return
        if self.path == "/_faults":
            self._administer(body)
            return
        self.plan.bodies.append(body)
        fault = self.plan.decide(f"{self.command} {self.path}", body)
        try:
            KINDS[fault.kind](Exchange(self, body, fault))
        except (http.client.HTTPException, OSError):
            if self.server.over.is_set():  # type: ignore[attr-defined]
                self.close_connection = True
            else:
                self.say(502, [("content-type", "text/plain")], b"the upstream cannot be reached")

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve  # noqa: N815 - the names are the library's

    def _administer(self, body: bytes) -> None:
        try:
            if self.command == "PUT":
                self.plan.change(json.loads(body))
            told = {"done": dict(self.plan.done), "requests": list(self.plan.requests), "script": len(self.plan.script)}
            self.say(200, [("content-type", "application/json")], json.dumps(told).encode())
        except (ValueError, TypeError) as error:
            self.say(400, [("content-type", "text/plain")], str(error).encode())

    def forward(self, body: bytes) -> Reply:
        """Ask the upstream over this connection's own connection to it."""
        for attempt in (1, 2):
            if self.upstream is None:
                self.upstream = self.server.connect()  # type: ignore[attr-defined]
            try:
                return self._ask(self.upstream, body)
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                # An idle connection that the upstream has closed; a new one is not closed under us.
                self.upstream.close()
                self.upstream = None
                if attempt == 2:
                    raise
        raise AssertionError

    def later(self) -> Callable[[bytes], Reply]:
        """Return what asks the upstream when this connection is gone."""
        connect, ask = self.server.connect, self._ask  # type: ignore[attr-defined]

        def forward(body: bytes) -> Reply:
            connection = connect()
            try:
                return ask(connection, body)
            finally:
                connection.close()

        return forward

    def _ask(self, connection: http.client.HTTPConnection, body: bytes) -> Reply:
        headers = {name: text for name, text in self.headers.items() if name.lower() not in self.HOPS}
        connection.request(self.command, self.path, body=body or None, headers=headers)
        response = connection.getresponse()
        content = response.read()
        kept = [(name, text) for name, text in response.getheaders() if name.lower() not in self.HOPS]
        return Reply(response.status, kept, content)

    def say(
        self, status: int, headers: list[tuple[str, str]], body: bytes, *, cut: int = 0, pause: float = 0.0
    ) -> None:
        """Answer; `cut` bytes are announced and never sent, `pause` seconds lie between two bytes."""
        self.send_response_only(status)
        for name, text in headers:
            self.send_header(name, text)
        if status != 204:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        for byte in [body[i : i + 1] for i in range(len(body))] if pause else [body[: len(body) - cut]]:
            self.wfile.write(byte)
            if pause:
                self.wfile.flush()
                if self.server.over.wait(pause):  # type: ignore[attr-defined]
                    break
        self.wfile.flush()
        if cut:
            self.drop()

    def drop(self, *, reset: bool = False) -> None:
        """Break the connection."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            if reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            else:
                self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, upstream: str, plan: Plan, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        parts = urlsplit(upstream)
        self.host, self.upstream_port = parts.hostname or "", parts.port or 80
        self.plan = plan
        self.over = threading.Event()

    def connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(self.host, self.upstream_port, timeout=30)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], (OSError, ValueError)):
            super().handle_error(request, client_address)


@dataclass(frozen=True)
class FaultyProxy:
    """A proxy under way in this process."""

    base_url: str
    plan: Plan

    def change(self, **changes: Any) -> None:
        """Change the rates, the script or the seed from now on."""
        self.plan.change(changes)

    def seen(self, pattern: str = "") -> list[tuple[str, str]]:
        """List the requests so far that match, each with the fault it met."""
        return [entry for entry in list(self.plan.requests) if re.search(pattern, entry[0])]


@contextmanager
def faulty(
    upstream: str, *, seed: int = 0, rates: Mapping[str, float] | None = None, script: Sequence[Any] = (), port: int = 0
) -> Iterator[FaultyProxy]:
    """Put a proxy before `upstream` while the block runs.

    Args:
        upstream: The base URL of the real server; its path is kept in the proxy's base URL.
        seed: What the faults are drawn from.
        rates: How many of all requests meet a fault, by its kind.
        script: Faults in order, before any is drawn.
        port: 0: a free one.
    """
    plan = Plan(seed=seed)
    plan.change({"rates": dict(rates or {}), "script": list(script)})
    server = _Server(upstream, plan, port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="faults")
    thread.start()
    try:
        yield FaultyProxy(f"http://127.0.0.1:{server.server_port}{urlsplit(upstream).path}", plan)
    finally:
        server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a proxy until it is told to stop."""
    parser = argparse.ArgumentParser(description="Put faults between a client and a server.")
    parser.add_argument("--upstream", required=True, help="base URL of the server")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rates", default="", help="kind=rate,... or `mixed`; kinds: " + ", ".join(KINDS))
    given = parser.parse_args(arguments)
    rates = MIXED if given.rates == "mixed" else read_rates(given.rates)
    with faulty(given.upstream, seed=given.seed, rates=rates, port=given.port) as proxy:
        print(f"Faults on {proxy.base_url}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


def read_rates(text: str) -> dict[str, float]:
    """Read `kind=rate,kind=rate`."""
    return {kind: float(rate) for kind, _, rate in (entry.partition("=") for entry in text.split(",") if entry)}


if __name__ == "__main__":
    main()
