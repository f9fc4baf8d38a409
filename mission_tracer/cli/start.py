"""Begin a run that no program encloses: it is open until it is told to end."""

from __future__ import annotations

import shlex

import click

from mission_tracer import facts
from mission_tracer.cli._inside.acts import plan as declare
from mission_tracer.cli._inside.pen import PARENT, Pen
from mission_tracer.cli._inside.place import load_settings
from mission_tracer.cli._program.joining import carrier
from mission_tracer.cli._program.wishes import items, planned
from mission_tracer.cli.command import command
from mission_tracer.cli.surroundings import json_object
from mission_tracer.recorder import about_this_process


@command(
    'RUN=$(mission-tracer start "Find window washers" --plan research,calls)',
    "mission-tracer step start research --run $RUN",
    'mission-tracer succeed "ABC is best" --run $RUN',
)
@click.argument("name")
@click.option("--plan", metavar="A,B,C", help="The steps known beforehand, each ID or ID=DESCRIPTION.")
@click.option("--input", "given", metavar="JSON", help="The run's input, an object.")
@click.option("--instructions", metavar="TEXT", help="The mission's instructions, when it is created.")
@click.option("--export", is_flag=True, help='Print what puts the shell into the run: eval "$(... --export)".')
def start(*, name: str, plan: str | None, given: str | None, instructions: str | None, export: bool) -> None:
    """Begin a run that stays open from command to command.

    Prints the key of a new run of the mission NAME.

    For agents that act through a shell, one command at a time. The commands under "Record" go on with it, by --run or
    by the variable that --export prints; `succeed`, `fail` and `cancel` end it. What is recorded is sent by `sync`, or
    by a `forward --watch` that runs beside.
    """
    here = load_settings()
    if not name.strip():
        raise click.UsageError("NAME must not be empty.")
    planned(items(plan))  # or it would be refused when the run has begun
    key = facts.new_key()
    if not here.enabled:
        click.echo(key)  # what is then said of that run goes nowhere, too
        return
    pen = Pen(here, key)
    values = pen.capture.value(json_object("--input", given)) if given else None
    pen.begin()
    said = pen.capture.value(instructions) if instructions else None
    mission = facts.MissionSpec(pen.name(name), instructions=said)
    mark = {"mission_tracer": {"key": key, **about_this_process()}}
    base_url = here.base_url if here.api_key else None
    pen.write(facts.RunOpened, key=key, mission=mission, base_url=base_url, input=values, metadata=mark)
    # Nobody's death ends it: whoever takes part in it later goes on.
    pen.write(facts.RunJoined, key=key, mission=mission, base_url=base_url)
    if plan:
        declare(pen, *items(plan))
    pen.close()
    click.echo(f"export {PARENT}={shlex.quote(carrier(pen.directory, key)[1])}" if export else key)
