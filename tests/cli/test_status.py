"""`status`: what is delivered, pending, rejected, from the journals alone."""

from __future__ import annotations

import json
import os
from pathlib import Path

import mission_tracer as mt
from mission_tracer.facts import new_key
from tests import processes

from .conftest import Call


def test_nothing_recorded_is_no_run(call: Call) -> None:
    """Without a state directory there are no runs, and none is made."""
    said = call("status")
    assert said.status == 0
    assert said.out.startswith("nothing is recorded yet in ")
    assert call("status", "--json").json["runs"] == []


def test_a_directory_whose_name_is_no_text_is_told_of(tmp_path: Path) -> None:
    """A directory's name may be any bytes: JSON has a question mark for each that is no text."""
    place = tmp_path / os.fsdecode(b"caf\xe9")
    env = processes.environment(place)
    for words in (["status", "--json"], ["doctor", "--json"]):
        done = processes.run([*processes.CLI, *words], env)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"{tmp_path}/caf?" in str(json.loads(done.stdout))


def test_an_offline_run_waits(call: Call, recorded: str) -> None:
    """A run recorded without a key is pending as a whole, and the way to send it is named."""
    said = call("status")
    assert recorded in said.out
    assert "no API key" in said.out
    assert "mission-tracer sync" in said.out
    [run] = call("status", "--json").json["runs"]
    assert (run["key"], run["status"], run["delivered"]) == (recorded, "succeeded", 0)
    assert run["pending"] == run["recorded"] > 0


def test_the_books_balance(call: Call, recorded: str) -> None:
    """Of each run and in sum, recorded is delivered, pending, rejected and dropped."""
    told = call("status", "--json").json
    names = ("delivered", "pending", "rejected", "dropped")
    for books in (told["total"], *told["runs"]):
        assert books["recorded"] == sum(books[name] for name in names)
    assert told["total"]["recorded"] == sum(run["recorded"] for run in told["runs"])


def test_a_delivered_run_is_counted(call: Call, state: Path) -> None:
    """A delivered run is counted as delivered after it is put away."""
    with processes.served() as base_url:
        mt.configure(api_key="x", base_url=base_url)
        with mt.mission_run("Wash windows"):
            mt.log_event("soap")
        assert mt.shutdown(10)
    [run] = call("status", "--json").json["runs"]
    assert (run["recorded"], run["delivered"], run["pending"]) == (3, 3, 0)
    assert run["run_id"]


def test_a_living_run_is_running_and_a_dead_one_interrupted(call: Call, state: Path) -> None:
    """A run that a living process writes is `running`; one whose process died without closing it is `interrupted`."""
    with mt.mission_run("Wash windows"):
        [run] = call("status", "--json").json["runs"]
        assert run["status"] == "running"
    dead = state / "runs" / f"{new_key()}.jsonl"
    dead.write_bytes(next((state / "runs").glob("*.jsonl")).read_bytes().splitlines(keepends=True)[0])
    statuses = [run["status"] for run in call("status", "--json").json["runs"]]
    assert statuses == ["succeeded", "interrupted"]


def test_a_run_that_cannot_be_read_hides_no_other(call: Call, recorded: str, state: Path) -> None:
    """What cannot be read, such as another user's journal, is said, with the reason, and makes the exit status 1."""
    (state / "runs" / "0.jsonl").mkdir()
    said = call("status", "--json")
    assert said.status == 1
    assert [run["key"] for run in said.json["runs"]] == ["0", recorded]
    assert said.json["runs"][0]["status"] == "unreadable"
    assert "its journal cannot be read: Is a directory" in call("status").out
    assert [run["key"] for run in call("runs", "--json").json] == [recorded]
    assert [row["runs"] for row in call("missions", "--json").json] == [1]
    verdicts = [(each["verdict"], each["found"]) for each in call("doctor", "--json").json]
    assert ("fail", "run 0: its journal cannot be read: Is a directory") in verdicts


def test_a_damaged_line_is_skipped(call: Call, recorded: str, state: Path) -> None:
    """A damaged line is counted as a fact that waits; the rest is read."""
    with (state / "runs" / f"{recorded}.jsonl").open("ab") as file:
        file.write(b'{"fact": "ev\n')
    [run] = call("status", "--json").json["runs"]
    assert (run["status"], run["mission"]) == ("succeeded", "Wash windows")
