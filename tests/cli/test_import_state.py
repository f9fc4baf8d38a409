"""`import-state`: what telnyx-toolkit's script has under way goes on in the same runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mission_tracer.client import MissionsClient
from tests import processes

from .conftest import Call


@pytest.fixture
def at_work() -> Any:
    """Serve the API with a mission under way, made as the script makes it; give the URL, the ids and a client."""
    with processes.served() as base_url, MissionsClient("x", base_url) as client:
        mission = client.missions.create(name="Find window washers", instructions="Ask three")
        run = client.missions.runs.create(mission.mission_id, input={"original_request": "wash"})
        where = {"mission_id": mission.mission_id}
        steps = [
            {"step_id": name, "description": name, "sequence": n} for n, name in enumerate(("research", "calls"), 1)
        ]
        client.missions.runs.plan.create(run.run_id, steps=steps, **where)
        client.missions.runs.update(run.run_id, status="running", **where)
        client.missions.runs.plan.update_step("research", run_id=run.run_id, status="completed", **where)
        yield base_url, run, client


def state_file(place: Path, **entries: Any) -> Path:
    path = place / ".missions_state.json"
    path.write_text(json.dumps({slug.replace("_", "-"): entry for slug, entry in entries.items()}, indent=2))
    return path


def entry(run: Any, **more: Any) -> dict[str, Any]:
    return {
        "mission_name": "Find window washers",
        "mission_id": run.mission_id,
        "run_id": run.run_id,
        "created_at": "2026-03-01T10:00:00Z",
        "assistant_id": "assistant-1",
        "memory": {"contractors_found": ["ABC", "DEF"], "quotes": {"ABC": 350}},
        "last_updated": "2026-03-01T10:05:00Z",
        **more,
    }


def test_work_goes_on_in_the_same_run(
    at_work: Any, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is adopted with its memory; further steps, events and its end arrive in that very run."""
    base_url, run, client = at_work
    monkeypatch.setenv("TELNYX_API_KEY", "x")
    monkeypatch.setenv("TELNYX_BASE_URL", base_url)
    path = state_file(tmp_path, find_window_washers=entry(run))
    [adopted] = call("import-state", str(path), "--json").json
    assert (adopted["slug"], adopted["run_id"], adopted["is_new"]) == ("find-window-washers", run.run_id, True)
    env = processes.environment(tmp_path / "state", MISSION_TRACER_DIR=str(tmp_path / "state"))
    for words in (
        ["step", "start", "calls"],
        ["event", "Called ABC"],
        ["step", "done", "calls"],
        ["step", "start", "analyze"],
        ["step", "done", "analyze"],
        ["succeed", "ABC is best"],
    ):
        done = processes.run([*processes.CLI, *words, "--run", adopted["key"]], env)
        assert (done.returncode, done.stderr) == (0, "")
    assert call("sync").status == 0
    assert [str(other.run_id) for other in client.missions.runs.list_runs()] == [run.run_id]
    seen = client.missions.runs.retrieve(run.run_id, mission_id=run.mission_id)
    assert (str(seen.status), seen.result_summary) == ("succeeded", "ABC is best")
    steps = client.missions.runs.plan.retrieve(run.run_id, mission_id=run.mission_id)
    assert [(step.step_id, str(step.status)) for step in steps] == [
        ("research", "completed"),
        ("calls", "completed"),
        ("analyze", "completed"),
    ]
    events = list(client.missions.runs.events.list(run.run_id, mission_id=run.mission_id))
    assert events[0].summary == "Memory of find-window-washers"
    assert events[0].payload["memory"]["quotes"] == {"ABC": 350}
    assert [event.summary for event in events if str(event.type) == "custom"][1:] == ["Called ABC"]


def test_importing_again_adopts_only_what_is_new(at_work: Any, tmp_path: Path, call: Call) -> None:
    """A second import adopts nothing twice."""
    _, run, _ = at_work
    path = state_file(tmp_path, one=entry(run))
    first = call("import-state", str(path), "--json").json
    again = call("import-state", str(path), "--json").json
    assert (first[0]["key"], again[0].get("is_new", False)) == (again[0]["key"], False)
    assert "adopted before" in call("import-state", str(path)).out
    assert len(list((tmp_path / "state" / "runs").glob("*.jsonl"))) == 1


def test_a_mission_without_a_run_is_told_and_used(
    at_work: Any, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mission that has no run yet is not adopted, but a run started by its name belongs to it."""
    base_url, run, client = at_work
    monkeypatch.setenv("TELNYX_API_KEY", "x")
    monkeypatch.setenv("TELNYX_BASE_URL", base_url)
    client.missions.create(name="Find window washers")  # a second one of that name
    path = state_file(tmp_path, one=entry(run, run_id=None))
    said = call("import-state", str(path))
    assert said.status == 1
    assert "mission-tracer start 'Find window washers'" in said.err
    assert call("start", "Find window washers").status == 0
    assert call("sync").status == 0
    assert {other.mission_id for other in client.missions.runs.list_runs()} == {run.mission_id}


@pytest.mark.parametrize("text", ["", "[]", '{"a": 3}', '{"a": {"run_id": 3}}', '{"a": '])
def test_a_file_that_is_none_is_a_failure(text: str, tmp_path: Path, call: Call) -> None:
    """A file that is damaged or something else is one line that names it."""
    path = tmp_path / "state.json"
    path.write_text(text)
    said = call("import-state", str(path))
    assert (said.status, said.out, said.err.count("\n")) == (2, "", 1)
    assert str(path) in said.err


def test_no_file_is_a_failure(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a state file the error names it."""
    monkeypatch.chdir(tmp_path)
    assert call("import-state").err == "error: .missions_state.json: No such file or directory\n"
