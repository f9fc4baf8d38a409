"""Show one run."""

from __future__ import annotations

import sys

import click

from mission_tracer.cli._reading import lines
from mission_tracer.cli._reading.sources import no_run, offline_option, sources
from mission_tracer.cli.command import command
from mission_tracer.cli.output import is_terminal, json_option, print_json
from mission_tracer.cli.surroundings import complete_run


@command("mission-tracer show 01k8...", "mission-tracer show --json | jq .events")
@click.argument("run", required=False, shell_complete=complete_run)
@offline_option
@json_option
def show(*, run: str | None, offline: bool, as_json: bool) -> None:
    """Show a run: its plan, its events, and what came of it.

    RUN is a key (as `status` lists them), an id of Telnyx, or the beginning of either; without it the newest of this
    machine. It is read from the API where TELNYX_API_KEY is set, otherwise from the journal.
    """
    found = sources(offline=offline)
    seen = found.find(run)
    if seen is None:
        raise no_run(run, found)
    if as_json:
        print_json(seen)
    elif is_terminal(sys.stdout):
        from rich.console import Console

        from mission_tracer.cli._reading import tree

        Console().print(tree.draw(seen))
    else:
        for line in lines.whole(seen):
            click.echo(line)
