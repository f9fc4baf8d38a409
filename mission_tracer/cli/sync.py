"""Send what waits, once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from mission_tracer.cli.command import Seconds, command
from mission_tracer.cli.delivering import Delivery, Outcome, Progress
from mission_tracer.cli.output import is_terminal, json_option, plural, print_json
from mission_tracer.cli.surroundings import sending_settings

Show = Callable[[Progress], object]


@command("TELNYX_API_KEY=KEY... mission-tracer sync", "mission-tracer sync --timeout 60")
@click.option("--timeout", type=Seconds(min=0), metavar="SECONDS", help="The longest it may take.")
@click.option(
    "--stall",
    type=Seconds(min=0),
    default=15.0,
    show_default=True,
    metavar="SECONDS",
    help="Give up after so long without an acknowledgement.",
)
@json_option
def sync(*, timeout: float | None, stall: float, as_json: bool) -> int:
    """Send everything that waits, once.

    Sends what was recorded offline, what an outage or a crash left, and what was recorded for another address and
    never reached it; tries again what was parked. Safe beside programs that are recording. Needs TELNYX_API_KEY.
    Exit status: 0 everything is delivered, 1 something is left or stands refused, and why.
    """
    delivery = Delivery(sending_settings(), say=lambda line: click.echo(line, err=True))
    if as_json or not delivery.total:
        outcome = delivery.run(lambda _: None, timeout=timeout, stall=stall)
    else:
        with _bar() if is_terminal(sys.stdout) else _lines() as show:
            outcome = delivery.run(show, timeout=timeout, stall=stall)
    if as_json:
        print_json({"delivered": outcome.delivered, "rejected": outcome.rejected, "left": outcome.left})
    else:
        _say(outcome)
    return 0 if outcome.is_whole else 1


def _say(outcome: Outcome) -> None:
    if outcome.is_whole and not outcome.delivered:
        click.echo("nothing waits: everything is delivered")
        return
    click.echo(f"{plural(outcome.delivered, 'fact')} delivered")
    if refusal := outcome.refusal():
        click.echo(refusal, err=True)
    left: dict[str, list[str]] = {}
    for key, why in outcome.left.items():
        left.setdefault(why, []).append(key)
    for why, keys in left.items():
        which = f"run {keys[0]}" if len(keys) == 1 else f"{len(keys)} runs, from {keys[0]} to {keys[-1]}"
        click.echo(f"left: {which}: {why}", err=True)


@contextmanager
def _lines() -> Iterator[Show]:
    """Say how far it is in plain lines: at the beginning and at each tenth."""
    said = -1

    def show(progress: Progress) -> None:
        nonlocal said
        tenth = 10 * progress.settled // progress.total
        if tenth > said:
            said = tenth
            left = plural(progress.runs, "run")
            click.echo(f"{progress.settled} of {plural(progress.total, 'fact')} settled, {left} left")

    yield show


@contextmanager
def _bar() -> Iterator[Show]:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("sending"), BarColumn(), MofNCompleteColumn(), TextColumn("facts"), TimeRemainingColumn())
    with Bars(*columns, transient=False) as bars:
        task = bars.add_task("sending", total=None)
        yield lambda progress: bars.update(task, total=progress.total, completed=progress.settled)
