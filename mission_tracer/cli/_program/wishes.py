"""Read what is asked of a run: from the command line, and from `[tool.mission_tracer]` in pyproject.toml."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec import Struct

from mission_tracer import facts
from mission_tracer.cli._program.hooks import Target
from mission_tracer.instrument import names
from mission_tracer.integrations.logging import severity_of
from mission_tracer.plans import plan_items


class Table(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """What `[tool.mission_tracer]` may say; the names are those of the options."""

    mission: str | None = None
    step: list[str] = []
    tool: list[str] = []
    plan: list[str] = []
    instrument: list[str] = []
    log_level: str | None = None
    capture_output: bool = False


def read_table() -> Table:
    """Read the table of the nearest pyproject.toml, in the working directory or above it.

    Raises:
        click.ClickException: The file or the table cannot be read; the message says where.
    """
    try:
        place = Path.cwd()
    except FileNotFoundError:
        return Table()  # it was deleted
    for directory in (place, *place.parents):
        path = directory / "pyproject.toml"
        if path.is_file():
            return _read(path)
    return Table()


def _read(path: Path) -> Table:
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        tools = toml.loads(path.read_text(encoding="utf-8")).get("tool")
        return msgspec.convert(tools.get("mission_tracer", {}) if isinstance(tools, dict) else {}, Table)
    except (toml.TOMLDecodeError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{path}: {error}") from None
    except msgspec.ValidationError as error:
        raise click.ClickException(f"{path}: [tool.mission_tracer]: {error}") from None


def targets(kind: str, words: Sequence[str]) -> list[Target]:
    """Read `module:function[=description]` words.

    Raises:
        click.BadParameter: A word is not of that form.
    """
    found = []
    for word in words:
        place, _, description = word.partition("=")
        module, colon, path = place.strip().partition(":")
        if not colon or not all(part.isidentifier() for part in [*module.split("."), *path.split(".")]):
            raise click.UsageError(f"--{kind} must be MODULE:FUNCTION, such as mypkg.work:fetch, not {word!r}.")
        found.append(Target(kind, module, path, description.strip() or None))
    return found


def planned(words: Sequence[str]) -> list[facts.PlannedStep]:
    """Read `id[=description]` words.

    Raises:
        click.UsageError: A word is not of that form.
    """
    try:
        return plan_items([(name, about or name) for name, _, about in (word.partition("=") for word in words)])
    except ValueError as error:
        raise click.UsageError(f"--plan: {error}.") from None


def check(table: Table) -> None:
    """See to it that there are the integrations and the log level that are asked for.

    Raises:
        click.UsageError: There is none of a name.
    """
    for name in table.instrument:
        if name not in names():
            raise click.UsageError(f"--instrument: there is no integration {name!r}: there are {', '.join(names())}.")
    if table.log_level is not None:
        try:
            severity_of(table.log_level)
        except ValueError as error:
            raise click.UsageError(f"--log-level: {error}: DEBUG, INFO, WARNING, ERROR or CRITICAL.") from None


def items(text: str | None) -> list[str]:
    """Read a list that is written with commas."""
    return [word.strip() for word in text.split(",") if word.strip()] if text else []


def merged(table: Table, **given: Any) -> Table:
    """Return the table with what was given: lists are added to it, the rest takes its place."""
    values: dict[str, Any] = {}
    for name, value in given.items():
        own = getattr(table, name)
        values[name] = [*own, *value] if isinstance(own, list) else value or own
    return Table(**values)
