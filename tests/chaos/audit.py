"""Number the recording calls of each thread, and write down each one that returned.

The n-th recording call of a thread carries the marker `<series>:<n>` to the server. It is written to the audit file
when it has returned. So a server that has n + 1 markers of a series of which n are written down holds one fact that was
in flight at the kill; anything else is a fact lost or a fact made up.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mission_tracer as mt


class Scribe:
    """Keep one series of markers.

    Args:
        audit: The descriptor of the audit file, opened to append; one write is one line, from any process.
        series: The name of this thread, unique among all programs.
    """

    def __init__(self, audit: int, series: str) -> None:
        self.audit = audit
        self.series = series
        self._count = 0

    def mark(self) -> str:
        """Return the marker of the next recording call."""
        self._count += 1
        return f"{self.series}:{self._count}"

    def note(self, kind: str, marker: str, **facts: Any) -> None:
        """Write down that a recording call returned."""
        line = json.dumps({"kind": kind, "marker": marker, **facts}) + "\n"
        os.write(self.audit, line.encode())

    def event(self, run: mt.Run, step: mt.Step | None = None) -> None:
        """Log one event."""
        marker = self.mark()
        run.log_event(f"event {marker}", payload={"marker": marker}, step=step)
        self.note("event", marker, run=run.key)

    @contextmanager
    def run(self, name: str, *, plan: list[str]) -> Iterator[mt.Run]:
        """Open a run and close it."""
        marker = self.mark()
        with mt.mission_run(name, plan=plan, metadata={"marker": marker}) as run:
            self.note("open", marker, run=run.key, mission=name)
            yield run
            closing = self.mark()
            run.succeed(summary="done", payload={"marker": closing})
        self.note("close", closing, run=run.key, status="succeeded")

    @contextmanager
    def step(self, name: str, *, fails: bool = False) -> Iterator[mt.Step]:
        """Enter a step and leave it."""
        marker = self.mark()
        with mt.plan_step(name, description=marker) as step:
            where = {"run": step.run.key, "step": step.id}
            self.note("enter", marker, attempt=step.attempt, **where)
            yield step
            leaving = self.mark()
            step.metadata(left=leaving)
            if fails:
                step.fail("as the program wants it")
            else:
                step.complete()
        self.note("leave", leaving, status="failed" if fails else "completed", **where)


def open_audit(path: Path) -> int:
    """Open the audit file to append."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def read_audit(path: Path) -> list[dict[str, Any]]:
    """Read what was written down."""
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []
