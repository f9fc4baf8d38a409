"""Accept whatever an exporter sends, fast, and count it: a process of its own, on the standard library alone.

It answers the Missions API well enough for delivery (ids, empty lists), and everybody else with an empty success. A
record is counted by its name, `record-000123`, wherever in a body that stands, once.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import re
import subprocess
import sys
import time
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

_HEAD = re.compile(rb"(\w+) (\S+) HTTP/1\.[01]\r\n")
_LENGTH = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: *(\d+)")
_NAME = re.compile(rb"record-\d{6}")


class _Sink:
    def __init__(self, latency: float, *, hang: bool, refuse: float) -> None:
        self.latency = latency
        self.hang = hang
        self.refuse = refuse
        self.refused_until = 0.0
        self.requests = 0
        self.bodies: list[tuple[bytes, bytes]] = []
        self.runs = 0

    def answer(self, method: bytes, path: bytes, head: bytes, body: bytes) -> bytes:
        if path == b"/count":
            return _json(200, {"requests": self.requests, "records": len(self._names())})
        self.requests += 1
        if self._refuses():
            return _json(503, {"errors": [{"title": "Service Unavailable"}]})
        if b"record-" in body or b"ontent-Encoding" in head or b"ontent-encoding" in head or b"protobuf" in head:
            self.bodies.append((head, body))
        if b"/ai/missions" in path:
            return self._missions(method, path.partition(b"?")[0])
        if b"/v1/info" in path:  # Logfire asks whose token it is
            return _json(200, {"project_name": "b", "project_url": "http://127.0.0.1"})
        if b"protobuf" in head:
            return _raw(200, b"", b"application/x-protobuf")
        return _json(200, {})

    def _refuses(self) -> bool:
        if self.refuse and not self.refused_until:
            self.refused_until = time.monotonic() + self.refuse
        return time.monotonic() < self.refused_until

    def _missions(self, method: bytes, path: bytes) -> bytes:
        rest = path.partition(b"/ai/missions")[2].strip(b"/").split(b"/")
        if method == b"GET":
            return _json(200, {"data": [], "meta": {"total_pages": 1, "total_results": 0, "page_number": 1}})
        if method == b"POST" and rest == [b""]:
            return _json(201, {"data": {"mission_id": "mission-1", "name": "benchmark"}})
        if method == b"POST" and rest[-1] == b"runs":
            self.runs += 1
            return _json(201, {"data": {"run_id": f"run-{self.runs}", "mission_id": "mission-1", "status": "pending"}})
        if rest[-1] == b"events":
            return _EVENT
        if b"plan" in rest and method == b"POST":
            return _json(201, {"data": []})
        return _DONE

    def _names(self) -> set[bytes]:
        return {name for head, body in self.bodies for name in _NAME.findall(_plain(head, body))}


def _plain(head: bytes, body: bytes) -> bytes:
    head = head.lower()
    try:
        if b"content-encoding: gzip" in head:
            return gzip.decompress(body)
        if b"content-encoding: deflate" in head:
            return zlib.decompress(body)
    except (OSError, zlib.error):
        return b""
    return body


def _raw(status: int, body: bytes, kind: bytes = b"application/json") -> bytes:
    return b"HTTP/1.1 %d OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n%b" % (status, kind, len(body), body)


def _json(status: int, data: Any) -> bytes:
    return _raw(status, json.dumps(data).encode())


_IDS = {"mission_id": "mission-1", "run_id": "run-1", "step_id": "s"}
_EVENT = _json(201, {"data": {**_IDS, "event_id": "event-1", "type": "custom", "summary": ""}})
_DONE = _json(200, {"data": {**_IDS, "status": "running"}})


class _Connection(asyncio.Protocol):
    def __init__(self, sink: _Sink) -> None:
        self.sink = sink
        self.data = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            head = self.data[: end + 2]
            length = _LENGTH.search(head)
            if length is None and b"chunked" in head.lower():
                stop = self.data.find(b"\r\n0\r\n\r\n", end)
                if stop < 0:
                    return
                body, total = self.data[end + 4 : stop], stop + 7
            else:
                total = end + 4 + (int(length[1]) if length else 0)
                if len(self.data) < total:
                    if b"100-continue" in head.lower():
                        self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                    return
                body = self.data[end + 4 : total]
            line = _HEAD.match(head)
            assert line is not None
            self.data = self.data[total:]
            counting = line[2] == b"/count"
            if self.sink.hang and not counting:
                continue
            answer = self.sink.answer(line[1], line[2], head, body)
            if self.sink.latency and not counting:
                asyncio.get_running_loop().call_later(self.sink.latency, self.transport.write, answer)
            else:
                self.transport.write(answer)


async def _serve(latency: float, *, hang: bool, refuse: float, port: int) -> None:
    sink = _Sink(latency, hang=hang, refuse=refuse)
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(sink), "127.0.0.1", port, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@dataclass
class Sink:
    """A running sink."""

    url: str

    def count(self) -> dict[str, int]:
        """Return how many requests came, and how many records by their names."""
        with urllib.request.urlopen(f"{self.url}/count", timeout=60) as answer:
            return dict(json.load(answer))


@contextmanager
def running(
    *, latency: float = 0.0, hang: bool = False, refuse: float = 0.0, down: bool = False, port: int = 0
) -> Iterator[Sink]:
    """Run a sink while the block lasts.

    Args:
        latency: How long every answer takes, in seconds.
        hang: True: accept and never answer.
        refuse: For how long it answers 503, in seconds from the first request on.
        down: True: there is no sink; the address refuses connections.
        port: Where to listen; 0: on a free port.
    """
    if down:
        yield Sink("http://127.0.0.1:9")
        return
    options = ["--latency", str(latency), "--refuse", str(refuse), "--port", str(port), *(["--hang"] if hang else [])]
    words = [sys.executable, "-m", "benchmarks.sink", *options]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Sink(f"http://127.0.0.1:{int(process.stdout.readline())}")
        finally:
            process.kill()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--hang", action="store_true")
    parser.add_argument("--refuse", type=float, default=0.0)
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    asyncio.run(_serve(given.latency, hang=given.hang, refuse=given.refuse, port=given.port))
