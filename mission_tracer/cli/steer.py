"""Cancel, pause and resume runs: at the API, or, when there is no way to it, in the journal."""

from __future__ import annotations

from typing import Any

import click

from mission_tracer import facts
from mission_tracer.cli._inside.pen import Pen
from mission_tracer.cli._reading import journals, remote
from mission_tracer.cli._reading.picture import RunPicture
from mission_tracer.cli._reading.sources import Sources, no_run, offline_option, sources
from mission_tracer.cli.command import command
from mission_tracer.cli.output import F
from mission_tracer.cli.surroundings import complete_run
from mission_tracer.errors import APIConnectionError

_FACTS: dict[str, Any] = {
    "cancel": (facts.RunClosed, {"status": "cancelled"}),
    "pause": (facts.RunPaused, {}),
    "resume": (facts.RunResumed, {}),
}
_DONE = {"cancel": "cancelled", "pause": "paused", "resume": "running"}


def _arguments(function: F) -> F:
    return click.argument("run", shell_complete=complete_run)(offline_option(function))


@command("mission-tracer cancel 01k8...")
@_arguments
def cancel(*, run: str, offline: bool) -> None:
    """Cancel a run.

    RUN is a key, an id of Telnyx, or the beginning of either.

    The API is told, and a run of this machine is ended in its journal too: its open steps end with the next delivery.
    Offline only the journal says it, and the API hears of it when the run is delivered. A run that a program of this
    machine is still recording goes on here, and offline cannot be cancelled: end that program.
    """
    _steer("cancel", run, offline=offline)


@command("mission-tracer pause 01k8...")
@_arguments
def pause(*, run: str, offline: bool) -> None:
    """Pause a run.

    RUN is a key, an id of Telnyx, or the beginning of either.
    """
    _steer("pause", run, offline=offline)


@command("mission-tracer resume 01k8...")
@_arguments
def resume(*, run: str, offline: bool) -> None:
    """Resume a paused run.

    RUN is a key, an id of Telnyx, or the beginning of either.
    """
    _steer("resume", run, offline=offline)


def _steer(verb: str, word: str, *, offline: bool) -> None:
    found = sources(offline=offline)
    try:
        key = journals.find_key(found.directory, word)
    except LookupError as error:
        raise click.ClickException(str(error)) from None
    local = journals.picture(found.directory, key) if key else None
    if found.online and (local is None or local.run_id is not None):
        try:
            _tell(verb, word, local, found)
        except APIConnectionError:
            if local is None:
                raise
        else:
            if verb == "cancel" and key is not None and local is not None:
                _end_here(key, local, found)
            return
    if local is None or key is None:
        raise no_run(word, found)
    _write(verb, key, local, found)


def _tell(verb: str, word: str, local: RunPicture | None, found: Sources) -> None:
    """Tell the API.

    Raises:
        APIError: It refuses, or cannot be reached.
        click.ClickException: It has no such run.
    """
    with found.client() as client:
        mission_id, run_id = (local.mission_id, local.run_id) if local is not None else (None, None)
        if mission_id is None or run_id is None:
            try:
                data = remote.find_run(client, word)
            except LookupError as error:
                raise click.ClickException(str(error)) from None
            if data is None:
                raise no_run(word, found)
            mission_id, run_id = data.mission_id, data.run_id
        answer = getattr(client.missions.runs, verb)(run_id, mission_id=mission_id)
        click.echo(f"run {run_id} is {answer.status}")


def _end_here(key: str, local: RunPicture, found: Sources) -> None:
    """Let a cancelled run be over on this machine too, unless a living program goes on recording it."""
    pen = Pen(found.settings, key)
    if (local.is_open or local.status == "interrupted") and not journals.is_written(pen.path):
        kind, fields = _FACTS["cancel"]
        pen.write(kind, **fields)
        pen.close()


def _write(verb: str, key: str, local: RunPicture, found: Sources) -> None:
    """Say it in the journal.

    Raises:
        click.ClickException: The run is at its end, or a living program would contradict it.
    """
    if not (local.is_open or local.status == "interrupted"):
        raise click.ClickException(f"run {key} has ended: it is {local.status}")
    pen = Pen(found.settings, key)
    if verb == "cancel" and journals.is_written(pen.path):
        raise click.ClickException(f"run {key} is being recorded by a program of this machine: end that program")
    kind, fields = _FACTS[verb]
    pen.write(kind, **fields)
    pen.close()
    click.echo(f"run {key} is {_DONE[verb]}; the API hears of it with the next `mission-tracer sync`")
