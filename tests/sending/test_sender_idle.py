"""An idle sender costs next to nothing, and sees all the same what other processes do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

import mission_tracer as mt
from mission_tracer import recorder
from tests.conftest import Api
from tests.processes import served

BESIDE = """
import os, mission_tracer as mt
mt.configure(sender="off", log_level="error")
mt.log_event("from beside")
os._exit(0)
"""
AFTER = """
import os, mission_tracer as mt
mt.configure(sender="off", log_level="error")
with mt.mission_run("another"):
    mt.log_event("from afar")
os._exit(0)
"""


def until(condition: Callable[[], object], seconds: float = 20) -> bool:
    """Look again and again whether something has come about, for so long."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(condition())


def events(api: Api) -> list[str]:
    return [event.summary for mission in api.tree() for run in mission["runs"] for event in run["events"]]


def go_to_rest() -> None:
    assert mt.flush(20)
    assert until(lambda: recorder.default().sender.asleep)


def python(code: str, **more: str) -> None:
    subprocess.run([sys.executable, "-c", code], env={**os.environ, **more}, check=True, timeout=60)


def test_it_sees_a_fact_that_another_process_adds_to_its_run(api: Api) -> None:
    """What a child that sends nothing itself records of an open run is delivered by the one that sleeps."""
    with mt.mission_run("m"):
        go_to_rest()
        python(BESIDE, MISSION_TRACER_PARENT=mt.inject()["mission-run"])
        assert until(lambda: "from beside" in events(api))
        go_to_rest()
        mt.log_event("and its own")
        assert until(lambda: "and its own" in events(api))


def test_it_sees_a_run_that_another_process_left(api: Api) -> None:
    """What a process that is gone by now recorded is delivered by the one that sleeps."""
    with mt.mission_run("m"):
        go_to_rest()
        python(AFTER)
        assert until(lambda: "from afar" in events(api))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="processes do not tell there how often they waited")
def test_it_hardly_wakes() -> None:
    """With a run open and nothing to do, a thread wakes up after two seconds, and after four more."""
    import resource

    with served() as base_url:
        mt.configure(api_key="KEY1", base_url=base_url, log_level="error")
        with mt.mission_run("m"):
            go_to_rest()
            before = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
            time.sleep(5)
            assert resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - before <= 3  # one is this thread's
            assert mt.flush(20)
