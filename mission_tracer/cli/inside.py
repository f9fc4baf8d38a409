"""The commands inside a run, as click shows and explains them; `shell` is their quick way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from mission_tracer.cli._inside.acts import ACTS
from mission_tracer.cli._inside.shell import perform
from mission_tracer.cli.command import Command, Commands, command
from mission_tracer.cli.surroundings import complete_run

_RUN = click.option(
    "--run", metavar="RUN", shell_complete=complete_run, help="The run; otherwise the one around this process."
)
_STEP = click.option("--step", metavar="ID", help="The step it belongs to, - for none; otherwise the one that is open.")


def _do(*name: str) -> Callable[..., int]:
    act = ACTS[name]

    def do(words: tuple[str | None, ...], **options: Any) -> int:
        given = {key.replace("_", "-"): text for key, text in options.items() if text is not None}
        return perform(act, [word for word in words if word is not None], given)

    return do


@click.group(cls=Commands)
def step() -> None:
    """Begin and end steps of the run's plan.

    A name that was done, or is open, and begins again is a new step (calls, calls-2, ...), one that failed another
    attempt. Of several steps of a name the newest open one is meant.
    """


_NAME = click.argument("name", metavar="ID")


@step.command(cls=Command, epilog='mission-tracer step start research --description "Find contractors"')
@_NAME
@click.option("--description", metavar="TEXT", help="What the step is about.")
@click.option("--parent", metavar="ID", help="The step it is a part of.")
@_RUN
def start(*, name: str, **options: str | None) -> int:
    """Begin a step; prints the ID it got when that is not the one asked for."""
    return _do("step", "start")((name,), **options)


@step.command(cls=Command, epilog="mission-tracer step done research --metadata '{\"found\": 3}'")
@_NAME
@click.option("--metadata", metavar="JSON", help="Values to note with the step, an object.")
@_RUN
def done(*, name: str, **options: str | None) -> int:
    """End a step as completed; one that never began is begun first."""
    return _do("step", "done")((name,), **options)


@step.command("fail", cls=Command, epilog='mission-tracer step fail calls "nobody answered"')
@_NAME
@click.argument("reason", required=False)
@_RUN
def step_fail(*, name: str, reason: str | None, **options: str | None) -> int:
    """End a step as failed."""
    return _do("step", "fail")((name, reason), **options)


@step.command(cls=Command, epilog='mission-tracer step skip calls "no numbers"')
@_NAME
@click.argument("reason", required=False)
@_RUN
def skip(*, name: str, reason: str | None, **options: str | None) -> int:
    """End a step as skipped."""
    return _do("step", "skip")((name, reason), **options)


@command('mission-tracer event "Found 3 contractors" --payload \'{"names": ["ABC", "DEF", "GHI"]}\'')
@click.argument("summary")
@click.option(
    "--type",
    metavar="TYPE",
    help="status_change, step_started, step_completed, step_failed, tool_call, tool_result, message, error or custom.",
)
@click.option("--payload", metavar="JSON", help="Details, an object.")
@_STEP
@click.option("--agent-id", metavar="ID", help="Who did it.")
@click.option("--key", metavar="TEXT", help="An idempotency key: the event takes effect once for it.")
@_RUN
def event(*, summary: str, **options: str | None) -> int:
    """Log an event of the run, at the step that is open."""
    return _do("event")((summary,), **options)


@command(
    'mission-tracer tool search --arguments \'{"q": "window washers"}\' --result \'["ABC", "DEF"]\'',
    "mission-tracer tool fetch -- curl -fsS https://example.com",
    context_settings={"ignore_unknown_options": False},
)
@click.argument("name")
@click.argument("words", nargs=-1, metavar="[-- COMMAND...]", type=click.UNPROCESSED)
@click.option("--arguments", metavar="JSON", help="What it was called with, an object.")
@click.option("--result", metavar="JSON", help="What it gave; what is no JSON is taken as text.")
@click.option("--error", metavar="TEXT", help="How it failed.")
@_STEP
@_RUN
def tool(*, name: str, words: tuple[str, ...], **options: str | None) -> int:
    """Log a call of a tool.

    A COMMAND is run as the tool; its input, output and exit status stay its own. Without one, the options say what was
    called and what came of it.
    """
    return _do("tool")((name, *words), **options)


@command('mission-tracer plan research calls "analyze=Compare the quotes"')
@click.argument("steps", nargs=-1, required=True, metavar="ID[=DESCRIPTION]...")
@_RUN
def plan(*, steps: tuple[str, ...], **options: str | None) -> int:
    """Declare the steps that are to come, in their order; A,B,C are three."""
    return _do("plan")(steps, **options)


@click.group(cls=Commands)
def agent() -> None:
    """Link Telnyx agents to the run."""


_AGENT = click.argument("agent_id", metavar="AGENT")


@agent.command(cls=Command, epilog="mission-tracer agent link assistant-123")
@_AGENT
@_RUN
def link(*, agent_id: str, **options: str | None) -> int:
    """Link a Telnyx agent to the run."""
    return _do("agent", "link")((agent_id,), **options)


@agent.command(cls=Command, epilog="mission-tracer agent unlink assistant-123")
@_AGENT
@_RUN
def unlink(*, agent_id: str, **options: str | None) -> int:
    """Take a Telnyx agent off the run."""
    return _do("agent", "unlink")((agent_id,), **options)


@command('mission-tracer succeed "ABC is best" --payload \'{"quote": 350}\'')
@click.argument("summary", required=False)
@click.option("--payload", metavar="JSON", help="What came of it, an object.")
@_RUN
def succeed(*, summary: str | None, **options: str | None) -> int:
    """Say what came of the run.

    Inside `exec` and `run` it counts when the program has ended well; elsewhere the run ends now.
    """
    return _do("succeed")((summary,), **options)


@command('mission-tracer fail "nobody answered"')
@click.argument("error", required=False)
@_RUN
def fail(*, error: str | None, **options: str | None) -> int:
    """Say that the run failed, and why.

    Inside `exec` and `run` it counts when the program has ended; elsewhere the run ends now.
    """
    return _do("fail")((error,), **options)
