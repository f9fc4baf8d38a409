"""Make the commands alike: each has an example, `-h`, and keyword arguments."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import click

DAY = 86400.0


class Command(click.Command):
    """A command whose help ends with examples, printed as they stand."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        with formatter.section("Example"):
            for line in (self.epilog or "").splitlines():
                formatter.write(f"  {line}\n")


class Seconds(click.FloatRange):
    """A length of time in seconds."""

    name = "number of seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read one; nan, which no limit stops, is none."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a valid {self.name}.", param, ctx)
        return number


class Commands(click.Group):
    """A group of commands that are all `Command`s."""

    command_class = Command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words; none is a failure, as everywhere, and not a page of help."""
        if not args and not ctx.resilient_parsing:
            ctx.fail(f"say what to do: {', '.join(self.commands)}.")
        return super().parse_args(ctx, args)


def command(*example: str, name: str | None = None, **options: Any) -> Callable[[Callable[..., Any]], Command]:
    """Make a function a command; its docstring is the help.

    Args:
        example: The lines of its example.
        name: The command's name; `None`: the function's.
        options: Further ones of `click.command`.
    """
    return click.command(name, cls=Command, epilog="\n".join(example), **options)
