"""List runs and missions."""

from __future__ import annotations

from itertools import islice
from typing import Any

import click

from mission_tracer.cli._reading import journals, remote
from mission_tracer.cli._reading.picture import RunPicture, aware, in_words, run_seconds
from mission_tracer.cli._reading.sources import Sources, offline_option, sources
from mission_tracer.cli.command import command
from mission_tracer.cli.output import clip, json_option, print_json, print_table
from mission_tracer.models import RunStatus

_STATUSES = [*map(str, RunStatus), "interrupted"]  # the last one is of this machine: the run's process has died
_NAMED = 1000  # how many missions are read for their names

_LIMIT = click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, metavar="N", help="How many, at most."
)


@command("mission-tracer runs", "mission-tracer runs --status failed --json")
@click.option("--mission", metavar="NAME", help="Only runs of this mission: its name or its id.")
@click.option(
    "--status", type=click.Choice(_STATUSES), metavar="STATUS", help="Only runs of this status: running, failed, ..."
)
@_LIMIT
@offline_option
@json_option
def runs(*, mission: str | None, status: str | None, limit: int, offline: bool, as_json: bool) -> None:
    """List runs, the newest first.

    Those of the API, and those of this machine that it does not have yet. Without TELNYX_API_KEY, with --offline, or
    when the API cannot be reached, those in the journals of this machine.
    """
    found = sources(offline=offline)
    seen = [run for run in found.asked(_all_runs, _local_runs) if _matches(run, mission, status)]
    chosen = sorted(seen, key=lambda run: aware(run.started_at), reverse=True)[:limit]
    if as_json:
        print_json(chosen)
    elif not chosen:
        click.echo("no runs")
    else:
        print_table(("run", "mission", "status", "started", "took", ""), [_row(run) for run in chosen])


def _local_runs(found: Sources) -> list[RunPicture]:
    return [run for books in journals.all_books(found.directory) if (run := _outline(found, books)) is not None]


def _all_runs(found: Sources) -> list[RunPicture]:
    with found.client() as client:
        names = {mission.mission_id: mission.name for mission in islice(client.missions.list(page_size=100), _NAMED)}
        there = [remote.outline(data, names.get(data.mission_id, data.mission_id)) for data in remote.recent(client)]
    known = {run.run_id for run in there}
    return there + [run for run in _local_runs(found) if run.run_id not in known]


def _outline(found: Sources, books: journals.Books) -> RunPicture | None:
    run = None if books.unreadable else journals.picture(found.directory, books.key)
    if run is not None:
        run.steps, run.events = [], []
    return run


def _matches(run: RunPicture, mission: str | None, status: str | None) -> bool:
    return mission in {None, run.mission, run.mission_id} and status in {None, run.status}


def _row(run: RunPicture) -> tuple[object, ...]:
    started = aware(run.started_at).astimezone().strftime("%Y-%m-%d %H:%M:%S") if run.started_at else ""
    note = run.error or run.summary or ""
    return (run.name, clip(run.mission, 32), run.status, started, in_words(run_seconds(run)), clip(note, 60))


@command("mission-tracer missions", "mission-tracer missions --json | jq -r '.[].name'")
@_LIMIT
@offline_option
@json_option
def missions(*, limit: int, offline: bool, as_json: bool) -> None:
    """List missions.

    Those of the API. Without TELNYX_API_KEY, with --offline, or when the API cannot be reached, those that were
    recorded on this machine.
    """
    rows = sources(offline=offline).asked(lambda found: _all_missions(found, limit), _local_missions)[:limit]
    if as_json:
        print_json(rows)
    elif not rows:
        click.echo("no missions")
    else:
        print_table(
            ("mission", "name"), [(row["mission_id"] or "(not sent yet)", clip(row["name"], 80)) for row in rows]
        )


def _all_missions(found: Sources, limit: int) -> list[dict[str, Any]]:
    with found.client() as client:
        return [
            {"mission_id": m.mission_id, "name": m.name, "description": m.description, "created_at": m.created_at}
            for m in islice(client.missions.list(page_size=100), limit)
        ]


def _local_missions(found: Sources) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for books in journals.all_books(found.directory):
        if books.unreadable:
            continue
        row = rows.setdefault(books.mission, {"mission_id": None, "name": books.mission, "runs": 0})
        row["runs"] += 1
        row["mission_id"] = books.mission_id or row["mission_id"]
    return list(rows.values())
