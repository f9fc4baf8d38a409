"""Track a Python program that knows nothing of us."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from mission_tracer.cli._program.enclosing import Environ, Wishes, enclose
from mission_tracer.cli._program.hooks import Boot
from mission_tracer.cli._program.wishes import Table, check, items, merged, planned, read_table, targets
from mission_tracer.cli.command import Command

BOOT = Path(__file__).parent / "_program" / "boot"
_EXAMPLE = """mission-tracer run --mission "Nightly report" --step work:fetch --step work:render report.py --all
mission-tracer run --step __main__:main --tool httpx:get -m mypkg.report --all"""
_BEGINS = {"-m", "-c", "-"}


class _Run(Command):
    """Leave everything from the script on to the script."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        takes_value = {
            name: not option.is_flag
            for option in self.params
            if isinstance(option, click.Option)
            for name in option.opts
        }
        place = 0
        while place < len(args) and args[place].startswith("-") and args[place] not in _BEGINS | {"--"}:
            place += 2 if takes_value.get(args[place], False) else 1
        rest = args[place + 1 :] if args[place : place + 1] == ["--"] else args[place:]
        return super().parse_args(ctx, [*args[:place], "--", *rest])


@click.command(cls=_Run, epilog=_EXAMPLE)
@click.option("--mission", metavar="NAME", help="The mission's name; otherwise the script's or module's.")
@click.option(
    "--step",
    metavar="MODULE:FUNCTION[=TEXT]",
    multiple=True,
    help="Each call of this function is a step, described by TEXT; `__main__` is the script itself. May be repeated.",
)
@click.option(
    "--tool",
    metavar="MODULE:FUNCTION",
    multiple=True,
    help="Each call of this function is a tool call. May be repeated.",
)
@click.option("--plan", metavar="A,B,C", help="The steps known beforehand, each ID or ID=DESCRIPTION.")
@click.option("--log-level", metavar="LEVEL", help="Log records of this level and above are events.")
@click.option("--instrument", metavar="A,B", help="Switch these integrations on: openai, httpx, langchain, ...")
@click.option("--capture-output", is_flag=True, help="Log the last 8 KB of standard output and error as events.")
@click.argument("words", nargs=-1, metavar="SCRIPT | -m MODULE | -c CODE | - [ARGS...]", type=click.UNPROCESSED)
def run(
    *,
    mission: str | None,
    step: tuple[str, ...],
    tool: tuple[str, ...],
    plan: str | None,
    log_level: str | None,
    instrument: str | None,
    capture_output: bool,
    words: tuple[str, ...],
) -> int:
    """Run a Python program, unchanged, as a run of a mission.

    It runs as under plain `python`: arguments, `__main__`, input, output, signals, exit status, pickling and child
    processes. Exit status 0 is a success; an exception, another status or a signal a failure; Ctrl-C cancels. What is
    always asked for can stand in pyproject.toml, under [tool.mission_tracer], by the names of the options.
    """
    if not words or (len(words) == 1 and words[0] in {"-m", "-c"}):
        raise click.UsageError("say what to run: SCRIPT, -m MODULE or -c CODE.")
    wishes = merged(
        read_table(),
        mission=mission,
        step=list(step),
        tool=list(tool),
        plan=items(plan),
        instrument=items(instrument),
        log_level=log_level,
        capture_output=capture_output,
    )
    check(wishes)
    boot = _boot(wishes, words)
    name = wishes.mission or _name(words)
    command = [sys.executable, *words]
    return enclose(
        command,
        Wishes(name, planned(wishes.plan), wishes.capture_output),
        lambda environ: _dress(environ, boot),
    )


def _boot(wishes: Table, words: Sequence[str]) -> Boot:
    found = [*targets("step", wishes.step), *targets("tool", wishes.tool)]
    return Boot(found, wishes.instrument, wishes.log_level, _main(words))


def _dress(environ: Environ, boot: Boot) -> Environ:
    """Have the boot directory found first; it takes itself off the path again."""
    others = environ.get("PYTHONPATH")
    environ["PYTHONPATH"] = f"{BOOT}{os.pathsep}{others}" if others else str(BOOT)
    environ.pop("MISSION_TRACER_BOOT", None)  # that of a run around this one
    if boot.targets or boot.instrument or boot.log_level:
        environ["MISSION_TRACER_BOOT"] = msgspec.json.encode(boot).decode()
    return environ


def _main(words: Sequence[str]) -> str | None:
    """Say which module the program runs as `__main__`: by that name an import hook would never meet it."""
    if words[0] == "-m":
        return words[1]
    return Path(words[0]).stem if words[0] not in {"-c", "-"} else None


def _name(words: Sequence[str]) -> str:
    return _main(words) or {"-c": "python -c"}.get(words[0], "python")
