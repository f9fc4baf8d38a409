"""Call commands in this process, as `python -m mission_tracer` would."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import mission_tracer as mt

pytest.importorskip("click")
pytest.importorskip("rich")
pytest.importorskip("starlette")

from mission_tracer.cli import app


@dataclass(frozen=True)
class Said:
    """What a command left: its exit status, its output and its errors."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its output, read as JSON."""
        return json.loads(self.out)


WITHOUT = "import sys; sys.modules[{!r}] = None; from mission_tracer.cli import app; sys.exit(app.main([{!r}]))"
"""A program that runs a command as if a library were not installed."""

Call = Callable[..., Said]


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    """Run one command with its words."""

    def run(*words: str) -> Said:
        capfd.readouterr()
        status = app.main(words)
        said = capfd.readouterr()
        return Said(status, said.out, said.err)

    return run


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state directory of the test."""
    return tmp_path / "state"


@pytest.fixture
def recorded() -> str:
    """Record one run with two steps and one event offline; give its key."""
    with mt.mission_run("Wash windows", input={"city": "Chicago"}, plan=["research", "calls"]) as run:
        with mt.plan_step("research", description="Find contractors"):
            mt.log_event("Found two", payload={"hits": 2})
        run.succeed(summary="ABC is best", payload={"quote": 350})
    mt.shutdown(0)
    return run.key
