"""Commands in wrong surroundings: settings, home, state directory, working directory, standard streams, RUN."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from mission_tracer.cli._inside.acts import ACTS
from tests import processes

from .conftest import Call

DELETED = (
    "import os, sys, tempfile; os.chdir(p := tempfile.mkdtemp()); os.rmdir(p); os.execv(sys.argv[1], sys.argv[1:])"
)
"""A program that becomes another one in a working directory that was deleted."""


def started(state: Path, **more: str) -> str:
    done = processes.run([*processes.CLI, "start", "Wash windows"], processes.environment(state, **more))
    assert done.returncode == 0
    return done.stdout.strip()


def summaries(call: Call, key: str) -> list[str]:
    return [event["summary"] for event in call("show", key, "--json").json.get("events", [])]


def test_a_wrong_setting_is_said_and_done_without(call: Call, state: Path) -> None:
    """A wrong variable is one line on standard error, and the command works with the default."""
    env = processes.environment(state, MISSION_TRACER_CAPTURE="nope")
    done = processes.run([*processes.CLI, "start", "Wash windows"], env)
    said = "warning: environment variable MISSION_TRACER_CAPTURE must be one of full, names, off, not 'nope'"
    assert (done.returncode, done.stderr) == (0, f"{said}; the default is used\n")
    key = done.stdout.strip()
    for words in (["event", "soap"], ["tool", "sh", "--", "sh", "-c", "echo ran; exit 3"]):
        done = processes.run([*processes.CLI, *words[:2], "--run", key, *words[2:]], env)
        assert done.stderr == f"{said}; the default is used\n"
    assert (done.returncode, done.stdout) == (3, "ran\n")
    assert summaries(call, key) == [
        "soap", "sh(command=['sh', '-c', 'echo ran; exit 3'])", "sh: exit status 3",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "more",
    [
        {"MISSION_TRACER_ENABLED": "false"},
        {"MISSION_TRACER_PARENT": "key=0123456789&name=m", "MISSION_TRACER_DIR": "/dev/null/state"},
        {},
    ],
    ids=str,
)
def test_the_command_of_a_tool_is_run_whatever_becomes_of_the_log(more: dict[str, str], state: Path) -> None:
    """Switched off, on a disk that takes nothing and outside of a run, `tool NAME -- COMMAND` runs its command."""
    words = ["tool", "sh", "--", "sh", "-c", "echo ran; exit 3"]
    done = processes.run([*processes.CLI, *words], {**processes.environment(state), **more})
    assert (done.returncode, done.stdout) == (3, "ran\n")
    assert done.stderr.count("error: ") == (0 if "MISSION_TRACER_ENABLED" in more else 1)


def test_the_command_of_a_tool_is_run_on_a_full_disk(state: Path) -> None:
    """When the journal takes no more the command of a tool runs, and its status is not that of the log."""
    key = started(state)
    size = (state / "runs" / f"{key}.jsonl").stat().st_size
    limit = f"import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))"
    limit += "; os.execv(sys.argv[1], sys.argv[1:])"
    words = [*processes.CLI, "tool", "sh", "--run", key, "--", "sh", "-c", "echo ran; exit 3"]
    done = processes.run([sys.executable, "-c", limit, *words], processes.environment(state))
    assert (done.returncode, done.stdout) == (3, "ran\n")
    assert done.stderr.count("error: ") == 1


def test_without_a_home_directory_a_directory_is_enough(state: Path) -> None:
    """Where no home directory can be found commands work in MISSION_TRACER_DIR; without it the line names it."""
    named = processes.homeless(MISSION_TRACER_DIR=str(state))
    key = processes.run([*processes.HOMELESS_CLI, "start", "Wash windows"], named).stdout.strip()
    with processes.served() as url:
        api = {"TELNYX_API_KEY": "x", "TELNYX_BASE_URL": url}
        for words in (["show", key], ["runs"], ["missions"], ["sync"], ["doctor"]):
            done = processes.run([*processes.HOMELESS_CLI, *words], {**named, **api})
            assert (done.returncode, done.stderr) == (0, ""), words
            assert "MISSION_TRACER_DIR" not in done.stdout
    for words in (["status"], ["show"], ["start", "x"], ["event", "soap", "--run", key]):
        done = processes.run([*processes.HOMELESS_CLI, *words], processes.homeless())
        assert (done.returncode, done.stdout) == (2, ""), words
        assert done.stderr.splitlines()[-1].startswith("error: environment variable MISSION_TRACER_DIR must name")


def test_without_a_home_directory_programs_run(tmp_path: Path) -> None:
    """`exec` runs its program where nothing can be kept, in memory or in a directory that cannot be made."""
    words = ["exec", "--", "sh", "-c", "echo ran; exit 3"]
    for more in ({}, {"MISSION_TRACER_DIR": "/dev/null/state"}, {"MISSION_TRACER_DIR": "/proc/nowhere"}):
        done = processes.run([*processes.HOMELESS_CLI, *words], processes.homeless(**more))
        assert (done.returncode, done.stdout, done.stderr.count("Traceback")) == (3, "ran\n", 0)


@pytest.mark.parametrize(
    "words",
    [
        *(["status"], ["sync"], ["forward"], ["dead", "list"], ["runs"], ["show"], ["cancel", "x"]),
        ["event", "soap", "--run", "x"],
    ],
    ids=" ".join,
)
def test_a_directory_that_cannot_be_read_is_a_failure(words: list[str], tmp_path: Path) -> None:
    """What is there and cannot be read is not taken for nothing: one line names the directory and the variable."""
    file = tmp_path / "file"
    file.touch()
    done = processes.run([*processes.CLI, *words], processes.environment(file, TELNYX_API_KEY="x"))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert f"{file}/runs cannot be read" in done.stderr
    assert "MISSION_TRACER_DIR" in done.stderr


def test_doctor_fails_for_a_directory_that_cannot_be_read(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`doctor` does not say of a directory that it cannot read that nothing is recorded there."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("MISSION_TRACER_DIR", os.fspath(tmp_path / "file"))
    monkeypatch.setenv("TELNYX_BASE_URL", "http://127.0.0.1:9/v2")
    verdicts = {finding["subject"]: finding["verdict"] for finding in call("doctor", "--json").json}
    assert (verdicts["directory"], verdicts["journals"]) == ("fail", "fail")


@pytest.mark.parametrize("words", [["exec", "--", sys.executable], ["run"]], ids=" ".join)
def test_a_program_runs_in_a_directory_that_was_deleted(words: list[str], call: Call, state: Path) -> None:
    """In a working directory that was deleted the program runs as it would without us, and is recorded."""
    env = processes.environment(state, MISSION_TRACER_LOG_LEVEL="off")
    done = processes.run([sys.executable, "-c", DELETED, *processes.CLI, *words, "-c", "print('ran')"], env)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ran\n", "")
    assert call("show", "--json").json["status"] == "succeeded"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_no_exit_status(closed: str, call: Call, state: Path) -> None:
    """With standard streams closed a command does what it does, ends as it ends, and writes nothing into a journal."""
    key = started(state)
    words = " ".join(processes.CLI)
    for command, status in (("event soap", 0), ("step start ''", 2), ("tool t -- nowhere", 127)):
        line = f"{words} {command.replace(' -- ', f' --run {key} -- ')}"
        line += f" {closed}" if "--run" in line else f" --run {key} {closed}"
        assert processes.run(["sh", "-c", line], processes.environment(state)).returncode == status, command
    for command in ("status", "show", "--help"):
        assert processes.run(["sh", "-c", f"{words} {command} {closed}"], processes.environment(state)).returncode == 0
    assert summaries(call, key) == ["soap", "t(command=['nowhere'])", "t: exit status 127"]
    assert b"error: nowhere" not in (state / "runs" / f"{key}.jsonl").read_bytes()


EMPTY = [
    ["show", ""], ["watch", ""], ["cancel", ""], ["pause", ""], ["resume", ""], ["exec", "--run", "", "--", "true"],
    ["dead", "list", ""], ["dead", "retry", ""], ["dead", "drop", ""],
]  # fmt: skip


@pytest.mark.parametrize("words", EMPTY, ids=" ".join)
def test_an_empty_run_means_none(words: list[str], call: Call, state: Path) -> None:
    """A RUN that is empty, since a variable is not set, is refused, also when there is only one run."""
    started(state)
    said = call(*words)
    assert (said.status, said.out, said.err) == (2, "", "error: RUN is empty: is the variable set?\n")


@pytest.mark.parametrize("name", ACTS, ids=" ".join)
def test_an_empty_run_means_none_inside_either(name: tuple[str, ...], call: Call, state: Path) -> None:
    """The same goes for --run of the commands inside a run."""
    key = started(state)
    words = [*name, *["x"] * ACTS[name].least, "--run", ""]
    done = processes.run([*processes.CLI, *words], processes.environment(state))
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "error: RUN is empty: is the variable set?\n")
    assert call("status", "--json").json["runs"][0]["status"] == "running"
    assert summaries(call, key) == []
