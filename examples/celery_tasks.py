"""Spread a run over Celery's workers: each task is a step of the run it is published in, a retry another attempt of it.

    pip install 'mission-tracer[celery]'
    python examples/celery_tasks.py

No account, no network, no broker to install: the queue is a directory, and the script starts a worker of its own. With
TELNYX_API_KEY set the run is sent to the Missions API (or to TELNYX_BASE_URL); without it the run is recorded and
waits.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import celery  # type: ignore[import-untyped]  # it ships no types

import mission_tracer as mt

# The worker, and this file when it is imported under its own name, use the same directory.
if "EXAMPLE_QUEUE" not in os.environ:
    queue = tempfile.TemporaryDirectory(prefix="mission-celery-")  # it goes with this process
    os.environ["EXAMPLE_QUEUE"] = queue.name
ROOT = Path(os.environ["EXAMPLE_QUEUE"])

app: Any = celery.Celery("celery_tasks", broker="filesystem://", backend=f"file://{ROOT}/results")
app.conf.update(
    broker_transport_options={
        "data_folder_in": f"{ROOT}/queue",
        "data_folder_out": f"{ROOT}/queue",
        "control_folder": f"{ROOT}/control",
    },
    broker_connection_retry_on_startup=True,
)

mt.instrument("celery")  # in the module of the tasks, so that producers and workers both have it


@app.task  # type: ignore[untyped-decorator]  # as above
def look_up(city: str) -> list[str]:
    """Find contractors."""
    mt.log_event(f"Looking in {city}")
    return ["ABC Cleaning", "Sparkle"]


@app.task(bind=True, max_retries=3)  # type: ignore[untyped-decorator]  # as above
def call(self: Any, name: str) -> int:
    """Ask a contractor for a quote; the line is busy at first."""
    if name == "Sparkle" and self.request.retries < 1:
        raise self.retry(countdown=0, exc=ConnectionError(f"{name} is busy"))
    return 350 if name == "ABC Cleaning" else 410


@mt.mission_run("Find window washers", plan=["research", "calls"])
def find(city: str) -> dict[str, int]:
    """Publish the tasks, and wait for them inside of the run."""
    with mt.plan_step("research"):
        names = look_up.delay(city).get(timeout=120)
    with mt.plan_step("calls"):
        asked = {name: call.delay(name) for name in names}
        return {name: result.get(timeout=120) for name, result in asked.items()}


def start_worker() -> subprocess.Popen[bytes]:
    """Start a worker that takes tasks from the directory."""
    for name in ("queue", "control", "results"):
        (ROOT / name).mkdir(parents=True, exist_ok=True)
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-m", "celery", "-A", "celery_tasks", "worker", "--concurrency", "1"]
    command += ["--without-mingle", "--without-gossip"]
    with (ROOT / "worker.log").open("wb") as log:
        return subprocess.Popen(command, env=environ, stdout=log, stderr=log)  # noqa: S603 - a command of our own


if __name__ == "__main__":
    # The worker knows this file as `celery_tasks`; tasks of `__main__` it would not know.
    from celery_tasks import find as find_by_workers

    worker = start_worker()
    try:
        print(find_by_workers("Chicago"))
    finally:
        worker.terminate()
        worker.wait()
