"""Draw a run as a tree that lives, for a person at a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text
from rich.tree import Tree

from mission_tracer.cli._reading import lines
from mission_tracer.cli._reading.picture import RunPicture, StepPicture, in_words, run_seconds, step_seconds
from mission_tracer.cli.output import blanked

_LOOKS = {
    "pending": ("·", "dim"),
    "running": ("▶", "cyan"),
    "in_progress": ("▶", "cyan"),
    "paused": ("‖", "yellow"),
    "completed": ("✓", "green"),
    "succeeded": ("✓", "green"),
    "failed": ("✗", "red"),
    "interrupted": ("✗", "red"),
    "skipped": ("-", "dim"),
    "cancelled": ("■", "yellow"),
}
_EVENT_LOOKS = {"error": "red", "message": "bold", "tool_call": "blue", "tool_result": "blue"}


def draw(run: RunPicture, *, most_events: int | None = None, moving: bool = False) -> Any:
    """Draw a run with its plan.

    Args:
        run: What is known of it.
        most_events: How many events of each step are drawn, the last ones; `None`: all.
        moving: True: a step under way has a sign that moves.
    """
    tree = Tree(_label(run.mission, run.status, in_words(run_seconds(run))))
    for name in lines.names(run):
        tree.add(Text(name, style="dim", no_wrap=True, overflow="ellipsis"))
    branches: dict[str, Tree] = {}
    for _depth, step in lines.outline(run):
        above = branches.get(step.parent_step_id or "", tree)
        branches[step.step_id] = branch = above.add(_step(step, moving=moving))
        _add_events(branch, run, step.step_id, most_events)
    _add_events(tree, run, None, most_events)
    for line in lines.ends(run):
        tree.add(Text(line, style="red" if line.startswith("error") else "bold"))
    return Group(tree)


@contextmanager
def living(console: Console | None = None) -> Iterator[Any]:
    """Keep a drawing on the screen up to date while the block runs; yields what shows a run."""
    with Live(console=console, refresh_per_second=12, vertical_overflow="ellipsis") as live:

        def show(run: RunPicture) -> None:
            room = max(2, (live.console.height - 8) // max(1, len(run.steps)) - 1)
            live.update(draw(run, most_events=room if run.is_open else None, moving=run.is_open))

        yield show


def _label(title: str, status: str, took: str) -> Any:
    sign, style = _LOOKS.get(status, ("?", ""))
    return Text.assemble((f"{sign} ", style), (blanked(title), "bold"), "  ", (status, style), "  ", (took, "dim"))


def _step(step: StepPicture, *, moving: bool) -> Any:
    sign, style = _LOOKS.get(step.status, ("?", ""))
    about = step.description if step.description != step.step_id else ""
    text = Text.assemble(
        (blanked(step.step_id), "bold"),
        "  ",
        (in_words(step_seconds(step)), "dim"),
        "  ",
        (blanked(about), "dim italic"),
    )
    if step.status == "in_progress" and moving:
        return Spinner("dots", text=text, style=style)
    text = Text.assemble((f"{sign} ", style), text)
    return Text.assemble(text, "  ", (blanked(step.reason), "red")) if step.reason else text


def _add_events(branch: Tree, run: RunPicture, step_id: str | None, most: int | None) -> None:
    events = lines.events_of(run, step_id)
    shown = events if most is None else events[-most:]
    if len(shown) < len(events):
        branch.add(Text(f"... {len(events) - len(shown)} earlier events", style="dim"))
    for event in shown:
        branch.add(
            Text(lines.event_line(event)[2:], style=_EVENT_LOOKS.get(event.type, ""), no_wrap=True, overflow="ellipsis")
        )
