"""`exec`: a run around any program, and what a script may say inside."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from mission_tracer._disk.directory import Directory
from mission_tracer.cli._program.program import Program, in_words
from mission_tracer.cli._reading import journals
from mission_tracer.cli._reading.picture import RunPicture
from mission_tracer.client import MissionsClient
from tests import processes

MT = f"{sys.executable} -m mission_tracer"
Shell = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def env(state: Path) -> dict[str, str]:
    return processes.environment(state, MISSION_TRACER_LOG_LEVEL="off", MT=MT)


@pytest.fixture
def shell(env: dict[str, str], tmp_path: Path) -> Shell:
    """Run a shell script inside a run."""

    def run(script: str, *options: str, **more: str) -> subprocess.CompletedProcess[str]:
        return processes.run(
            [*processes.CLI, "exec", *options, "--", "sh", "-c", script], {**env, **more}, cwd=tmp_path
        )

    return run


def picture(state: Path) -> RunPicture:
    directory = Directory(state)
    [key] = {*directory.keys(), *directory.delivered_keys()}
    run = journals.picture(directory, key)
    assert run is not None
    return run


SCRIPT = """
set -e
$MT plan copy check "report=Say how it went"
$MT step start copy --description "Copy everything"
$MT event "Copied 3 files" --payload '{"files": 3, "password": "hunter2hunter2"}'
$MT tool ls --arguments '{"path": "/"}' --result '["a", "b"]'
$MT step done copy --metadata '{"files": 3}'
$MT step start check
$MT step fail check "disk full"
$MT step start check
$MT step done check
$MT step skip report "nobody asked"
$MT agent link assistant-1
$MT succeed "All is copied" --payload '{"files": 3}'
"""


def test_a_script_says_what_it_does(shell: Shell, state: Path) -> None:
    """Steps, events, tools, plan and outcome come from a plain shell script."""
    done = shell(SCRIPT, "--mission", "Nightly copy")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    run = picture(state)
    assert (run.mission, run.status, run.summary, run.payload) == (
        "Nightly copy", "succeeded", "All is copied", {"files": 3},
    )  # fmt: skip
    assert [(step.step_id, step.status, step.description) for step in run.steps] == [
        ("copy", "completed", "copy"),
        ("check", "completed", "check"),
        ("report", "skipped", "Say how it went"),
    ]
    assert [(event.type, event.step_id) for event in run.events] == [
        ("custom", "copy"),
        ("tool_call", "copy"),
        ("tool_result", "copy"),
    ]
    assert "hunter2" not in (next((state / "runs").glob("*.jsonl"))).read_text()


def test_the_api_has_it_all(shell: Shell) -> None:
    """With a key the run arrives at the API, in order, once."""
    with processes.served() as base_url:
        shell(SCRIPT, TELNYX_API_KEY="x", TELNYX_BASE_URL=base_url)
        with MissionsClient("x", base_url) as client:
            [run] = client.missions.runs.list_runs()
            steps = client.missions.runs.plan.retrieve(run.run_id, mission_id=run.mission_id)
            events = list(client.missions.runs.events.list(run.run_id, mission_id=run.mission_id))
            agents = client.missions.runs.telnyx_agents.list(run.run_id, mission_id=run.mission_id)
    assert (str(run.status), run.result_summary) == ("succeeded", "All is copied")
    assert [(step.step_id, str(step.status)) for step in steps] == [
        ("copy", "completed"),
        ("check", "completed"),
        ("report", "skipped"),
    ]
    assert [agent.telnyx_agent_id for agent in agents] == ["assistant-1"]
    assert len({event.idempotency_key for event in events}) == len(events)
    assert [str(event.type) for event in events][:4] == ["step_started", "custom", "tool_call", "tool_result"]


@pytest.mark.parametrize(
    ("script", "code", "status", "error"),
    [
        ("true", 0, "succeeded", None),
        ("exit 3", 3, "failed", "exit status 3"),
        ("kill -9 $$", -9, "failed", "killed by SIGKILL"),
        ("kill -TERM $$", -15, "failed", "killed by SIGTERM"),
        ("kill -INT $$", -2, "cancelled", None),
        ("$MT fail 'no soap'", 0, "failed", "no soap"),
        ("$MT fail 'no soap'; exit 4", 4, "failed", "no soap"),
        ("$MT succeed; exit 4", 4, "failed", "exit status 4"),
        ("$MT fail 'no soap'; $MT succeed 'soap after all'", 0, "succeeded", None),
    ],
)
def test_the_run_ends_as_the_program_ended(
    script: str, code: int, status: str, error: str | None, shell: Shell, state: Path
) -> None:
    """The exit status is kept; what the program did counts more than what it said."""
    assert shell(script).returncode == code
    run = picture(state)
    assert (run.status, run.error) == (status, error)
    assert not list(state.rglob("*.outcome"))


def test_a_program_that_is_not_there_is_a_failure(env: dict[str, str], state: Path, tmp_path: Path) -> None:
    """A program that does not exist, or cannot be run, is one line and status 2."""
    (tmp_path / "data").write_text("no program")
    (tmp_path / "broken").write_text("no program")
    (tmp_path / "broken").chmod(0o755)
    for name in ("nowhere", "./data", "./broken"):
        done = processes.run([*processes.CLI, "exec", name], env, cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert done.stderr.startswith("error: ")
        assert name in done.stderr


def test_steps_in_a_loop_and_in_parallel_are_apart(shell: Shell, state: Path) -> None:
    """A step that begins again is a new one, and processes that begin steps at once get one each."""
    loop = "for n in 1 2 3; do $MT step start call && $MT step done call; done"
    done = shell(f"{loop}; for n in 1 2 3 4; do $MT step start par & done; wait")
    assert done.returncode == 0, done.stderr
    found = [step.step_id for step in picture(state).steps]
    assert found[:3] == ["call", "call-2", "call-3"]
    assert len(set(found)) == len(found) == 7
    assert all(name.startswith("par") for name in found[3:])


def test_events_in_parallel_all_arrive(shell: Shell, state: Path) -> None:
    """Twenty processes that log at once log twenty whole events."""
    assert shell("for n in $(seq 20); do $MT event number-$n & done; wait").returncode == 0
    assert sorted(event.summary for event in picture(state).events) == sorted(f"number-{n}" for n in range(1, 21))


def test_a_tool_is_run(shell: Shell, state: Path) -> None:
    """`tool NAME -- COMMAND` runs the command, keeps its output and status, and logs what came of it."""
    done = shell(
        "$MT tool echo -- echo -n hi; $MT tool bad -- sh -c 'exit 5'; echo $?; $MT tool none -- nowhere; echo $?"
    )
    assert done.stdout == "hi5\n127\n"
    events = picture(state).events
    assert [(event.type, event.payload["tool"]) for event in events] == [
        ("tool_call", "echo"), ("tool_result", "echo"),
        ("tool_call", "bad"), ("error", "bad"),
        ("tool_call", "none"), ("error", "none"),
    ]  # fmt: skip
    assert events[1].payload["result"] == {"exit_status": 0}
    assert "exit status 5" in events[3].summary


def test_ctrl_c_ends_a_tool_and_is_logged(state: Path, env: dict[str, str]) -> None:
    """Ctrl-C ends the command of a tool; the call failed, we end by the same signal, and say nothing of our own."""
    key = processes.run([*processes.CLI, "start", "Nap"], env).stdout.strip()
    words = [*processes.CLI, "tool", "nap", "--run", key, "--", "sh", "-c", "echo ready; exec sleep 60"]
    with subprocess.Popen(
        words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (-signal.SIGINT, b"")
    assert [(event.type, event.summary) for event in picture(state).events] == [
        ("tool_call", "nap(command=['sh', '-c', 'echo ready; exec sleep 60'])"),
        ("error", "nap: exit status 130"),
    ]


def test_ctrl_c_before_a_program_begins_is_its_end() -> None:
    """Ctrl-C that comes before the program is there ends it all the same, by that signal."""
    program = Program(["sleep", "60"])
    os.kill(program.pid, signal.SIGINT)
    program.begin(dict(os.environ))
    assert in_words(program.wait()) == "killed by SIGINT"


def test_nested_runs_are_linked(shell: Shell, state: Path) -> None:
    """An `exec` inside an `exec` is a run of its own that names its parent."""
    assert shell(f"{MT} exec --mission Inner -- true", "--mission", "Outer").returncode == 0
    directory = Directory(state)
    runs = {run.mission: run for key in [*directory.keys()] if (run := journals.picture(directory, key))}
    assert set(runs) == {"Inner", "Outer"}
    assert [event.payload["child_run"]["mission"] for event in runs["Outer"].events] == ["Inner"]


def test_a_python_program_takes_part(env: dict[str, str], state: Path, tmp_path: Path) -> None:
    """A Python program with its own decorators records its steps into the run, and opens its own runs beside it."""
    code = "import mission_tracer as mt\nwith mt.plan_step('inner'):\n    mt.log_event('soap')\n"
    assert processes.run([*processes.CLI, "exec", sys.executable, "-c", code], env).returncode == 0
    run = picture(state)
    assert ([step.step_id for step in run.steps], [event.summary for event in run.events]) == (["inner"], ["soap"])


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("$MT event hi --payload 3", "--payload must be a JSON object"),
        ("$MT event hi --payload '{'", "--payload must be a JSON object"),
        ('$MT event hi --payload "$(printf \'{"a": "\\351"}\')"', "--payload must be a JSON object"),
        ("$MT event hi --type note", "--type must be one of status_change"),
        ("$MT event", "Missing argument 'SUMMARY'"),
        ("$MT event a b", "unexpected extra argument"),
        ("$MT step start", "Missing argument 'ID'"),
        ("$MT step start ''", "ID must be a name, not ''"),
        ("$MT plan =x", "ID must be a name, not ''"),
        ("$MT tool ''", "NAME must be a name, not ''"),
        ("$MT agent link ''", "AGENT must be a name, not ''"),
        ("MISSION_TRACER_PARENT=garbage $MT event hi", "MISSION_TRACER_PARENT names no run: 'garbage'"),
        ("$MT step begin x", "No such command 'begin'"),
        ("$MT plan", "Missing argument"),
        ("$MT event hi --run nowhere", "no run 'nowhere'"),
    ],
)
def test_wrong_words_are_a_failure(script: str, said: str, shell: Shell) -> None:
    """What cannot be done is one line on standard error and status 2, and the run goes on."""
    done = shell(f"{script}; exit $?")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("error: ")
    assert said in done.stderr


def test_outside_of_a_run_is_a_failure(env: dict[str, str]) -> None:
    """Outside of a run the commands inside one say what to do."""
    done = processes.run([*processes.CLI, "event", "hi"], env)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "mission-tracer exec" in done.stderr


def test_switched_off_nothing_is_said_or_kept(shell: Shell, state: Path) -> None:
    """With recording switched off the program runs, and the commands inside do nothing."""
    done = shell("$MT step start x && $MT event hi && echo ran", MISSION_TRACER_ENABLED="false")
    assert (done.returncode, done.stdout, done.stderr) == (0, "ran\n", "")
    assert not state.exists()


def test_the_terminal_stays_the_programs(env: dict[str, str], state: Path) -> None:
    """At a terminal the program sees a terminal, with --capture-output too, and Ctrl-C reaches it once."""
    code = (
        "import os, signal, sys, time\n"
        "got = []\n"
        "signal.signal(signal.SIGINT, lambda n, f: got.append(n))\n"
        "print(sys.stdin.isatty(), sys.stdout.isatty(), os.get_terminal_size().columns, flush=True)\n"
        "while not got: time.sleep(0.01)\n"
        "time.sleep(0.3)\n"
        "print('got', len(got), flush=True)\n"
    )
    for options in ([], ["--capture-output"]):
        pid, ours = pty.fork()
        if pid == 0:
            os.execve(sys.executable, [*processes.CLI, "exec", *options, sys.executable, "-c", code], env)
        fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 77, 0, 0))
        seen = read_until(ours, b"\n")
        assert b"True True 77" in seen
        os.write(ours, b"\x03")
        assert b"got 1" in read_until(ours, b"got 1")
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        os.close(ours)


def test_a_stopped_program_stops_us(env: dict[str, str]) -> None:
    """When the program stops, so do we, and a SIGCONT to us lets both go on."""
    code = (
        "import os, signal; print('ready', flush=True); os.kill(os.getpid(), signal.SIGTSTP); print('on', flush=True)"
    )
    with subprocess.Popen(
        [*processes.CLI, "exec", sys.executable, "-c", code],
        env=env,
        stdout=subprocess.PIPE,
        preexec_fn=os.setpgrp,  # noqa: PLW1509 - a group of its own, as a shell gives it
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        process.send_signal(signal.SIGCONT)
        assert process.stdout.readline() == b"on\n"
        assert process.wait(20) == 0


def read_until(fd: int, wanted: bytes) -> bytes:
    seen = b""
    while wanted not in seen:
        seen += os.read(fd, 4096)
    return seen
