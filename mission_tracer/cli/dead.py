"""Look after what the server refused."""

from __future__ import annotations

import click

from mission_tracer import dead as _dead
from mission_tracer._disk.directory import Directory
from mission_tracer.cli._inside.place import load_settings, readable
from mission_tracer.cli._reading.journals import find_key
from mission_tracer.cli.command import Command, Commands
from mission_tracer.cli.output import clip, json_option, plural, print_json, print_table
from mission_tracer.cli.surroundings import complete_run


@click.group(cls=Commands)
def dead() -> None:
    """List, retry or drop what the server refused for good.

    A refused fact stands aside and the rest of its run goes on. Once the cause is mended, retry it; or drop it.
    """


_RUN = click.argument("run", required=False, shell_complete=complete_run)
_FACT = click.option("--fact", metavar="ID", help="Only this fact, as `dead list` names it.")
_ALL = click.option("--all", "everything", is_flag=True, help="Those of every run.")


@dead.command("list", cls=Command, epilog="mission-tracer dead list")
@_RUN
@json_option
def list_(*, run: str | None, as_json: bool) -> None:
    """List the refused facts of RUN, or of every run, with the server's words."""
    here = readable(load_settings())
    key = _key(here, run) if run is not None else None
    found = [item for item in _dead.listing(here) if key in {None, item.key}]
    if as_json:
        print_json(found)
    elif not found:
        click.echo("nothing was refused")
    else:
        rows = [(item.key, item.fact, item.operation, item.status or "", clip(item.reason, 90)) for item in found]
        print_table(("run", "fact", "request", "status", "why"), rows)


@dead.command(cls=Command, epilog="mission-tracer dead retry 01k8... && mission-tracer sync")
@_RUN
@_FACT
@_ALL
def retry(*, run: str | None, fact: str | None, everything: bool) -> None:
    """Have the refused facts of RUN sent again, by the next `sync` or by the program that delivers."""
    here = readable(load_settings())
    number = _dead.retry(here, key=_chosen(here, run, fact, everything=everything), fact=fact)
    click.echo(f"{plural(number, 'fact')} will be sent again: mission-tracer sync" if number else "nothing was refused")


@dead.command(cls=Command, epilog="mission-tracer dead drop 01k8... --fact 9ech25xw.4")
@_RUN
@_FACT
@_ALL
def drop(*, run: str | None, fact: str | None, everything: bool) -> None:
    """Give the refused facts of RUN up; they are counted as dropped."""
    here = readable(load_settings())
    number = _dead.drop(here, key=_chosen(here, run, fact, everything=everything), fact=fact)
    click.echo(f"{plural(number, 'fact')} dropped" if number else "nothing was refused")


def _chosen(here: Directory, run: str | None, fact: str | None, *, everything: bool) -> str | None:
    """Return the key of the run that is meant; `None`: every run.

    Raises:
        click.ClickException: It is not said, or there is no such run, or no such fact of it.
    """
    if run is None and not everything:
        raise click.UsageError("say which: a RUN, or --all.")
    if run is not None and everything:
        raise click.UsageError("say a RUN, or --all, not both.")
    key = _key(here, run) if run is not None else None
    known = [] if fact is None else [item.fact for item in _dead.listing(here) if key in {None, item.key}]
    if fact is not None and fact not in known:
        raise click.ClickException(f"no refused fact {fact!r}: there are {clip(', '.join(known), 300) or 'none'}")
    return key


def _key(here: Directory, word: str) -> str:
    try:
        key = find_key(here, word)
    except LookupError as error:
        raise click.ClickException(str(error)) from None
    if key is None:
        raise click.ClickException(f"no run {word!r} in {here.root}: mission-tracer status lists them")
    return key
