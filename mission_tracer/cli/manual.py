"""Write the reference of `docs/cli.md` from the commands themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import click

from mission_tracer.cli.app import SECTIONS, app

BEGIN, END = "<!-- reference: begin -->", "<!-- reference: end -->"


def reference() -> str:
    """Return the reference: every command with its words, its options and an example."""
    context = click.Context(app, info_name="mission-tracer")
    parts = []
    for section, names in SECTIONS.items():
        parts.append(f"## {section}")
        for name in names:
            command = app.get_command(context, name)
            assert command is not None
            parts += _command(command, name)
    return "\n\n".join(parts) + "\n"


def refreshed(page: str) -> str:
    """Return a page with the reference between its two marks made anew."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{reference()}\n{END}{rest.partition(END)[2]}"


def _command(command: click.Command, path: str) -> Iterator[str]:
    words = " ".join(_words(parameter) for parameter in command.params if isinstance(parameter, click.Argument))
    if isinstance(command, click.Group):
        yield f"### {path}\n\n{_help(command)}"
        for name in command.list_commands(click.Context(command)):
            yield from _command(command.commands[name], f"{path} {name}")
        return
    yield f"### {f'{path} {words}'.strip()}".replace("|", "\\|") + f"\n\n{_help(command)}"
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    if options:
        yield "\n".join(["| option | |", "|---|---|", *(_row(option) for option in options)])
    yield f"```console\n{command.epilog}\n```"


def _words(argument: click.Argument) -> str:
    name = argument.metavar or (argument.name or "").upper()
    if isinstance(argument.type, click.Choice) and not argument.metavar:
        name = "|".join(argument.type.choices)
    return name if argument.required or argument.metavar else f"[{name}]"


def _row(option: click.Option) -> str:
    name = option.opts[0] + ("" if option.is_flag else f" {option.metavar or _kind(option.type)}")
    default = f" Default: {option.default}." if option.show_default and not option.is_flag else ""
    return f"| `{name}` | {option.help}{default} |".replace("\n", " ")


def _kind(kind: Any) -> str:
    return {"integer": "N", "integer range": "N", "float range": "SECONDS"}.get(kind.name, "TEXT")


def _help(command: click.Command) -> str:
    return inspect.cleandoc(command.help or "")
