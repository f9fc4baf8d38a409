"""`completion`: the shell completes our commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import processes

from .conftest import Call


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_it_prints_what_the_shell_needs(shell: str, call: Call) -> None:
    """For each shell there is a script that names our program."""
    said = call("completion", shell)
    assert said.status == 0
    assert "mission-tracer" in said.out
    assert "_MISSION_TRACER_COMPLETE" in said.out


def test_commands_and_options_are_completed(state: Path) -> None:
    """What the script asks for is answered: commands, and the options of a command."""
    for typed, wanted in (("mission-tracer st", "status"), ("mission-tracer sync --t", "--timeout")):
        env = processes.environment(
            state, _MISSION_TRACER_COMPLETE="bash_complete", COMP_WORDS=typed, COMP_CWORD=str(typed.count(" "))
        )
        assert wanted in processes.run(processes.CLI, env).stdout


def test_runs_are_completed(recorded: str, state: Path) -> None:
    """Where RUN is wanted, keys of this machine's runs are offered with their missions; nothing wrong is said there."""
    for typed in (f"mission-tracer show {recorded[:4]}", f"mission-tracer event x --run {recorded[:4]}"):
        env = processes.environment(
            state, _MISSION_TRACER_COMPLETE="zsh_complete", COMP_WORDS=typed, COMP_CWORD=str(typed.count(" "))
        )
        for more in ({}, {"MISSION_TRACER_DURABILITY": "eternal"}):
            done = processes.run(processes.CLI, {**env, **more})
            assert (done.stdout.splitlines(), done.stderr) == (["plain", recorded, "Wash windows"], "")
        wrong = processes.run(processes.CLI, {**env, "MISSION_TRACER_DIR": "/dev/null"})
        assert (wrong.stdout.strip(), wrong.stderr) == ("", "")


def test_another_shell_is_a_failure(call: Call) -> None:
    """A shell we do not know is one line and status 2."""
    said = call("completion", "tcsh")
    assert (said.status, said.err.count("\n")) == (2, 1)
