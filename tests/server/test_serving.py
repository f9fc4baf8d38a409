"""The server as a process and as a thread: started, found, stopped."""

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from mission_tracer.errors import ConfigurationError
from mission_tracer.server import Behaviour, running_server, serve
from tests import processes

from .driver import UUID, data, faults, new_mission, new_run, steps

KEY = {"Authorization": "Bearer test"}
SEED = {"missions": [{"id": UUID, "name": "seeded"}]}


def client_of(server):
    return httpx.Client(base_url=server.base_url, headers=KEY)


def command(*words):
    return [sys.executable, "-W", "error", "-m", "mission_tracer.server", *words]


@contextmanager
def process(*words):
    """Start a server process on a free port; give it and a client."""
    server = subprocess.Popen(command("--port", "0", *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = server.stdout.readline()
        match = re.fullmatch(r"Missions API on (http://127\.0\.0\.1:\d+/v2)\n", line)
        assert match, line + server.stderr.read()
        with httpx.Client(base_url=match[1], headers=KEY, timeout=60) as client:
            yield server, client
    finally:
        server.kill()
        server.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_says_one_line_and_stops_cleanly(number):
    """The process prints where it listens and nothing else, and a signal ends it with status 0."""
    with process() as (server, client):
        new_mission(client)
        server.send_signal(number)
        assert server.communicate(timeout=20) == ("", "")
        assert server.returncode == 0


def test_a_process_takes_all_options(tmp_path):
    """Database, seed, administration and switches are given on the command line."""
    seed = tmp_path / "seed.json"
    seed.write_text(json.dumps(SEED))
    words = ("--db", str(tmp_path / "db"), "--seed", str(seed), "--admin", "--behaviour", "list_order=newest")
    with process(*words, "--behaviour", "error_shape=fastapi") as (_, client):
        behaviour = Behaviour(**client.get("/_local/behaviour").json())
        assert behaviour == Behaviour(list_order="newest", error_shape="fastapi")
        new_mission(client, name="mine")
        assert [one["name"] for one in data(client.get("/ai/missions"))] == ["mine", "seeded"]


def test_a_killed_process_has_lost_nothing(tmp_path):
    """What was answered is in the file, even if the process is killed."""
    words = ("--db", str(tmp_path / "db"))
    with process(*words) as (server, client):
        run = new_run(client)
        server.kill()
        server.wait()
    with process(*words) as (_, client):
        assert data(client.get(run))["status"] == "pending"


def used_port():
    listener = socket.create_server(("127.0.0.1", 0))
    return listener, str(listener.getsockname()[1])


def test_what_cannot_be_used_is_refused_with_status_2(tmp_path):
    """A bad or used port, host, database, seed or switch ends the process at once with one line and status 2."""
    listener, port = used_port()
    broken = tmp_path / "broken"
    broken.write_text("no database" * 100)
    cases = {
        ("--port", "70000"): "70000",
        ("--port", "-1"): "-1",
        ("--port", "x"): "x",
        ("--port", port): port,
        ("--port", "0", "--host", "203.0.113.1"): "203.0.113.1",
        ("--port", "0", "--host", "no such host"): "no such host",
        ("--port", "0", "--db", str(broken)): "broken",
        ("--port", "0", "--seed", str(tmp_path / "absent")): "absent",
        ("--port", "0", "--seed", str(broken)): "no JSON",
        ("--port", "0", "--behaviour", "second_plan=maybe"): "replace",
    }

    def run(words):
        return subprocess.run(command(*words), capture_output=True, text=True, timeout=60, check=False)

    with ThreadPoolExecutor(2) as pool:
        for (words, expected), ended in zip(cases.items(), pool.map(run, cases), strict=True):
            assert (ended.returncode, ended.stdout) == (2, ""), words
            *_, last = ended.stderr.splitlines()
            assert expected in last
            assert "Traceback" not in ended.stderr
    listener.close()


def test_running_server_serves_while_the_block_runs():
    """The server answers inside the block, gives its state, and is gone with its thread afterwards."""
    before = set(threading.enumerate())
    with running_server(seed=SEED, admin=True) as server, client_of(server) as client:
        run = new_run(client)
        data(client.post(f"{run}/plan", json=steps("a/b")), 201)
        assert data(client.get(f"{run}/plan/steps/a%2Fb"))["step_id"] == "a/b"
        assert [mission.name for mission in server.store.missions()] == ["seeded", "Find window washers"]
        assert "Missions" in client.get(server.page_url).text
        assert client.post("/_local/reset").status_code == 200
    assert set(threading.enumerate()) == before
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.base_url)


def test_running_server_stops_under_open_connections():
    """Connections kept open by clients do not hold up the end."""
    with httpx.Client(headers=KEY) as client, running_server() as server:
        data(client.get(f"{server.base_url}/ai/missions"))


def test_running_server_stops_under_requests_without_an_end():
    """A request whose body never comes holds up the end for seconds, and not for ever."""
    head = "POST /v2/ai/missions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer x\r\ncontent-length: 9\r\n"
    with socket.socket() as client:
        with running_server() as server:
            where = urlsplit(server.base_url)
            client.connect((where.hostname, where.port))
            client.sendall(f"{head}expect: 100-continue\r\n\r\n".encode())
            assert client.recv(100).startswith(b"HTTP/1.1 100")  # by now it is under way
            told = time.monotonic()
        assert time.monotonic() - told < 20


def test_running_server_may_end_before_it_began():
    """A block that does nothing starts and stops a server without a fault."""
    for _ in range(3):
        with running_server():
            pass


def test_two_servers_do_not_share_a_port():
    """A port in use is refused, before any thread starts."""
    with running_server() as server:
        port = int(server.base_url.rpartition(":")[2].removesuffix("/v2"))
        with pytest.raises(ConfigurationError, match=str(port)), running_server(port=port):
            pass


def test_running_server_speaks_ipv6():
    """An IPv6 address is written in brackets."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with running_server(host="::1") as server:
        assert server.base_url.startswith("http://[::1]:")
        assert httpx.get(f"{server.base_url}/ai/missions", headers=KEY).status_code == 200


def test_serve_announces_once_clients_can_connect():
    """`serve` calls `announce` with the base URL when a connection would be accepted; its error ends the server."""
    heard = []

    def announce(base_url):
        heard.append(base_url)
        port = int(base_url.rpartition(":")[2].removesuffix("/v2"))
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        raise InterruptedError

    with pytest.raises(InterruptedError):
        serve(port=0, announce=announce)
    assert len(heard) == 1


def test_answers_do_not_wait_for_acknowledgements():
    """A hundred requests over one connection take far less than the 40 ms each that a delayed acknowledgement costs."""
    with running_server() as server, client_of(server) as client:
        total = sum((client.get("/ai/missions").elapsed.total_seconds() for _ in range(100)), 0.0)
        assert total < 100 * 0.03


WRITER = """
import http.client, json, sys
port, run, name = sys.argv[1:]
connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=60)
def send(method, path, body):
    headers = {"Authorization": "Bearer x", "Content-Type": "application/json"}
    connection.request(method, "/v2" + run + path, json.dumps(body), headers)
    answer = connection.getresponse()
    content = answer.read()
    assert answer.status < 300, content
for number in range(40):
    key = f"{name}-{number}"
    send("POST", "/events", {"type": "custom", "summary": key, "idempotency_key": f"shared-{number}"})
    send("POST", "/events", {"type": "custom", "summary": key, "idempotency_key": key})
    send("PATCH", "", {"metadata": {key: number}})
    send("POST", "/plan/steps", {"steps": [{"step_id": key, "description": "d", "sequence": number}]})
"""


def test_processes_at_once_lose_nothing(tmp_path):
    """Several clients writing to one run through two servers on one file: no update is lost, no key stored twice."""
    words = ("--db", str(tmp_path / "db"))
    with process(*words) as (_, first), process(*words) as (_, second):
        run = new_run(first)
        ports = [str(client.base_url.port) for client in (first, second)]
        writers = [
            subprocess.Popen([sys.executable, "-c", WRITER, ports[number % 2], run, f"w{number}"])
            for number in range(4)
        ]
        assert [writer.wait(timeout=100) for writer in writers] == [0] * 4
        keys = {f"w{writer}-{number}" for writer in range(4) for number in range(40)}
        assert data(second.get(run))["metadata"].keys() == keys
        assert {step["step_id"] for step in data(first.get(f"{run}/plan"))} == keys
        events = data(first.get(f"{run}/events?page[size]=1000"))
        assert sorted(event["idempotency_key"] for event in events) == sorted(keys | {f"shared-{n}" for n in range(40)})


def test_a_wrong_body_over_the_wire_is_422():
    """The same faults are named over a real connection."""
    with running_server() as server, client_of(server) as client:
        assert faults(client.post("/ai/missions", json={})) == [("body.name", "missing")]


def test_without_the_extra_one_line_says_what_to_install(tmp_path: Path) -> None:
    """Without starlette `python -m mission_tracer.server` says in one line what to install."""
    code = "import runpy, sys; sys.modules['starlette'] = None; import mission_tracer.server; "
    code += "runpy.run_module('mission_tracer.server', run_name='__main__')"
    done = processes.run([sys.executable, "-c", code], processes.environment(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: the server needs starlette: pip install 'mission-tracer[server]'\n"
