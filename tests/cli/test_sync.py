"""`sync`: everything that waits, once; else why not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mission_tracer as mt
from mission_tracer import recorder
from mission_tracer._disk.delivery_log import DeliveryLog
from mission_tracer._planning.records import Parked
from mission_tracer.client import MissionsClient
from tests import processes
from tests.disks import open_files, open_files_limit

from .conftest import Call


@pytest.fixture
def base_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve the API and point the settings at it."""
    with processes.served() as url:
        monkeypatch.setenv("TELNYX_API_KEY", "x")
        monkeypatch.setenv("TELNYX_BASE_URL", url)
        yield url


def statuses(base_url: str) -> list[str]:
    with MissionsClient("x", base_url) as client:
        return [str(run.status) for run in client.missions.runs.list_runs()]


def test_it_delivers_what_waits_and_then_nothing(recorded: str, call: Call, base_url: str) -> None:
    """`sync` delivers what was recorded offline; again it sends nothing and says so."""
    first = call("sync", "--json")
    assert (first.status, first.json["rejected"], first.json["left"]) == (0, 0, {})
    assert first.json["delivered"] == call("status", "--json").json["total"]["recorded"]
    assert call("sync").out == "nothing waits: everything is delivered\n"
    assert statuses(base_url) == ["succeeded"]


def test_it_tells_how_far_it_is(recorded: str, call: Call, base_url: str) -> None:
    """Without a terminal the progress is told in plain lines."""
    said = call("sync")
    assert said.out.splitlines()[0].startswith("0 of ")
    assert said.out.splitlines()[-1].endswith("facts delivered")


def test_it_closes_what_a_dead_process_left(call: Call, base_url: str, tmp_path: Path) -> None:
    """A run whose process was killed is delivered and ended as failed."""
    script = tmp_path / "agent.py"
    script.write_text(
        "import os, signal, mission_tracer as mt\n"
        "with mt.mission_run('Wash windows'):\n"
        "    mt.log_event('soap')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert processes.run([sys.executable, str(script)], processes.environment(tmp_path / "state")).returncode == -9
    assert call("sync").status == 0
    assert statuses(base_url) == ["failed"]
    assert call("sync").out == "nothing waits: everything is delivered\n"


def test_after_an_outage_it_awaits_nothing(tmp_path: Path) -> None:
    """A program that ended while the server was away has nothing under way: what it left is sent at once.

    An answer that was lost would be awaited for an hour here.
    """
    script, db, port = tmp_path / "agent.py", str(tmp_path / "missions.db"), processes.free_port()
    script.write_text("import mission_tracer as mt\nwith mt.mission_run('Wash windows'):\n    mt.log_event('soap')\n")
    env = processes.environment(
        tmp_path / "state",
        TELNYX_API_KEY="x",
        TELNYX_BASE_URL=f"http://127.0.0.1:{port}/v2",
        MISSION_TRACER_SETTLE="3600",
        MISSION_TRACER_FLUSH_STALL="0.5",
    )
    with processes.served("--db", db, port=port):
        assert processes.run([sys.executable, str(script)], env).stderr == ""
    assert "not everything is delivered yet" in processes.run([sys.executable, str(script)], env).stderr
    with processes.served("--db", db, port=port) as url:
        done = processes.run([*processes.CLI, "sync", "--timeout", "30", "--stall", "30"], env)
        assert (done.returncode, done.stderr) == (0, "")
        assert statuses(url) == ["succeeded", "succeeded"]


def test_it_is_safe_beside_a_living_writer(call: Call, base_url: str) -> None:
    """What a living process recorded so far is delivered; the rest follows, and nothing twice."""
    mt.configure(sender="off")
    with mt.mission_run("Wash windows"):
        mt.log_event("soap")
        assert call("sync").status == 0
        assert statuses(base_url) == ["running"]
        mt.log_event("water")
    recorder.discard()
    assert call("sync").status == 0
    with MissionsClient("x", base_url) as client:
        [run] = client.missions.runs.list_runs()
        events = client.missions.runs.events.list(run.run_id, mission_id=run.mission_id)
        assert [event.summary for event in events] == ["soap", "water"]
        assert run.status == "succeeded"


def test_a_run_for_another_address_that_never_reached_it_is_delivered(call: Call, base_url: str) -> None:
    """A run that was recorded for an address it never reached is delivered to the present one."""
    mt.configure(base_url="http://127.0.0.1:9/v2", flush_stall=0.0, log_level="off")
    with mt.mission_run("Wash windows"):
        pass
    recorder.discard()
    assert call("sync").status == 0
    assert statuses(base_url) == ["succeeded"]


def test_more_runs_than_files_may_be_opened(
    call: Call, base_url: str, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any number of runs is brought home with few open files, also of runs that somebody began to deliver."""
    monkeypatch.setenv("MISSION_TRACER_SETTLE", "0.2")
    mt.configure(sender="off")
    for _ in range(40):
        with mt.mission_run("Wash windows") as run:
            pass
        log = DeliveryLog(state / "runs" / f"{run.key}.sent.jsonl")
        assert log.try_open()
        log.note(Parked("the server lost its missions"))
        log.close()
    recorder.discard()
    with open_files_limit(open_files() + 30):
        assert call("sync").status == 0
    assert statuses(base_url) == ["succeeded"] * 40


def test_a_server_that_is_down_leaves_all_and_says_why(
    recorded: str, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the server down nothing is lost, the reason is told, and the exit status is 1."""
    monkeypatch.setenv("TELNYX_API_KEY", "x")
    monkeypatch.setenv("TELNYX_BASE_URL", "http://127.0.0.1:9/v2")
    for words in (["--stall", "0.5"], ["--timeout", "5"]):
        said = call("sync", *words)
        assert said.status == 1
        assert said.err.splitlines()[-1].startswith(f"left: run {recorded}: ConnectError: ")
    assert call("status", "--json").json["total"]["delivered"] == 0


def test_a_run_whose_beginning_is_damaged_is_left(recorded: str, call: Call, base_url: str, state: Path) -> None:
    """A run of which nobody can say what it was is not taken for delivered: it is left, with the reason."""
    journal = state / "runs" / f"{recorded}.jsonl"
    first, rest = journal.read_bytes().split(b"\n", 1)
    journal.write_bytes(b"?" * len(first) + b"\n" + rest)
    said = call("sync")
    assert (said.status, said.out) == (1, "0 facts delivered\n")
    assert said.err == f"left: run {recorded}: the beginning of its journal is damaged\n"
    assert journal.exists()


def test_a_run_that_cannot_be_read_hinders_no_other(recorded: str, call: Call, base_url: str, state: Path) -> None:
    """What cannot be read, such as another user's journal, is left, with the reason; all else is delivered."""
    (state / "runs" / "0.jsonl").mkdir()
    said = call("sync")
    assert said.status == 1
    assert said.err.splitlines()[-1] == "left: run 0: its journal cannot be read: Is a directory"
    assert statuses(base_url) == ["succeeded"]


def test_a_key_that_cannot_be_used_is_not_said_to_be_missing(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key or an address that is set and wrong is said to be that."""
    for name, text in (("TELNYX_API_KEY", "a b"), ("TELNYX_BASE_URL", "api.example.com")):
        monkeypatch.setenv("TELNYX_API_KEY", "x")
        monkeypatch.setenv(name, text)
        problem, error = call("sync").err.splitlines()
        assert problem.startswith(f"warning: environment variable {name} must be ")
        assert problem.endswith("; nothing is sent")
        assert error == "error: TELNYX_API_KEY or TELNYX_BASE_URL cannot be used; nothing can be sent without it"
        monkeypatch.delenv(name)


def test_without_a_key_the_error_names_it(call: Call, recorded: str) -> None:
    """Without a key nothing is tried, and the error names the variable."""
    said = call("sync")
    assert (said.status, said.err.count("TELNYX_API_KEY")) == (2, 1)
