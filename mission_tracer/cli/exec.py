"""Put a run around any program."""

from __future__ import annotations

from pathlib import Path

import click

from mission_tracer.cli._program.enclosing import Wishes, enclose
from mission_tracer.cli._program.joining import take_part
from mission_tracer.cli._program.wishes import items, planned
from mission_tracer.cli.command import command
from mission_tracer.cli.surroundings import complete_run

_WORDS = {"allow_interspersed_args": False, "ignore_unknown_options": False}


@command(
    'mission-tracer exec --mission "Nightly backup" -- ./backup.sh /home',
    "# and in backup.sh:",
    'mission-tracer step start copy && cp -a "$1" /mnt && mission-tracer step done copy',
    name="exec",
    context_settings=_WORDS,
)
@click.option("--mission", metavar="NAME", help="The mission's name; otherwise the program's.")
@click.option("--plan", metavar="A,B,C", help="The steps known beforehand, each ID or ID=DESCRIPTION.")
@click.option("--capture-output", is_flag=True, help="Log the last 8 KB of standard output and error as events.")
@click.option(
    "--run",
    metavar="RUN",
    shell_complete=complete_run,
    help="Take part in this run, and leave it open, instead of a new one.",
)
@click.argument("words", nargs=-1, required=True, metavar="-- COMMAND...", type=click.UNPROCESSED)
def exec_(
    *, mission: str | None, plan: str | None, capture_output: bool, run: str | None, words: tuple[str, ...]
) -> int:
    """Run any program inside a run of a mission.

    The program's input, output, terminal, signals and exit status stay its own. It succeeds with exit status 0, is
    cancelled by SIGINT and failed otherwise. Inside, the commands under "Record" and every Python program that uses
    mission_tracer take part in the run.
    """
    if run is not None:
        return take_part(run, words)
    name = mission or Path(words[0]).name
    return enclose(words, Wishes(name, planned(items(plan)), capture_output))
