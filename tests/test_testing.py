"""The test kit."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mission_tracer as mt
from mission_tracer import log_event, mission_run, plan_step, recorder, tool_call
from mission_tracer.pytest_plugin import mission_recorder
from mission_tracer.testing import MissionRecorder, recording

__all__ = ["mission_recorder"]


@tool_call
def search(query: str) -> list[str]:
    return [query, query]


@mission_run("Find", plan=["research", "calls"])
def agent(query: str) -> dict[str, Any]:
    with plan_step("research") as step:
        step.metadata(hits=len(search(query)))
        log_event("found")
    return {"best": query}


def test_the_fixture_answers_what_the_api_would(mission_recorder: MissionRecorder, tmp_path: Path) -> None:
    """Runs, steps and events read as the API would hold them, and nothing is written or sent."""
    agent("x")
    [run] = mission_recorder.runs
    assert (run.mission, run.status, run.input, run.result_payload) == (
        "Find",
        "succeeded",
        {"query": "x"},
        {"best": "x"},
    )
    assert [(s.step_id, s.status, s.attempt) for s in mission_recorder.steps] == [
        ("research", "completed", 1),
        ("calls", "skipped", 1),
    ]
    assert mission_recorder.steps[0].metadata["hits"] == 2
    assert [event.type for event in mission_recorder.events] == [
        "step_started",
        "tool_call",
        "tool_result",
        "custom",
        "step_completed",
    ]
    assert not (tmp_path / "state").exists()


def test_it_holds_what_a_real_server_holds(api: Any) -> None:
    """What the kit reads back is what the real delivery puts on a server."""
    with recording() as rehearsed:
        agent("x")
    agent("x")
    assert mt.flush(20)
    real = api.only_run()
    [run] = rehearsed.runs
    assert (real["run"].status, real["run"].result_summary) == (run.status, run.result_summary)
    assert [(s.step_id, s.status, s.sequence) for s in real["steps"]] == [
        (s.step_id, s.status, s.sequence) for s in run.steps
    ]
    assert [(e.type, e.summary, e.step_id) for e in real["events"]] == [
        (e.type, e.summary, e.step_id) for e in run.events
    ]


def test_assert_run_shows_the_difference() -> None:
    """`assert_run` returns the run when it is as expected, and else shows how it differs."""
    with recording() as recorded:
        agent("x")
    assert recorded.assert_run(status="succeeded", steps=["research", "calls"]).mission == "Find"
    recorded.assert_run(mission="Find", steps=[("research", "completed"), "calls"])
    with pytest.raises(AssertionError, match=r"- .*failed(.|\n)*\+ .*succeeded"):
        recorded.assert_run(status="failed")
    with pytest.raises(AssertionError) as caught:
        recorded.assert_run(status="failed", steps=[("research", "completed"), ("calls", "completed")])
    assert str(caught.value).splitlines()[1:] == [
        "- status: 'failed'",
        "+ status: 'succeeded'",
        "  steps:",
        "      ('research', 'completed')",
        "-     ('calls', 'completed')",
        "+     ('calls', 'skipped')",
    ]
    with pytest.raises(AssertionError, match="calls"):
        recorded.assert_run(steps=["research"])
    with pytest.raises(AssertionError, match=r"- steps: \[\]"):
        recorded.assert_run(steps=[])
    with pytest.raises(AssertionError, match="expected one run of mission 'Other'"):
        recorded.assert_run(mission="Other")


def test_assert_run_knows_errors() -> None:
    """A failed run is checked by a text of its error."""
    with recording() as recorded, pytest.raises(OSError, match="gone"), mission_run("m"):
        raise OSError("gone for good")
    recorded.assert_run(status="failed", error="gone", events=["error"])
    with pytest.raises(AssertionError, match="elsewhere"):
        recorded.assert_run(error="elsewhere")


def test_as_dicts_is_the_same_each_time() -> None:
    """Two recordings of the same program are equal as plain data."""
    taken = []
    for _ in range(2):
        with recording() as recorded:
            agent("x")
        taken.append(recorded.as_dicts())
    assert taken[0] == taken[1]
    assert taken[0][0]["events"][1]["payload"] == {"tool": "search", "arguments": {"query": "x"}}


def test_deterministic_ids_and_clock() -> None:
    """On demand keys, ids and times count up."""
    with recording(deterministic=True) as recorded:
        agent("x")
    facts = recorded.facts
    assert [run.key for run in recorded.runs] == ["run1"]
    assert [fact.id for fact in facts[:3]] == ["writer1.1", "writer1.2", "writer1.3"]
    assert [fact.at.isoformat() for fact in facts[:2]] == ["2026-01-01T00:00:00+00:00", "2026-01-01T00:00:01+00:00"]


def test_the_recorder_before_comes_back() -> None:
    """After a recording, the process records as it did before."""
    before = recorder.default()
    with recording():
        assert recorder.default() is not before
    assert recorder.default() is before


def test_what_a_test_leaves_open_is_left_with_it() -> None:
    """A run that nobody ended is not under way after the recording, and the one around that is again."""
    with recording(), mission_run("around") as around, plan_step("s") as step:
        with recording():
            mission_run("left open").__enter__()
            plan_step("left open").__enter__()
        assert (mt.current_run(), mt.current_step()) == (around, step)
    assert mt.current_run() is None


def test_a_program_that_configures_itself_stays_in_the_test(tmp_path: Path) -> None:
    """`configure` in the tested program is checked, and changes nothing: nothing is sent, nothing is written."""
    with recording() as recorded:
        mt.configure(api_key="KEY_of_production", dir=str(tmp_path / "other"))
        agent("x")
        with pytest.raises(mt.ConfigurationError):
            mt.configure(nonsense=1)
    recorded.assert_run(status="succeeded")
    assert not (tmp_path / "other").exists()
    assert mt.configure(enabled=False) is recorder.default()
    assert not recorder.default().enabled


def test_every_kind_of_callable_is_read_back() -> None:
    """Coroutines, generators and threads under the kit are recorded as elsewhere."""

    @plan_step
    async def later() -> int:
        return 1

    @plan_step
    def items() -> Iterator[int]:
        yield 1
        yield 2

    with recording() as recorded, mission_run("m"):
        assert asyncio.run(later()) == 1
        for _ in items():
            break
        thread = threading.Thread(target=mt.carry(search), args=("x",))
        thread.start()
        thread.join()
    run = recorded.assert_run(steps=[("later", "completed"), ("items", "completed")])
    assert [event.type for event in run.events][-2:] == ["tool_call", "tool_result"]
    assert [step.attempt for step in run.steps] == [1, 1]


def test_recordings_nest() -> None:
    """A recording inside a recording takes what happens inside it."""
    with recording() as outer:
        with recording() as inner, mission_run("inner"):
            pass
        with mission_run("outer"):
            pass
    assert [run.mission for run in outer.runs] == ["outer"]
    assert [run.mission for run in inner.runs] == ["inner"]


def test_the_kit_is_strict() -> None:
    """Our own errors and wrong event types are raised in a test."""
    with recording(), mission_run("m"), pytest.raises(ValueError, match="type must be"):
        log_event("x", type="nonsense")


def test_the_plugin_is_light() -> None:
    """Loading the plugin imports nothing of this package but the plugin and the names it needs to be found."""
    code = (
        "import sys, importlib.util as u;"
        "spec = u.find_spec('mission_tracer.pytest_plugin');"
        "print([m for m in ('httpx', 'structlog', 'starlette', 'mission_tracer.testing') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert done.stdout.strip() == "[]"


OUTSIDE = """
import pytest
import mission_tracer as mt


@mt.mission_run("Find", plan=["research"])
def agent(word):
    return {"best": word}


def test_records(mission_recorder):
    agent("x")
    mission_recorder.assert_run(status="succeeded", steps=[("research", "skipped")])
    assert mission_recorder.runs[0].key != "run1"


@pytest.mark.mission_recorder({"capture": "off"}, deterministic=True)
class TestMarked:
    def test_takes_options(self, mission_recorder):
        agent("x")
        [run] = mission_recorder.runs
        assert (run.key, run.input) == ("run1", None)

    def test_counts_anew(self, mission_recorder):
        agent("x")
        assert mission_recorder.runs[0].key == "run1"
"""


def test_the_plugin_works_in_a_project_of_its_own(tmp_path: Path) -> None:
    """Where the package is installed, any project's tests have the fixture and its marker; warnings are errors."""
    file = tmp_path / "test_agent.py"
    file.write_text(OUTSIDE)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "--strict-markers", "-p", "no:cacheprovider"]
    done = subprocess.run([*command, str(file)], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "3 passed" in done.stdout, done.stdout
    assert not (tmp_path / "state").exists()
