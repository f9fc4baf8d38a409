"""`show`, `watch`, `runs` and `missions`: what a person and a program are shown, from the API and from the journals."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import mission_tracer as mt
from mission_tracer import recorder
from mission_tracer.client import MissionsClient
from tests import processes

from .conftest import Call


@pytest.fixture
def base_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve the API and point the settings at it."""
    with processes.served() as url:
        monkeypatch.setenv("TELNYX_API_KEY", "x")
        monkeypatch.setenv("TELNYX_BASE_URL", url)
        yield url


@pytest.fixture
def sent(base_url: str) -> str:
    """Record one run and have it delivered; give its key."""
    mt.configure()
    with mt.mission_run("Wash windows", input={"city": "Chicago"}) as run:
        with mt.plan_step("research", description="Find contractors"), mt.plan_step("ask"):
            mt.log_event("Found two", payload={"hits": 2})
        run.succeed(summary="ABC is best", payload={"quote": 350})
    assert mt.shutdown(20)
    return run.key


def test_an_offline_run_is_shown_from_its_journal(recorded: str, call: Call) -> None:
    """Offline a run is shown with its plan, its events and its outcome, and that it waits."""
    said = call("show", recorded)
    assert said.status == 0
    lines = said.out.splitlines()
    assert lines[0].startswith("Wash windows  [succeeded]")
    assert "  research  [completed]" in said.out
    assert "    - custom: Found two" in said.out
    assert "  calls  [skipped]" in said.out
    assert "  result: ABC is best" in said.out
    assert "facts are not delivered yet" in lines[-1]


def test_what_was_recorded_does_nothing_to_a_terminal(call: Call, state: Path) -> None:
    """Control characters in names and texts are blanks wherever a run is shown, at a terminal too; JSON has them."""
    nasty = "up\x1b]0;title\x07\x9b2J\r\ndown"
    with mt.mission_run(nasty) as run, mt.plan_step(nasty, description=nasty) as step:
        mt.log_event(nasty)
        step.fail(nasty)
        run.fail(nasty)
    mt.shutdown(0)
    env = processes.environment(state, TERM="xterm", COLUMNS="200")
    drawn = [processes.at_a_terminal([*processes.CLI, command], env).decode() for command in ("show", "watch")]
    for text in [*drawn, *(call(command).out for command in ("show", "watch", "status", "runs", "missions"))]:
        assert text.count("down") > 0
        for sign in ("\x1b]", "\x07", "\x9b", "\rdown", "\ndown"):
            assert sign not in text, (sign, text)
    assert call("show", "--json").json["mission"] == nasty


def test_json_is_the_whole_run(recorded: str, call: Call) -> None:
    """--json gives everything that is known of a run."""
    run = call("show", "--json").json
    assert (run["key"], run["status"], run["source"], run["input"]) == (
        recorded, "succeeded", "journal", {"city": "Chicago"},
    )  # fmt: skip
    assert [step["step_id"] for step in run["steps"]] == ["research", "calls"]
    assert run["payload"] == {"quote": 350}
    [event] = run["events"]
    assert (event["step_id"], event["payload"]["hits"]) == ("research", 2)


def test_a_delivered_run_is_read_from_the_api(sent: str, call: Call) -> None:
    """With a key a run is read from the API, by its key, by Telnyx's id, or by the beginning of either."""
    run = call("show", sent, "--json").json
    assert (run["source"], run["status"], run["summary"]) == ("api", "succeeded", "ABC is best")
    assert [(step["step_id"], step.get("parent_step_id")) for step in run["steps"]] == [
        ("research", None),
        ("ask", "research"),
    ]
    for word in (run["run_id"], run["run_id"][:9], sent[:12], sent[-8:]):
        assert call("show", word, "--json").json["run_id"] == run["run_id"]
    assert call("show", sent, "--offline", "--json").json["source"] == "journal"


def test_a_run_of_another_program_is_shown(base_url: str, call: Call) -> None:
    """A run that another program made at the API is shown by its id."""
    with MissionsClient("x", base_url) as client:
        mission = client.missions.create(name="Others")
        run = client.missions.runs.create(mission.mission_id)
    said = call("show", run.run_id)
    assert said.out.startswith("Others  [pending]")


def test_without_the_api_the_journal_is_shown(sent: str, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the API out of reach the journal is shown, and it is said so."""
    monkeypatch.setenv("TELNYX_BASE_URL", "http://127.0.0.1:9/v2")
    said = call("show", sent, "--json")
    assert (said.status, said.json["source"]) == (0, "journal")
    assert "the API cannot be asked" in said.err


def test_no_such_run_is_a_failure(call: Call, recorded: str) -> None:
    """A run that is nowhere is one line and status 2."""
    for words in (["show", "nowhere"], ["watch", "nowhere"], ["cancel", "nowhere"]):
        said = call(*words)
        assert (said.status, said.out, said.err.count("\n")) == (2, "", 1)
        assert "no run 'nowhere'" in said.err


def test_a_word_that_means_two_runs_is_a_failure(call: Call) -> None:
    """The beginning of two keys is refused, with both."""
    mt.configure(log_level="off")
    for _ in range(2):
        with mt.mission_run("Wash windows") as run:
            pass
    said = call("show", run.key[:3])
    assert said.status == 2
    assert "means 2 runs" in said.err


def test_watch_follows_until_the_end(base_url: str, state: Path, tmp_path: Path) -> None:
    """`watch` tells each change in a line while it happens, and ends with the run."""
    env = processes.environment(state, TELNYX_API_KEY="x", TELNYX_BASE_URL=base_url)
    for offline in ([], ["--offline"]):
        mt.configure(settle=0.1)
        with mt.mission_run("Wash windows") as run, mt.plan_step("research"):
            assert run.flush(20)
            words = [*processes.CLI, "watch", run.key, "--interval", "0.05", *offline]
            with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None
                seen = [process.stdout.readline(), process.stdout.readline()]
                mt.log_event("Found two")
                assert run.flush(20)
                while "Found two" not in seen[-1]:
                    seen.append(process.stdout.readline())
                    assert seen[-1]
                run.end()
                assert run.flush(20)
                seen += process.stdout.read().splitlines()
        assert process.returncode == 0
        assert seen[0].startswith("run ")
        assert "[succeeded]" in "".join(seen[-3:])  # then what came of it, and perhaps that something waits


def test_watch_tells_programs_the_whole_run(recorded: str, call: Call) -> None:
    """`watch --json` gives a line of JSON per change."""
    said = call("watch", recorded, "--json")
    [line] = said.out.splitlines()
    assert json.loads(line)["status"] == "succeeded"


@pytest.mark.parametrize("where", ["--offline", "--json"])
def test_why_a_step_ended_is_shown(where: str, call: Call, base_url: str) -> None:
    """Why a step failed or was skipped is shown and followed, from the journal and from the API."""
    mt.configure(log_level="off")
    with mt.mission_run("Wash windows", plan=["ask", "call"]):
        with mt.plan_step("ask") as step:
            step.fail("nobody answered")
        with mt.plan_step("call") as step:
            step.skip("no numbers")
    assert mt.shutdown(20)
    more = [] if where == "--json" else [where]
    assert [step["reason"] for step in call("show", *more, "--json").json["steps"]] == ["nobody answered", "no numbers"]
    for words in (["show"], ["watch"]):
        said = call(*words, *more).out
        for reason in ("nobody answered", "no numbers"):
            assert any("call" in line or "ask" in line for line in said.splitlines() if line.endswith(reason)), words


def test_an_unknown_status_is_a_failure(call: Call, recorded: str) -> None:
    """A status that does not exist is refused, with those that exist."""
    said = call("runs", "--status", "nosuch")
    assert (said.status, said.out) == (2, "")
    assert "'succeeded', 'failed', 'cancelled', 'interrupted'" in said.err


def test_a_terminal_that_has_not_our_characters_gets_lines(call: Call, state: Path) -> None:
    """At a terminal whose encoding has not what we draw with, a run is shown in lines, and JSON is UTF-8."""
    with mt.mission_run("Wash…", plan=["ask"]):
        pass
    recorder.discard()
    for encoding in ("ascii", "latin-1"):
        env = processes.environment(state, TERM="xterm", PYTHONIOENCODING=encoding)
        assert b"  ask  [skipped]" in processes.at_a_terminal([*processes.CLI, "show"], env)
        done = processes.run([*processes.CLI, "show", "--json"], env)
        assert (done.returncode, '"Wash…"' in done.stdout) == (0, True)


def test_runs_are_listed(recorded: str, call: Call) -> None:
    """`runs` lists the runs of this machine offline, with filters."""
    [run] = call("runs", "--json").json
    assert (run["key"], run["mission"]) == (recorded, "Wash windows")
    assert call("runs", "--status", "failed", "--json").json == []
    assert call("runs", "--mission", "Wash windows").out.count("\n") == 2
    assert call("runs", "--mission", "Others").out == "no runs\n"


def test_runs_of_the_api_come_with_those_that_wait(sent: str, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """`runs` lists those of the API, and those of this machine that it does not have."""
    mt.configure(sender="off")
    with mt.mission_run("Not sent yet"):
        pass
    found = call("runs", "--json").json
    assert [(run["mission"], run["source"]) for run in found] == [("Not sent yet", "journal"), ("Wash windows", "api")]
    assert [run["mission"] for run in call("runs", "--limit", "1", "--json").json] == ["Not sent yet"]


def test_missions_are_listed(sent: str, call: Call) -> None:
    """`missions` lists those of the API, and offline those that were recorded."""
    [there] = call("missions", "--json").json
    [here] = call("missions", "--offline", "--json").json
    assert there["name"] == here["name"] == "Wash windows"
    assert there["mission_id"] == here["mission_id"]
    assert "Wash windows" in call("missions").out


def test_without_a_run_of_this_machine_the_newest_of_the_api_is_shown(call: Call, base_url: str) -> None:
    """Nothing being recorded here, `show` and `watch` without RUN mean the newest run that the API has."""
    assert "no run" in call("show").err
    with MissionsClient("x", base_url) as client:
        mission = client.missions.create(name="Wash windows")
        runs = [client.missions.runs.create(mission.mission_id) for _ in range(3)]
    assert call("show", "--json").json["run_id"] == runs[-1].run_id


def test_with_the_api_out_of_reach_the_journals_are_listed(
    recorded: str, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`runs` and `missions` fall back to what was recorded here, and say so."""
    monkeypatch.setenv("TELNYX_API_KEY", "x")
    monkeypatch.setenv("TELNYX_BASE_URL", "http://127.0.0.1:9/v2")
    for words, wanted in ((["runs"], recorded), (["missions"], "Wash windows")):
        said = call(*words)
        assert (said.status, said.err.count("\n")) == (0, 1)
        assert said.err.startswith("the API cannot be asked (ConnectError: ")
        assert wanted in said.out
