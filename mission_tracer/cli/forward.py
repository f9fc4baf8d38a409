"""Deliver what the programs of this machine record, from a process of its own."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType

import click

from mission_tracer.cli.command import command
from mission_tracer.cli.delivering import Delivery
from mission_tracer.cli.output import plural
from mission_tracer.cli.surroundings import sending_settings
from mission_tracer.recorder import Recorder
from mission_tracer.settings import Settings

_LOOK = 2.0  # seconds after which what programs wrote is looked for
_REST = 5.0  # seconds for requests that are under way


@command(
    "MISSION_TRACER_SENDER=off python agent.py      # only records",
    "TELNYX_API_KEY=KEY... mission-tracer forward --watch",
)
@click.option("--watch", is_flag=True, help="Go on until SIGTERM or Ctrl-C.")
def forward(*, watch: bool) -> int:
    """Deliver what other programs record.

    For programs that run with MISSION_TRACER_SENDER=off: in containers, beside sidecars, very short scripts.

    Without --watch it delivers what is there and ends, as `sync` does. Several may run beside each other and beside
    programs that deliver for themselves: each run is delivered by one of them.
    """
    here = sending_settings()
    if watch:
        _watch(here)
        return 0
    outcome = Delivery(here, say=_complain).run(lambda _: None)
    click.echo(f"{plural(outcome.delivered, 'fact')} delivered, {plural(len(outcome.left), 'run')} left")
    if refusal := outcome.refusal():
        _complain(refusal)
    return 0 if outcome.is_whole else 1


def _watch(here: Settings) -> None:
    """Deliver until the process is told to end, then what is there; told once more, it ends at once."""
    over = threading.Event()

    def stop(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        over.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    click.echo(f"forwarding from {here.dir} to {here.base_url}")
    sys.stdout.flush()
    recorder = Recorder(here)
    recorder.start()
    while not over.wait(_LOOK):
        recorder.start()
    recorder.delivery.rest(_REST)
    last = Delivery(here, say=_complain, anywhere=False)
    left = last.run(lambda _: None, timeout=here.flush_timeout, stall=here.flush_stall).left
    click.echo(f"stopped: {plural(len(left), 'run')} left" if left else "stopped: everything is delivered")


def _complain(line: str) -> None:
    click.echo(line, err=True)
