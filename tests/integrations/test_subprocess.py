"""Programs that are started as calls of a tool."""

from __future__ import annotations

import asyncio
import ctypes.util
import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

import mission_tracer as mt
from mission_tracer import facts
from mission_tracer._base.ownership import Rank, owning

from .told import are_the_same, bodies, events

Journal = Callable[[], list[facts.Fact]]

EXITS = [sys.executable, "-c", "import sys; sys.exit(3)"]
WAITS = [sys.executable, "-c", "import sys; sys.stdin.read()"]


@pytest.fixture(autouse=True)
def on() -> None:
    mt.configure(strict=True)
    mt.instrument("subprocess")


def results(found: list[facts.Fact]) -> list[Any]:
    return [b["payload"].get("result") for b in bodies(found) if b["type"] == "tool_result"]


@pytest.mark.parametrize("how", ["run", "call", "check_output", "popen", "block", "poll", "communicate"])
def test_a_program_is_a_call_of_a_tool(how: str, journal: Journal) -> None:
    """Started in whatever way, a program is one call and one result, with its exit status, linked to the step."""
    quick = [sys.executable, "-c", "print('x')"]
    with mt.mission_run("m"), mt.plan_step("s"):
        if how == "run":
            assert subprocess.run(quick, capture_output=True, check=True).stdout == b"x\n"
        elif how == "call":
            assert subprocess.call(quick, stdout=subprocess.DEVNULL) == 0
        elif how == "check_output":
            assert subprocess.check_output(quick) == b"x\n"
        else:
            process = subprocess.Popen(quick, stdout=subprocess.PIPE)
            assert process.stdout is not None
            if how == "block":
                with process:
                    process.stdout.read()
            elif how == "poll":
                while process.poll() is None:
                    time.sleep(0.01)
            elif how == "communicate":
                assert process.communicate() == (b"x\n", None)
            else:
                assert process.wait() == 0
            process.stdout.close()
        call, result = bodies(journal())
    assert call["payload"]["arguments"] == {"command": quick}
    assert call["payload"]["call_id"] == result["payload"]["call_id"]
    assert (call["type"], result["type"], result["step_id"]) == ("tool_call", "tool_result", "s")
    assert result["payload"]["result"] == {"returncode": 0}


def test_the_exit_status_and_the_place_are_told(journal: Journal, tmp_path: Any) -> None:
    """A failing program is a result with its status; directory and shell are told when they are given."""
    with mt.mission_run("m"):
        assert subprocess.run(EXITS, cwd=tmp_path, check=False).returncode == 3
        subprocess.run("exit 4", shell=True, check=False)
    asked = [b["payload"]["arguments"] for b in bodies(journal()) if b["type"] == "tool_call"]
    assert asked == [{"command": EXITS, "cwd": str(tmp_path)}, {"command": "exit 4", "shell": True}]
    assert results(journal()) == [{"returncode": 3}, {"returncode": 4}]


def test_a_program_that_there_is_not_is_an_error(journal: Journal) -> None:
    """What cannot be started is one error event of the call, and the error reaches the caller."""
    with mt.mission_run("m"), pytest.raises(FileNotFoundError):
        subprocess.run(["there-is-no-such-program"], check=False)
    assert [e[0] for e in events(journal())] == ["tool_call", "error"]


def test_secrets_of_commands_are_hidden(journal: Journal) -> None:
    """Passwords and tokens of options, assignments and addresses are not recorded, and the environment never is."""
    secret = "hunter2-hunter2"
    echo = [sys.executable, "-c", "pass"]
    given = ["-u", f"me:{secret}", "--password", secret, f"--token={secret}", f"postgres://me:{secret}@db/x"]
    with mt.mission_run("m"):
        subprocess.run([*echo, *given], check=True, env={**os.environ, "SECRET": secret})
        subprocess.run(f"true --password {secret}; API_KEY={secret} true", shell=True, check=True)
    assert secret not in str(bodies(journal()))
    assert "me:[redacted]" in bodies(journal())[0]["payload"]["arguments"]["command"]


@pytest.mark.parametrize("shell", [False, True])
def test_secrets_of_commands_are_hidden_in_their_errors(shell: bool, journal: Journal) -> None:
    """What the module says of a program that failed or took too long quotes its command, without the passwords."""
    secret = "hunter2-hunter2"
    listed = [sys.executable, "-c", "import sys; sys.exit(1)", "-u", f"me:{secret}", f"-ume:{secret}"]
    command: Any = f"exit 1; curl -u me:{secret}; sshpass -p {secret} x" if shell else listed
    with pytest.raises(subprocess.CalledProcessError), mt.mission_run("m"):
        subprocess.run(command, shell=shell, check=True)
    with pytest.raises(subprocess.TimeoutExpired), mt.mission_run("m"):
        raise subprocess.TimeoutExpired(command, 1)
    told = bodies(journal())
    assert [body["type"] for body in told] == ["tool_call", "tool_result", "error", "error"]
    assert secret not in str(told)
    assert secret not in str([fact.error for fact in journal() if isinstance(fact, facts.RunClosed)])


def test_an_iterator_of_arguments_is_left_to_the_program(journal: Journal) -> None:
    """A command that can be gone through only once reaches the module whole; its type is told."""
    command: Any = iter(EXITS)
    with mt.mission_run("m"):
        assert subprocess.run(command, check=False).returncode == 3
    assert bodies(journal())[0]["payload"]["arguments"] == {"command": "list_iterator"}


def test_what_the_language_asks_the_machine_is_no_tool(journal: Journal) -> None:
    """Programs that the standard library starts to look around, as while modules are imported, are not recorded."""
    with mt.mission_run("m"):
        ctypes.util.find_library("c")
    assert events(journal()) == []


def test_asynchronous_programs(journal: Journal) -> None:
    """Programs of an event loop are calls of their step too."""

    async def main() -> None:
        with mt.mission_run("m"), mt.plan_step("s"):
            process = await asyncio.create_subprocess_exec(*EXITS)
            assert await process.wait() == 3
            shell = await asyncio.create_subprocess_shell("echo x", stdout=asyncio.subprocess.PIPE)
            assert await shell.communicate() == (b"x\n", None)

    asyncio.run(main())
    assert [e[::2] for e in events(journal())] == [("tool_call", "s"), ("tool_result", "s")] * 2
    assert results(journal()) == [{"returncode": 3}, {"returncode": 0}]


def test_a_program_that_outlives_its_run_is_told_as_such(journal: Journal) -> None:
    """A program that still runs when its run ends has no exit status, and nothing is recorded afterwards."""
    with mt.mission_run("m"):
        process = subprocess.Popen(WAITS, stdin=subprocess.PIPE)
    assert results(journal()) == [{"returncode": None}]
    process.communicate()
    assert len(events(journal())) == 2


def test_a_program_that_is_forgotten_is_told_by_the_end_of_its_step(journal: Journal) -> None:
    """A program whose handle is dropped is a call with a result."""
    with mt.mission_run("m"), mt.plan_step("s"):
        process = subprocess.Popen([sys.executable, "-c", ""])
        os.waitpid(process.pid, 0)
        process.returncode = 0  # or the handle would warn when it is dropped
        del process
        gc.collect()
    assert len(results(journal())) == 1


def test_outside_of_a_run_and_inside_of_something_stronger_it_stays_silent(journal: Journal) -> None:
    """Without a run, or inside of a call that somebody else records, a program is no call."""
    subprocess.run([sys.executable, "-c", ""], check=True)
    with mt.mission_run("m"), owning(Rank.FRAMEWORK):
        subprocess.run([sys.executable, "-c", ""], check=True)
    assert events(journal()) == []


CHILD = [sys.executable, "-c", "import mission_tracer as mt; mt.log_event('from the child')"]


@pytest.mark.parametrize("how", ["inherited", "given", "shell"])
def test_programs_join_the_run_on_request(how: str, journal: Journal) -> None:
    """With `join`, a program that records with us takes part in the run, unless the user gave it another parent."""
    quiet = {"MISSION_TRACER_LOG_LEVEL": "error"}
    os.environ.update(quiet)
    try:
        with mt.mission_run("m"):
            subprocess.run(CHILD, check=True)
        assert all(e[1] != "from the child" for e in events(journal()))
        mt.uninstrument("subprocess")
        mt.instrument("subprocess", join=True)
        with mt.mission_run("m"), mt.plan_step("s"):
            if how == "inherited":
                subprocess.run(CHILD, check=True)
            elif how == "given":
                subprocess.run(CHILD, check=True, env=dict(os.environ))
                subprocess.run(CHILD, check=True, env={**os.environ, "MISSION_TRACER_PARENT": "key=own"})
            else:
                subprocess.run(f'{sys.executable} -c "{CHILD[2]}"', shell=True, check=True)
    finally:
        del os.environ["MISSION_TRACER_LOG_LEVEL"]
    assert "MISSION_TRACER_PARENT" not in os.environ
    said = [e[2] for e in events(journal()) if e[1] == "from the child"]
    assert sorted(map(str, said)) == (["None", "s"] if how == "given" else ["s"])


def test_switching_off_restores_everything() -> None:
    """After `uninstrument` the classes have their own methods again, and what is under way goes on."""
    mt.uninstrument("subprocess")
    names = ("__init__", "poll", "wait")
    before = [vars(subprocess.Popen)[name] for name in names]
    before_async = vars(asyncio.subprocess.Process)["wait"]
    mt.instrument("subprocess")
    with mt.mission_run("m"):
        process = subprocess.Popen(WAITS, stdin=subprocess.PIPE)
        mt.uninstrument("subprocess")
        process.communicate()
    assert are_the_same([vars(subprocess.Popen)[name] for name in names], before)
    assert vars(asyncio.subprocess.Process)["wait"] is before_async


def test_an_error_of_ours_does_not_reach_the_program(capfd: pytest.CaptureFixture[str]) -> None:
    """When our part of starting or of waiting fails, the program is started and waited for."""
    mt.configure(log_level="error")

    class Hostile(subprocess.Popen[bytes]):
        def __hash__(self) -> int:
            raise RuntimeError("ours")

    with mt.mission_run("m"), Hostile(EXITS) as process:
        assert process.wait() == 3
    assert "an error of ours" in capfd.readouterr().err
