"""Serve the local stand-in for the API."""

from __future__ import annotations

import click

from mission_tracer.cli.command import command
from mission_tracer.cli.surroundings import optional


@command(
    "mission-tracer serve --port 4010",
    "TELNYX_API_KEY=x TELNYX_BASE_URL=http://127.0.0.1:4010/v2 python my_agent.py",
)
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="The address to listen on.")
@click.option("--port", type=int, default=4010, show_default=True, metavar="N", help="The port; 0 picks a free one.")
@click.option("--db", metavar="FILE", help="Keep the state in this file; otherwise it is in memory.")
@click.option("--seed", metavar="FILE", help="JSON that an empty database starts with.")
@click.option("--admin", is_flag=True, help="Add /_local/reset and /_local/behaviour.")
@click.option(
    "--behaviour",
    metavar="NAME=VALUE",
    multiple=True,
    help="Answer one of the contract's open questions differently; may be repeated.",
)
def serve(*, host: str, port: int, db: str | None, seed: str | None, admin: bool, behaviour: tuple[str, ...]) -> None:
    """Serve a Missions API on this machine.

    For development and tests: all 41 operations, stateful, for any client in any language and with any key, and a page
    to look at. It listens on this machine only, unless --host says otherwise. Ends with Ctrl-C or SIGTERM.
    """
    server = optional("mission_tracer.server.serving", "server")
    parse = optional("mission_tracer.server.behaviour", "server").parse
    server.serve(host, port, db, seed=seed, admin=admin, behaviour=parse(list(behaviour)), announce=_announce)


def _announce(base_url: str) -> None:
    click.echo(f"Missions API on {base_url}")
    click.echo(f"look at it:     {base_url.removesuffix('v2')}")
    click.echo(f"use it:         TELNYX_API_KEY=x TELNYX_BASE_URL={base_url} python my_agent.py")
