"""Keep every test to itself: its own state directory and recorder, and nothing left behind."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

import mission_tracer as mt
from mission_tracer import _context, recorder
from mission_tracer._disk.directory import Directory
from mission_tracer.facts import Fact, decode

# On a busy machine an example may take any time.
settings.register_profile("patient", parent=settings(), deadline=None)
settings.load_profile("patient")


def pytest_configure() -> None:
    """Take signals as at a terminal: in the background, or behind `nohup`, programs would inherit them ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def isolation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Point recording at the test's own directory, and see that no thread, scope or recorder is left."""
    for name in list(os.environ):
        if name.startswith(("MISSION_TRACER_", "TELNYX_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MISSION_TRACER_DIR", str(tmp_path / "state"))
    yield
    mt.uninstrument()
    recorder.discard()
    ours = [
        handler for handler in logging.getLogger().handlers if type(handler).__module__.startswith("mission_tracer")
    ]
    for handler in ours:
        logging.getLogger().removeHandler(handler)
    assert not ours, "a handler of ours is left on the root logger: other tests' lines would be recorded"
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("mission_tracer")]
    assert not left
    assert _context.current() is None
    assert _context.owner.get() is None


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    """An empty state directory, prepared."""
    directory = Directory(tmp_path / "state")
    directory.prepare()
    return directory


@pytest.fixture
def journal(tmp_path: Path) -> Callable[[], list[Fact]]:
    """Read every fact the test recorded so far, of all its runs, the oldest run first."""

    def read() -> list[Fact]:
        found = []
        for place in ("delivered", "runs"):
            for path in sorted((tmp_path / "state" / place).glob("*.jsonl")):
                if not path.name.endswith(".sent.jsonl"):
                    found.append(path)
        lines = [line for path in sorted(found, key=lambda p: p.name) for line in path.read_bytes().splitlines()]
        return [decode(line) for line in lines]

    return read


@dataclass(frozen=True)
class Api:
    """A local Missions server that the test's recorder delivers to."""

    base_url: str
    client: Any

    def tree(self) -> list[dict[str, Any]]:
        """Read everything back: missions with their runs, each with its steps and events."""
        missions = []
        for mission in self.client.missions.list():
            runs = []
            for run in self.client.missions.runs.list(mission.mission_id):
                where = {"mission_id": mission.mission_id}
                runs.append(
                    {
                        "run": run,
                        "steps": list(self.client.missions.runs.plan.retrieve(run.run_id, **where)),
                        "events": list(self.client.missions.runs.events.list(run.run_id, **where)),
                    }
                )
            missions.append({"mission": mission, "runs": runs})
        return missions

    def only_run(self) -> dict[str, Any]:
        """Read back the one run of the one mission."""
        [mission] = self.tree()
        [run] = mission["runs"]
        return run


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """Serve the Missions API from this process, and deliver to it."""
    pytest.importorskip("starlette")
    from mission_tracer.client import MissionsClient
    from mission_tracer.server import running_server

    with running_server() as server:
        mt.configure(api_key="KEY_of_the_test", base_url=server.base_url, strict=True, settle=0.2)
        with MissionsClient(api_key="KEY_of_the_test", base_url=server.base_url) as client:
            yield Api(server.base_url, client)
        recorder.discard()
