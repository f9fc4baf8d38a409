"""The proxy that other tests rely on: each fault does to a request what its name says, and nothing else."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.faults import KINDS, MIXED, faulty, read_rates

BROKEN = (httpx.RemoteProtocolError, httpx.ReadError)


class _Upstream(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.effects.append(body)  # type: ignore[attr-defined]
        said = json.dumps({"data": body.decode()}).encode()
        self.send_response(201)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def upstream() -> Iterator[tuple[str, list[bytes]]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Upstream)
    server.effects = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v2", server.effects  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def post(base_url: str, timeout: float = 5.0) -> httpx.Response:
    return httpx.post(f"{base_url}/x", content=b"hello", timeout=timeout, trust_env=False, verify=False)


@pytest.mark.parametrize(
    ("kind", "status", "effects"),
    [
        ("pass", 201, 1),
        ("slow", 201, 1),
        ("500_before", 500, 0),
        ("500_after", 500, 1),
        ("429", 429, 0),
        ("503", 503, 0),
        ("html_404", 404, 0),
        ("html_502", 502, 0),
        ("html_200", 200, 0),
        ("json_200", 200, 0),
        ("hollow", 200, 0),
        ("redirect", 307, 0),
        ("413", 413, 0),
    ],
)
def test_an_answering_fault_answers_and_has_its_effect_or_not(kind: str, status: int, effects: int) -> None:
    """A fault that answers gives its status, and reaches the server as its name says."""
    with upstream() as (url, seen), faulty(url, script=[kind]) as proxy:
        assert post(proxy.base_url).status_code == status
        assert len(seen) == effects
        assert post(proxy.base_url).json() == {"data": "hello"}


@pytest.mark.parametrize(
    ("kind", "effects"), [("drop_before", 0), ("drop_after", 1), ("reset_after", 1), ("truncate", 1)]
)
def test_a_breaking_fault_breaks_the_connection(kind: str, effects: int) -> None:
    """A dropped or truncated answer is a broken connection; the effect is there as the name says."""
    with upstream() as (url, seen), faulty(url, script=[kind]) as proxy:
        with pytest.raises(BROKEN):
            post(proxy.base_url)
        assert len(seen) == effects


@pytest.mark.parametrize(("kind", "effects"), [("hang_before", 0), ("hang_after", 1)])
def test_a_hang_says_nothing(kind: str, effects: int) -> None:
    """A hanging request runs into the client's own time limit."""
    with upstream() as (url, seen), faulty(url, script=[kind]) as proxy:
        with pytest.raises(httpx.ReadTimeout):
            post(proxy.base_url, timeout=0.2)
        assert len(seen) == effects


def test_a_delayed_effect_comes_after_the_loss() -> None:
    """A delayed request is lost for its sender first, and takes effect later."""
    with upstream() as (url, seen), faulty(url, script=["delay"]) as proxy:
        with pytest.raises(BROKEN):
            post(proxy.base_url)
        assert seen == []
        deadline = time.monotonic() + 5
        while not seen and time.monotonic() < deadline:
            threading.Event().wait(0.01)
        assert seen == [b"hello"]


def test_a_script_waits_for_the_request_it_is_for() -> None:
    """A scripted fault meets the first request that matches, and others pass."""
    with upstream() as (url, _), faulty(url, script=[{"kind": "503", "match": "POST .*/y$"}]) as proxy:
        assert post(proxy.base_url).status_code == 201
        assert httpx.post(f"{proxy.base_url}/y", content=b"", trust_env=False, verify=False).status_code == 503
        assert httpx.post(f"{proxy.base_url}/y", content=b"", trust_env=False, verify=False).status_code == 201
        assert [kind for _, kind in proxy.seen("/y$")] == ["503", "pass"]


def test_a_rule_holds_for_every_request_that_it_is_for() -> None:
    """A rule is met by each request that matches it, by its path and its body."""
    with upstream() as (url, _), faulty(url) as proxy:
        proxy.change(rules=[{"kind": "422", "match": "POST", "body": "hello"}])
        assert [post(proxy.base_url).status_code for _ in range(3)] == [422] * 3
        assert httpx.post(proxy.base_url, content=b"other", trust_env=False, verify=False).status_code == 201


def test_rates_are_drawn_from_the_seed() -> None:
    """The same seed gives the same faults in the same order."""
    with upstream() as (url, _):
        drawn = []
        for _ in range(2):
            with faulty(url, seed=5, rates={"503": 0.5}) as proxy:
                drawn.append([post(proxy.base_url).status_code for _ in range(12)])
    assert drawn[0] == drawn[1]
    assert set(drawn[0]) == {201, 503}


def test_rates_are_read_from_text() -> None:
    """Rates are written as kind=rate, parted by commas; every mixed fault exists."""
    assert read_rates("drop_after=0.5,429=0.25") == {"drop_after": 0.5, "429": 0.25}
    assert read_rates("") == {}
    assert set(MIXED) <= set(KINDS)
    with pytest.raises(ValueError, match="unknown faults"), faulty("http://127.0.0.1:9", rates={"none": 1.0}):
        pass


def test_the_proxy_runs_as_a_process_and_is_changed_while_it_runs() -> None:
    """As a process it says where it is, takes a new script over its admin URL, and tells what it did."""
    with (
        upstream() as (url, seen),
        subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("faults.py")), "--upstream", url, "--rates", "503=1"],
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            base_url = process.stdout.readline().rpartition(" ")[2].strip()
            assert post(base_url).status_code == 503
            parts = urlsplit(base_url)
            admin = http.client.HTTPConnection(parts.hostname or "", parts.port)
            admin.request("PUT", "/_faults", body=json.dumps({"rates": {}, "script": ["500_after"]}))
            assert json.load(admin.getresponse())["done"] == {"503": 1}
            assert post(base_url).status_code == 500
            assert post(base_url).status_code == 201
            admin.request("PUT", "/_faults", body=json.dumps({"rates": {"no such": 1}}))
            assert admin.getresponse().status == 400
            admin.close()
        finally:
            process.terminate()
    assert len(seen) == 2
