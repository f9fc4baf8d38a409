"""Follow one run while it happens."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from mission_tracer.cli._reading import lines
from mission_tracer.cli._reading.picture import RunPicture
from mission_tracer.cli._reading.sources import no_run, offline_option, sources
from mission_tracer.cli.command import DAY, Seconds, command
from mission_tracer.cli.output import is_terminal, json_option, print_json_line
from mission_tracer.cli.surroundings import complete_run

Show = Callable[[RunPicture], object]


@command("mission-tracer watch", "mission-tracer watch 01k8... --json | jq -r .status")
@click.argument("run", required=False, shell_complete=complete_run)
@click.option(
    "--interval",
    type=Seconds(min=0.05, max=DAY),
    default=0.5,
    show_default=True,
    metavar="SECONDS",
    help="How often it is looked at.",
)
@offline_option
@json_option
def watch(*, run: str | None, interval: float, offline: bool, as_json: bool) -> None:
    """Follow a run until it has ended.

    It is drawn as a living tree at a terminal, and told in lines elsewhere.

    RUN is a key, an id of Telnyx, or the beginning of either; without it the newest of this machine. With --json each
    change is one line: the whole run.
    """
    found = sources(offline=offline)
    seen = found.find(run)
    if seen is None:
        raise no_run(run, found)
    # The newest of this moment is followed, not a newer one that begins meanwhile.
    word = seen.key or seen.run_id or run
    with _showing(as_json=as_json) as show:
        show(seen)
        while seen.is_open:
            time.sleep(interval)
            seen = found.find(word) or seen
            show(seen)


@contextmanager
def _showing(*, as_json: bool) -> Iterator[Show]:
    if as_json:
        yield _changes()
    elif is_terminal(sys.stdout):
        from mission_tracer.cli._reading import tree

        with tree.living() as show:
            yield show
    else:
        news = lines.News()

        def tell(run: RunPicture) -> None:
            for line in news.of(run):
                click.echo(line)

        yield tell


def _changes() -> Show:
    last: list[RunPicture] = []

    def show(run: RunPicture) -> None:
        if last != [run]:
            last[:] = [run]
            print_json_line(run)

    return show
