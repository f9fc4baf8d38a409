"""Gather the commands, and turn whatever goes wrong into one line and an exit status."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from mission_tracer._version import VERSION
from mission_tracer.errors import MissionTracerError

FAILED = 2
INTERRUPTED = 130

SECTIONS: dict[str, dict[str, str]] = {
    "Record": {
        "run": "run:run",
        "exec": "exec:exec_",
        "start": "start:start",
        "step": "inside:step",
        "event": "inside:event",
        "tool": "inside:tool",
        "plan": "inside:plan",
        "agent": "inside:agent",
        "succeed": "inside:succeed",
        "fail": "inside:fail",
    },
    "Look": {
        "status": "status:status",
        "missions": "listing:missions",
        "runs": "listing:runs",
        "show": "show:show",
        "watch": "watch:watch",
    },
    "Deliver": {
        "sync": "sync:sync",
        "forward": "forward:forward",
        "dead": "dead:dead",
    },
    "Steer": {
        "cancel": "steer:cancel",
        "pause": "steer:pause",
        "resume": "steer:resume",
    },
    "Set up": {
        "demo": "demo:demo",
        "doctor": "doctor:doctor",
        "serve": "serve:serve",
        "import-state": "import_state:import_state",
        "completion": "completion:completion",
    },
}
"""Where each command is: section -> name -> file and function."""

_PLACES = {name: place for commands in SECTIONS.values() for name, place in commands.items()}


class _Commands(click.Group):
    """Import a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_PLACES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = _PLACES.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(":")
        command: click.Command = getattr(importlib.import_module(f"mission_tracer.cli.{module}"), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; of what is only shown nothing is left undone when whoever reads has enough."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            if ctx.invoked_subcommand not in SECTIONS["Look"]:
                raise
            _be_silent()
            return 0

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section, commands in SECTIONS.items():
            rows = []
            for name in commands:
                command = self.get_command(ctx, name)
                assert command is not None
                rows.append((name, command.get_short_help_str(limit=90)))
            with formatter.section(section):
                formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Start here"):
            for line in (self.epilog or "").splitlines():
                formatter.write(f"  {line}\n")


_START = """
See a run, without an account:       mission-tracer demo
Track a script, unchanged:           mission-tracer run --step mypkg.work:fetch script.py
What is delivered, what waits:       mission-tracer status
Send what waits:                     TELNYX_API_KEY=KEY... mission-tracer sync
"""


@click.group(cls=_Commands, epilog=_START.strip(), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, message="mission-tracer %(version)s")
def app() -> None:
    """Record what agents and scripts do to the Telnyx AI Missions API, and look after what was recorded.

    Every command says more with --help. Exit status: 0 done, 1 done but something is left or wrong, 2 not done.
    """


def main(words: Sequence[str]) -> int:
    """Run one command; return its exit status.

    Args:
        words: The command and its arguments; none: the help.
    """
    try:
        result = app.main(args=list(words) or ["--help"], prog_name="mission-tracer", standalone_mode=False)
        sys.stdout.flush()
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        _be_silent()  # whoever read our output has enough
        return 0
    except Exception as error:
        if os.environ.get("MISSION_TRACER_STRICT", "").lower() in {"1", "true", "yes", "on"}:
            raise
        return fail(in_words(error))
    return result if isinstance(result, int) else 0


def _be_silent() -> None:
    """Send the rest of the output nowhere: Python would complain of the broken pipe once more at its exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def in_words(error: Exception) -> str:
    """Say in one line what went wrong, and the mend where there is one."""
    if isinstance(error, click.UsageError):
        where = error.ctx.command_path if error.ctx is not None else "mission-tracer"
        return f"{error.format_message().rstrip().removesuffix('.')}. See: {where} --help"
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, (MissionTracerError, OSError)):
        return str(error)
    return f"unexpected {type(error).__name__}: {error} (MISSION_TRACER_STRICT=1 shows where)"


def fail(message: str) -> int:
    """Say in one line what went wrong; return the exit status for it."""
    click.echo("error: " + " ".join(message.split()), err=True)
    return FAILED
