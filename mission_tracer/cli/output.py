"""Print for a person or for a program."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TextIO, TypeVar

import click
import msgspec

_CONTROLS = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)], " ")
_DRAWN = "·▶‖✓✗■…└━⠋"
F = TypeVar("F", bound=Callable[..., Any])


def json_option(function: F) -> F:
    """Give a command `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(function)


def _json(value: object) -> bytes:
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        # The name of a directory may be no text.
        return json.dumps(msgspec.to_builtins(value), ensure_ascii=False).encode(errors="replace")


def print_json(value: object) -> None:
    """Print one value as indented JSON; it is UTF-8, whatever the output's encoding is."""
    click.echo(msgspec.json.format(_json(value), indent=2))


def print_json_line(value: object) -> None:
    """Print one value as one line of JSON, at once; it is UTF-8, whatever the output's encoding is."""
    click.echo(_json(value))
    sys.stdout.flush()


def is_terminal(stream: TextIO) -> bool:
    """Say whether a person looks at a stream through a terminal that can redraw, and show what we draw with."""
    return stream.isatty() and os.environ.get("TERM", "") not in {"", "dumb"} and _shows(_DRAWN, stream)


def _shows(text: str, stream: TextIO) -> bool:
    try:
        text.encode(stream.encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def coloured(text: str, colour: str) -> str:
    """Return a text in a colour, unless the user wants none (https://no-color.org)."""
    return text if os.environ.get("NO_COLOR") else click.style(text, fg=colour)


def print_table(heads: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[int] = ()) -> None:
    """Print rows in columns; those whose numbers are in `right` end flush."""
    texts = [tuple(heads), *(tuple("" if cell is None else blanked(str(cell)) for cell in row) for row in rows)]
    widths = [max(len(row[column]) for row in texts) for column in range(len(heads))]
    for row in texts:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        click.echo("  ".join(cells).rstrip())


def blanked(text: str) -> str:
    """Return a text as a terminal may have it: it is anybody's, and its control characters become blanks."""
    return text.translate(_CONTROLS)


def clip(text: str, most: int) -> str:
    """Cut a text to one row of at most so many characters."""
    row = " ".join(blanked(text).split())
    return row if len(row) <= most else row[: most - 1] + "…"


def plural(number: int, noun: str) -> str:
    """Count things in words: `1 run`, `2 runs`."""
    return f"{number} {noun}" + ("" if number == 1 else "s")
