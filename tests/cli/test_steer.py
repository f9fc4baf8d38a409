"""`cancel`, `pause` and `resume`: at the API, and in the journal."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import mission_tracer as mt
from mission_tracer.client import MissionsClient
from tests import processes

from .conftest import Call


@pytest.fixture
def base_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with processes.served() as url:
        monkeypatch.setenv("TELNYX_API_KEY", "x")
        monkeypatch.setenv("TELNYX_BASE_URL", url)
        yield url


@pytest.fixture
def started(call: Call) -> str:
    """Begin a run that no program encloses; give its key."""
    return call("start", "Wash windows").out.strip()


def test_the_api_is_told(base_url: str, call: Call) -> None:
    """A run of the API is paused, resumed and cancelled there."""
    with MissionsClient("x", base_url) as client:
        mission = client.missions.create(name="Others")
        run = client.missions.runs.create(mission.mission_id)
        client.missions.runs.update(run.run_id, mission_id=mission.mission_id, status="running")
        for verb, status in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
            said = call(verb, run.run_id)
            assert (said.status, said.out) == (0, f"run {run.run_id} is {status}\n")
            assert str(client.missions.runs.retrieve(run.run_id, mission_id=mission.mission_id).status) == status


def test_what_the_api_refuses_is_a_failure(base_url: str, call: Call) -> None:
    """What the API refuses is one line with its words."""
    with MissionsClient("x", base_url) as client:
        mission = client.missions.create(name="Others")
        run = client.missions.runs.create(mission.mission_id)
    said = call("resume", run.run_id)
    assert (said.status, said.out, said.err.count("\n")) == (2, "", 1)
    assert "409" in said.err


def test_offline_the_journal_says_it(started: str, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline the journal says it, and the API hears of it when the run is delivered."""
    for verb, status in (("pause", "paused"), ("resume", "running"), ("pause", "paused"), ("cancel", "cancelled")):
        assert call(verb, started).out.startswith(f"run {started} is {status}; ")
        assert call("show", started, "--json").json["status"] == status
    assert call("pause", started).err == f"error: run {started} has ended: it is cancelled\n"
    with processes.served() as url:
        monkeypatch.setenv("TELNYX_API_KEY", "x")
        monkeypatch.setenv("TELNYX_BASE_URL", url)
        assert call("sync").status == 0
        assert call("show", started, "--json").json["status"] == "cancelled"


@pytest.mark.parametrize("answer", ["accept", "conflict"])
def test_a_run_that_is_cancelled_is_over_here_too(
    answer: str, started: str, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelling a run of this machine ends it at the API at once, its steps with the next delivery."""
    with processes.served("--behaviour", f"same_status={answer}") as url:
        monkeypatch.setenv("TELNYX_API_KEY", "x")
        monkeypatch.setenv("TELNYX_BASE_URL", url)
        call("step", "start", "research", "--run", started)
        assert call("sync").status == 0
        assert call("cancel", started).out.endswith(" is cancelled\n")
        run = call("show", started, "--json").json
        assert (run["status"], run["source"]) == ("cancelled", "api")
        assert call("show", started, "--json", "--offline").json["status"] == "cancelled"
        assert call("sync").status == 0
        run = call("show", started, "--json").json
        assert (run["status"], [step["status"] for step in run["steps"]]) == ("cancelled", ["failed"])
        [books] = call("status", "--json").json["runs"]
        assert (books["put_away"], books["pending"], books["rejected"]) == (True, 0, 0)


def test_a_living_program_is_not_contradicted(call: Call) -> None:
    """A run that a program is recording is not cancelled behind its back."""
    with mt.mission_run("Wash windows") as run:
        said = call("cancel", run.key)
    assert said.status == 2
    assert "end that program" in said.err
