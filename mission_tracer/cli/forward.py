"""Deliver what the programs of this machine record, from a process of its own."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType

import click

from mission_tracer._directory import Directory
from mission_tracer.cli.command import command
from mission_tracer.cli.delivering import Delivery
from mission_tracer.cli.output import plural
from mission_tracer.cli.surroundings import sending_settings
from mission_tracer.recorder import Recorder
from mission_tracer.settings import Settings


@command(
    "MISSION_TRACER_SENDER=off python agent.py      # only records",
    "TELNYX_API_KEY=KEY... mission-tracer forward --watch",
)
@click.option("--watch", is_flag=True, help="Go on until SIGTERM or Ctrl-C.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.05),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="How often it looks for new runs.",
)
def forward(*, watch: bool, interval: float) -> int:
    """Deliver what other programs record.

    For programs that run with MISSION_TRACER_SENDER=off: in containers, beside sidecars, very short scripts.

    Without --watch it delivers what is there and ends, as `sync` does. Several may run beside each other and beside
    programs that deliver for themselves: each run is delivered by one of them.
    """
    here = sending_settings()
    if not watch:
        outcome = Delivery(here, say=lambda line: click.echo(line, err=True)).run(lambda _: None)
        click.echo(f"{plural(outcome.delivered, 'fact')} delivered, {plural(len(outcome.left), 'run')} left")
        return 1 if outcome.left or outcome.rejected else 0
    over = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        over.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    click.echo(f"forwarding from {here.dir} to {here.base_url}")
    sys.stdout.flush()
    _watch(here, over, interval)
    return 0


def _watch(here: Settings, over: threading.Event, interval: float) -> None:
    """Deliver until it is over.

    A recorder looks for new runs now and then only; a new one looks at once.
    """
    directory = Directory(here.dir)
    seen: set[str] = set()
    recorder: Recorder | None = None
    try:
        while not over.is_set():
            present = set(directory.keys())
            if recorder is None or present - seen:
                if recorder is not None:
                    recorder.exit()
                recorder = Recorder(here, anywhere=not seen)
                recorder.start()
            seen = present
            over.wait(interval)
    finally:
        if recorder is not None:
            recorder.exit()
