"""`forward`: a process of its own delivers what others record."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mission_tracer.client import MissionsClient
from tests import processes

AGENT = """
import mission_tracer as mt
with mt.mission_run("Wash windows"):
    with mt.plan_step("soap"):
        mt.log_event("foam")
"""


@pytest.fixture
def base_url() -> Iterator[str]:
    with processes.served() as url:
        yield url


@pytest.fixture
def env(base_url: str, state: Path) -> dict[str, str]:
    """Only record, as a container does; the forwarder is told the same and delivers all the same."""
    return processes.environment(state, TELNYX_API_KEY="x", TELNYX_BASE_URL=base_url, MISSION_TRACER_SENDER="off")


def statuses(base_url: str) -> list[str]:
    with MissionsClient("x", base_url) as client:
        return [str(run.status) for run in client.missions.runs.list_runs()]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_once_it_delivers_what_is_there(env: dict[str, str], base_url: str) -> None:
    """Without --watch it delivers what is there, says so and ends."""
    processes.run([sys.executable, "-c", AGENT], env)
    assert statuses(base_url) == []
    done = processes.run([*processes.CLI, "forward"], env)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("facts delivered, 0 runs left\n")
    assert statuses(base_url) == ["succeeded"]


def test_it_delivers_run_after_run_until_it_is_told_to_stop(env: dict[str, str], base_url: str) -> None:
    """With --watch runs are delivered as they are recorded, each once, until SIGTERM."""
    words = [*processes.CLI, "forward", "--watch"]
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("forwarding from ")
        for number in (1, 2, 3):
            done = processes.run([sys.executable, "-c", AGENT], env)
            assert (done.returncode, done.stderr) == (0, "")
            wait_for(lambda wanted=["succeeded"] * number: statuses(base_url) == wanted)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "stopped: everything is delivered\n", "")
    with MissionsClient("x", base_url) as client:
        for run in client.missions.runs.list_runs():
            events = client.missions.runs.events.list(run.run_id, mission_id=run.mission_id)
            assert [event.summary for event in events if str(event.type) == "custom"] == ["foam"]


def test_it_follows_a_run_that_is_being_recorded(env: dict[str, str], base_url: str) -> None:
    """Facts of a living program are delivered while it lives."""
    agent = (
        "import sys, mission_tracer as mt\n"
        "with mt.mission_run('Wash windows'):\n"
        "    for line in sys.stdin:\n"
        "        mt.log_event(line.strip())\n"
    )

    def events() -> list[str]:
        with MissionsClient("x", base_url) as client:
            runs = list(client.missions.runs.list_runs())
            return [
                event.summary
                for run in runs
                for event in client.missions.runs.events.list(run.run_id, mission_id=run.mission_id)
            ]

    words = [*processes.CLI, "forward", "--watch"]
    with (
        subprocess.Popen([sys.executable, "-uc", agent], env=env, stdin=subprocess.PIPE, text=True) as living,
        subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL) as forwarder,
    ):
        assert living.stdin is not None
        told = []
        for word in ("soap", "foam", "water"):
            told.append(word)
            living.stdin.write(word + "\n")
            living.stdin.flush()
            wait_for(lambda wanted=list(told): events() == wanted)
        living.stdin.close()
        living.wait(20)
        wait_for(lambda: statuses(base_url) == ["succeeded"])
        forwarder.send_signal(signal.SIGINT)
        assert forwarder.wait(20) == 0


def test_told_to_stop_it_delivers_what_is_there(env: dict[str, str], base_url: str) -> None:
    """What was recorded before SIGTERM is delivered before the end: a pod's containers are told to stop together."""
    words = [*processes.CLI, "forward", "--watch"]
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        processes.run([sys.executable, "-c", AGENT], env)
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=30)[0] == "stopped: everything is delivered\n"
    assert statuses(base_url) == ["succeeded"]


def test_with_the_server_down_it_stops_all_the_same(env: dict[str, str]) -> None:
    """Told to stop while nothing can be delivered, it says how many runs are left, and ends."""
    env = {**env, "TELNYX_BASE_URL": "http://127.0.0.1:9/v2"}
    processes.run([sys.executable, "-c", AGENT], env)
    with subprocess.Popen(
        [*processes.CLI, "forward", "--watch"], env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=40)[0] == "stopped: 1 run left\n"
    assert process.returncode == 0


def test_a_run_that_comes_back_is_delivered(env: dict[str, str], base_url: str) -> None:
    """A run that was delivered and put away, and is written to again, is delivered again, by the same forwarder."""
    key = processes.run([*processes.CLI, "start", "Wash windows"], env).stdout.strip()
    with subprocess.Popen([*processes.CLI, "forward", "--watch"], env=env, stdout=subprocess.DEVNULL) as process:
        processes.run([*processes.CLI, "succeed", "--run", key], env)
        wait_for(lambda: statuses(base_url) == ["succeeded"])
        wait_for(lambda: not list(Path(env["MISSION_TRACER_DIR"], "runs").glob("*.jsonl")))
        began = time.monotonic()
        processes.run([*processes.CLI, "event", "One more thing", "--run", key], env)
        with MissionsClient("x", base_url) as client:
            [run] = client.missions.runs.list_runs()
            wait_for(
                lambda: (
                    "One more thing"
                    in [e.summary for e in client.missions.runs.events.list(run.run_id, mission_id=run.mission_id)]
                )
            )
        assert time.monotonic() - began < 20  # all runs are looked at every 30 seconds in any case
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_without_a_key_it_is_a_failure(state: Path) -> None:
    """Without a key nothing can be forwarded."""
    done = processes.run([*processes.CLI, "forward", "--watch"], processes.environment(state))
    assert (done.returncode, done.stdout, done.stderr.count("TELNYX_API_KEY")) == (2, "", 1)
