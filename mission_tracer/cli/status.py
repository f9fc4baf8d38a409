"""Show what is delivered and what waits."""

from __future__ import annotations

from typing import Any

import click

from mission_tracer.cli._inside.place import load_settings, readable
from mission_tracer.cli._reading.journals import Books, all_books
from mission_tracer.cli.command import command
from mission_tracer.cli.output import clip, json_option, plural, print_json, print_table
from mission_tracer.settings import Settings

_SHOWN = 20


@command("mission-tracer status", "mission-tracer status --json | jq .total.pending")
@click.option("--all", "everything", is_flag=True, help=f"List every run, not only the last {_SHOWN} delivered ones.")
@json_option
def status(*, everything: bool, as_json: bool) -> int:
    """Show what is delivered, what waits and what was refused.

    Reads the journals of this machine: no network, and no harm to programs that are recording.
    Of each run and in sum: recorded = delivered + pending + rejected + dropped.
    Exits with 1 if the journal of a run cannot be read.
    """
    here = load_settings()
    runs = list(all_books(readable(here)))
    if as_json:
        print_json(_as_json(here, runs))
    else:
        _print(here, runs, everything=everything)
    return int(any(run.unreadable for run in runs))


def _total(runs: list[Books]) -> dict[str, int]:
    names = ("recorded", "delivered", "pending", "rejected", "dropped")
    return {"runs": len(runs), **{name: sum(getattr(run, name) for run in runs) for name in names}}


def _as_json(here: Settings, runs: list[Books]) -> dict[str, Any]:
    listed = [{**_fields(run), "reason": _reason(run, here)} for run in runs]
    return {
        "dir": str(here.dir),
        "base_url": here.base_url,
        "api_key_set": here.api_key is not None,
        "total": _total(runs),
        "runs": listed,
    }


def _fields(run: Books) -> dict[str, Any]:
    return {name: getattr(run, name) for name in Books.__struct_fields__}


def _print(here: Settings, runs: list[Books], *, everything: bool) -> None:
    if not runs:
        click.echo(f"nothing is recorded yet in {here.dir}, for {here.base_url}")
        return
    total = _total(runs)
    waiting = [run for run in runs if run.pending or run.rejected or not run.put_away]
    settled = [run for run in runs if run not in waiting]
    shown = settled if everything else settled[-_SHOWN:]
    print_table(
        ("run", "mission", "status", "recorded", "delivered", "pending", "rejected", ""),
        [_row(run, here) for run in [*shown, *waiting]],
        right=(3, 4, 5, 6),
    )
    if len(shown) < len(settled):
        click.echo(f"({plural(len(settled) - len(shown), 'older delivered run')} not listed: --all)")
    click.echo()
    click.echo(
        f"{plural(total['runs'], 'run')}: {total['recorded']} facts recorded = {total['delivered']} delivered"
        f" + {total['pending']} pending + {total['rejected']} rejected + {total['dropped']} dropped"
    )
    click.echo(f"in {here.dir}, for {here.base_url}")
    for line in _advice(here, total):
        click.echo(line)


def _row(run: Books, here: Settings) -> tuple[object, ...]:
    counts = (run.recorded, run.delivered, run.pending, run.rejected)
    return (run.key, clip(run.mission, 32), run.status, *counts, _reason(run, here) or "")


def _reason(run: Books, here: Settings) -> str | None:
    """Say why a run waits; `None` when it does not."""
    if run.unreadable:
        return run.unreadable
    if run.parked:
        return f"parked: {run.parked}"
    if not run.pending:
        return None
    if run.base_url not in {None, here.base_url}:
        return f"recorded for {run.base_url}"
    return "no API key" if here.api_key is None else "waits to be sent"


def _advice(here: Settings, total: dict[str, int]) -> list[str]:
    lines = []
    if total["pending"]:
        key = "" if here.api_key else "TELNYX_API_KEY=KEY... "
        lines.append(f"send what waits: {key}mission-tracer sync")
    if total["rejected"]:
        lines.append("see what was refused: mission-tracer dead list")
    return lines
