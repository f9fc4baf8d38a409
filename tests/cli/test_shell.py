"""The quick reading of the commands inside a run: the same words as click's, without click."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click
import msgspec
import pytest

from mission_tracer.cli._inside.acts import ACTS
from mission_tracer.cli.app import app
from mission_tracer.facts import Event, Fact
from tests import processes

from .conftest import Call


def click_command(name: tuple[str, ...]) -> click.Command:
    command = app.get_command(click.Context(app), name[0])
    for word in name[1:]:
        assert isinstance(command, click.Group)
        command = command.commands[word]
    assert command is not None
    return command


@pytest.mark.parametrize("name", ACTS, ids=" ".join)
def test_both_readings_know_the_same_words(name: tuple[str, ...]) -> None:
    """Click shows exactly the options and the number of arguments that the quick reading takes."""
    act, command = ACTS[name], click_command(name)
    options = {parameter.opts[0] for parameter in command.params if isinstance(parameter, click.Option)}
    assert options == {f"--{option}" for option in (*act.options, "run")}
    arguments = [parameter for parameter in command.params if isinstance(parameter, click.Argument)]
    assert sum(argument.required for argument in arguments) == act.least
    many = any(argument.nargs == -1 for argument in arguments)
    assert act.most == (None if many else len(arguments))


def test_every_inner_command_of_click_has_a_quick_reading(call: Call) -> None:
    """No command inside a run is left to click alone."""
    for first in {name[0] for name in ACTS}:
        command = click_command((first,))
        names = {(first, sub) for sub in command.commands} if isinstance(command, click.Group) else {(first,)}
        assert names <= set(ACTS)


def test_neither_click_nor_the_network_is_imported(state: Path, call: Call) -> None:
    """A command inside a run imports no click, no HTTP client and no logging library, and works without the extras."""
    key = call("start", "Wash windows").out.strip()
    heavy = "('click', 'rich', 'httpx', 'structlog', 'asyncio', 'ctypes', 'hashlib')"
    words = ["event", "soap", "--payload", '{"n": 1}', "--run", key]
    code = (
        "import sys; from mission_tracer.cli._inside.shell import quickly\n"
        f"assert quickly({words!r}) == 0\nprint([name for name in {heavy} if name in sys.modules])"
    )
    done = processes.run([sys.executable, "-c", code], processes.environment(state))
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


@pytest.mark.parametrize(
    "words", [["event", "soap", "--step=-"], ["event", "--type=message", "soap"], ["event", "--", "--soap"]]
)
def test_options_are_read_in_every_form(words: list[str], call: Call, state: Path) -> None:
    """`--name text`, `--name=text` and `--` are understood, in any order."""
    key = call("start", "Wash windows").out.strip()
    done = processes.run([*processes.CLI, words[0], "--run", key, *words[1:]], processes.environment(state))
    assert (done.returncode, done.stderr) == (0, "")
    [event] = call("show", key, "--json").json["events"]
    assert event["summary"] == words[-1] if words[-1] != "--step=-" else "soap"


def test_an_events_key_is_the_one_given(call: Call, journal: Callable[[], list[Fact]]) -> None:
    """`event --key` gives the event's idempotency key; without it, every event has one of its own."""
    run = call("start", "Wash windows").out.strip()
    for words in (["--key", "order 66"], [], []):
        assert call("event", "soap", "--run", run, *words).status == 0
    events = [msgspec.json.decode(fact.body) for fact in journal() if isinstance(fact, Event)]
    given, one, other = (event["idempotency_key"] for event in events)
    assert given == "order 66"
    assert len({given, one, other}) == 3


def test_a_carrier_that_names_no_run_is_a_failure(state: Path) -> None:
    """A damaged variable is one line and status 2; it never names a file outside of the directory."""
    for text in ("nonsense", "key=../../etc/passwd", "key=" + "a" * 65):
        done = processes.run(
            [*processes.CLI, "event", "soap"], processes.environment(state, MISSION_TRACER_PARENT=text)
        )
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert not state.exists()


def test_a_run_of_another_machine_is_joined(state: Path, call: Call) -> None:
    """A carrier from elsewhere begins a journal of its own for that run."""
    carrier = "key=33n9z181g0qxe541zt9212z28g&name=Wash+windows&mission_id=m-1&run_id=r-1"
    env = processes.environment(state, MISSION_TRACER_PARENT=carrier)
    for word in ("soap", "water"):
        assert processes.run([*processes.CLI, "event", word], env).returncode == 0
    run = call("show", "33n9z181g0qxe541zt9212z28g", "--json").json
    assert (run["mission"], run["run_id"], [event["summary"] for event in run["events"]]) == (
        "Wash windows", "r-1", ["soap", "water"],
    )  # fmt: skip


KEY = "KEY0123456789abcdef0123456789abcdef_aaaaaaaaaaaaaaaaaaaaaa"


@pytest.mark.parametrize(
    "words",
    [
        ["step", "start", f"call-{KEY}"],
        ["step", "start", "a", "--description", f"with {KEY}"],
        ["step", "start", "a", "--parent", KEY],
        ["step", "done", KEY, "--metadata", f'{{"found": "{KEY}"}}'],
        ["step", "fail", KEY, f"because of {KEY}"],
        ["step", "skip", "a", f"because of {KEY}"],
        ["event", f"Found {KEY}", "--payload", f'{{"x": ["{KEY}"], "password": "{KEY}"}}', "--key", f"once {KEY}"],
        ["event", "x", "--step", KEY, "--agent-id", KEY],
        ["tool", KEY, "--arguments", f'{{"q": "{KEY}"}}', "--result", KEY],
        ["tool", "t", "--error", KEY],
        ["tool", "t", "--", "true", KEY],
        ["plan", f"a=with {KEY}", KEY],
        ["agent", "link", KEY],
        ["succeed", f"all of {KEY}", "--payload", f'{{"x": "{KEY}"}}'],
        ["fail", f"for {KEY}"],
    ],
    ids=" ".join,
)
def test_no_secret_reaches_the_disk(words: list[str], call: Call, state: Path) -> None:
    """Wherever a secret stands in the words of a command, the journal does not have it."""
    key = call("start", f"Wash {KEY}", "--instructions", f"Use {KEY}", "--plan", f"b=with {KEY}").out.strip()
    split = words.index("--") if "--" in words else len(words)
    done = processes.run([*processes.CLI, *words[:split], "--run", key, *words[split:]], processes.environment(state))
    assert (done.returncode, done.stderr) == (0, "")
    kept = b"".join(path.read_bytes() for path in state.rglob("*") if path.is_file())
    assert KEY[:12].encode() not in kept
    assert b"redacted" in kept
