"""`start`: a run that goes on from command to command, with no program around it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mission_tracer.client import MissionsClient
from tests import processes

from .conftest import Call


@pytest.fixture
def base_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with processes.served() as url:
        monkeypatch.setenv("TELNYX_API_KEY", "x")
        monkeypatch.setenv("TELNYX_BASE_URL", url)
        yield url


def do(state: Path, *words: str) -> str:
    done = processes.run([*processes.CLI, *words], processes.environment(state))
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_it_stays_open_until_it_is_ended(state: Path, call: Call, base_url: str) -> None:
    """Commands of different processes go on with the run, deliveries between them too, until one ends it."""
    key = do(state, "start", "Wash windows", "--plan", "research,calls=Call them", "--input", '{"city": "Chicago"}')
    do(state, "step", "start", "research", "--run", key)
    assert call("sync").status == 0
    do(state, "event", "Found two", "--run", key)
    do(state, "step", "done", "research", "--run", key)
    assert call("sync").status == 0
    with MissionsClient("x", base_url) as client:
        [run] = client.missions.runs.list_runs()
        where = {"mission_id": run.mission_id}
        assert (str(run.status), run.input) == ("running", {"city": "Chicago"})
        do(state, "succeed", "ABC is best", "--payload", '{"quote": 350}', "--run", key)
        assert call("sync").status == 0
        run = client.missions.runs.retrieve(run.run_id, **where)
        assert (str(run.status), run.result_summary, run.result_payload) == ("succeeded", "ABC is best", {"quote": 350})
        steps = client.missions.runs.plan.retrieve(run.run_id, **where)
        assert [(step.step_id, str(step.status)) for step in steps] == [("research", "completed"), ("calls", "skipped")]
        events = [str(event.type) for event in client.missions.runs.events.list(run.run_id, **where)]
        assert events == ["step_started", "custom", "step_completed"]


def test_export_puts_the_shell_into_the_run(state: Path, call: Call) -> None:
    """`eval "$(mission-tracer start NAME --export)"` puts the shell into the run."""
    line = do(state, "start", "Wash windows", "--export")
    words = " ".join(processes.CLI)
    done = processes.run(["sh", "-c", f"{line}\n{words} event hi"], processes.environment(state))
    assert (done.returncode, done.stderr) == (0, "")
    [event] = call("show", "--json").json["events"]
    assert event["summary"] == "hi"


def test_a_program_takes_part_and_leaves_it_open(state: Path, call: Call) -> None:
    """`exec --run` lets a program take part in the run; its end does not end it."""
    key = do(state, "start", "Wash windows")
    words = " ".join(processes.CLI)
    done = processes.run(
        [*processes.CLI, "exec", "--run", key, "--", "sh", "-c", f"{words} event hi; exit 3"],
        processes.environment(state),
    )
    assert done.returncode == 3
    run = call("show", key, "--json").json
    assert (run["status"], [event["summary"] for event in run["events"]]) == ("running", ["hi"])


def test_it_can_fail(state: Path, call: Call) -> None:
    """`fail` ends it as failed, at once."""
    key = do(state, "start", "Wash windows")
    do(state, "fail", "no soap", "--run", key)
    run = call("show", key, "--json").json
    assert (run["status"], run["error"]) == ("failed", "no soap")


@pytest.mark.parametrize("words", [[""], ["x", "--input", "[]"], ["x", "--input", "{"], ["x", "--plan", "a,=b"]])
def test_wrong_words_are_a_failure(words: list[str], call: Call, state: Path) -> None:
    """An empty name, an input that is no object and a step without an id are refused, and nothing begins."""
    said = call("start", *words)
    assert (said.status, said.err.count("\n")) == (2, 1)
    assert not list(state.rglob("*.jsonl"))


def test_switched_off_nothing_begins(call: Call, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With recording switched off a script that starts a run goes on, and nothing is written."""
    monkeypatch.setenv("MISSION_TRACER_ENABLED", "false")
    key = call("start", "Wash windows").out.strip()
    env = processes.environment(state, MISSION_TRACER_ENABLED="false")
    assert processes.run([*processes.CLI, "event", "soap", "--run", key], env).returncode == 0
    assert not state.exists()


@pytest.mark.parametrize("end", [["succeed"], ["fail", "no soap"], ["cancel"]], ids=" ".join)
def test_a_run_that_has_ended_goes_no_further(end: list[str], state: Path, call: Call) -> None:
    """Steps, a plan and an outcome of a run that has ended are refused, and change nothing; an event is recorded."""
    key = do(state, "start", "Wash windows")
    do(state, "step", "start", "research", "--run", key)
    if end == ["cancel"]:
        assert call("cancel", key).status == 0
    else:
        do(state, *end, "--run", key)
    before = call("show", key, "--json").json
    late = [["step", verb, "late"] for verb in ("start", "done", "fail", "skip")]
    for words in (*late, ["step", "done", "research"], ["plan", "late"], ["succeed", "x"], ["fail", "y"]):
        done = processes.run([*processes.CLI, *words, "--run", key], processes.environment(state))
        said = f"error: run {key} has ended: it is {before['status']}\n"
        assert (done.returncode, done.stdout, done.stderr) == (2, "", said), words
    after = call("show", key, "--json").json
    assert (after["steps"], after["status"]) == (before["steps"], before["status"])
    do(state, "event", "late", "--run", key)
    assert [event["summary"] for event in call("show", key, "--json").json["events"]] == ["late"]


def test_plan_takes_commas_as_its_option_does(state: Path, call: Call) -> None:
    """`plan A,B` are two steps, as with --plan; a description may have commas."""
    key = do(state, "start", "Wash windows", "--plan", "research,calls")
    do(state, "plan", "ask, pay", "report=What, and why", "--run", key)
    steps = call("show", key, "--json").json["steps"]
    assert [step["step_id"] for step in steps] == ["research", "calls", "ask", "pay", "report"]
    assert steps[-1]["description"] == "What, and why"


def test_steps_of_one_name_end_one_after_the_other(state: Path, call: Call) -> None:
    """A step of a name that is open already says what it is called; a name means the newest open one of it."""
    key = do(state, "start", "Wash windows")
    assert [do(state, "step", "start", "call", "--run", key) for _ in range(3)] == ["", "call-2", "call-3"]
    for verb in ("done", "fail", "done"):
        do(state, "step", verb, "call", "--run", key)
    steps = call("show", key, "--json").json["steps"]
    assert [(step["step_id"], step["status"]) for step in steps] == [
        ("call", "completed"), ("call-2", "failed"), ("call-3", "completed"),
    ]  # fmt: skip
