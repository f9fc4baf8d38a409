"""The command line as a whole: help, failures, and what is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from mission_tracer.cli import app
from mission_tracer.cli.command import Command
from tests import processes

from .conftest import Call


def commands(
    group: click.Group = app.app, above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*above, name))
        else:
            yield (*above, name), command


COMMANDS = dict(commands())
SHELLS, CHOICE, SEE = "{bash|zsh|fish}", "Choose from: bash, zsh, fish", "See: mission-tracer"


def test_help_lists_every_command(call: Call) -> None:
    """`--help`, and no words at all, list every command."""
    said = call("--help")
    assert said.status == 0
    assert call() == said
    for words in COMMANDS:
        assert f"  {words[0]} " in said.out


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_teaches(words: tuple[str, ...], call: Call) -> None:
    """Every command's help says what it does, explains every option, and gives an example."""
    said = call(*words, "--help")
    assert said.status == 0
    assert said.err == ""
    assert "Example:\n  " in said.out
    command = COMMANDS[words]
    assert isinstance(command, Command)
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["bogus"], "error: No such command 'bogus'. See: mission-tracer --help\n"),
        (["sync", "--bogus"], "error: No such option '--bogus'. See: mission-tracer sync --help\n"),
        (["step"], "error: say what to do: start, done, fail, skip. See: mission-tracer step --help\n"),
        (["step", "bogus", "a"], "error: No such command 'bogus'. See: mission-tracer step --help\n"),
        (["exec", "--", "/nowhere/x"], "error: /nowhere/x: there is no such program, or it is not executable\n"),
        (
            ["exec", "--plan", "=b", "true"],
            f"error: --plan: a step of the plan must be a name, not ''. {SEE} exec --help\n",
        ),
        (["sync"], "error: TELNYX_API_KEY is not set; nothing can be sent without it\n"),
        (
            ["completion"],
            f"error: Missing argument '{SHELLS}'. Choose from: bash, zsh, fish. {SEE} completion --help\n",
        ),
    ],
)
def test_a_failure_is_one_line_and_status_2(words: list[str], said: str, call: Call) -> None:
    """Whatever goes wrong is one line on standard error and exit status 2."""
    done = call(*words)
    assert (done.status, done.out, done.err) == (2, "", said)


@pytest.mark.parametrize("number", ["nan", "inf", "1e300", "-1", "0", "x"])
@pytest.mark.parametrize(("command", "option"), [("watch", "--interval"), ("doctor", "--timeout")])
def test_an_interval_that_cannot_be_waited_for_is_a_failure(
    command: str, option: str, number: str, call: Call, recorded: str
) -> None:
    """What is no number of seconds, or none that a machine can wait for, is refused by name."""
    done = call(command, option, number)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith(f"error: Invalid value for '{option}': ")


@pytest.mark.parametrize("option", ["--timeout", "--stall"])
@pytest.mark.parametrize("number", ["nan", "-1", "x"])
def test_a_limit_that_is_no_number_is_a_failure(option: str, number: str, call: Call) -> None:
    """A limit of `sync` that would never be reached by mistake is refused by name."""
    done = call("sync", option, number)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith(f"error: Invalid value for '{option}': ")


def test_an_unknown_log_level_is_a_failure(call: Call) -> None:
    """A log level that does not exist is refused before the program runs, with those that exist."""
    done = call("run", "--log-level", "LOUD", "-c", "print(1)")
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert "no log level 'LOUD': DEBUG, INFO, WARNING, ERROR or CRITICAL" in done.err


def test_an_unknown_integration_is_a_failure(call: Call) -> None:
    """An integration that does not exist is refused before the program runs, with those that exist."""
    done = call("run", "--instrument", "openai,bogus", "-c", "print(1)")
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith("error: --instrument: there is no integration 'bogus': there are anthropic, ")


def test_an_output_nobody_reads_is_no_failure(tmp_path: Path) -> None:
    """A reader that goes away early, such as `head`, is no failure."""
    words = " ".join(processes.CLI)
    done = processes.run(["sh", "-c", f"{words} --help | head -1"], processes.environment(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("words", ["status", "show", "runs --json", "watch"])
def test_what_nobody_goes_on_reading_is_shown(words: str, recorded: str, state: Path) -> None:
    """A reader that goes away between two lines of what is only shown makes it no failure."""
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "wb") as output:
        done = subprocess.run(
            [*processes.CLI, *words.split()],
            env=processes.environment(state), stdout=output, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")


def test_without_click_one_line_says_what_to_install(tmp_path: Path) -> None:
    """Without the extra the command line says in one line what to install, and exits with 2."""
    code = "import sys; sys.modules['click'] = None; from mission_tracer.__main__ import main; sys.exit(main())"
    done = processes.run([sys.executable, "-c", code], processes.environment(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: the command line needs click: pip install 'mission-tracer[cli]'\n"
