"""Celery's tasks as steps of the run they are published in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import mission_tracer as mt
from mission_tracer import _context, facts

from .told import bodies, events

celery = pytest.importorskip("celery")

Journal = Callable[[], list[facts.Fact]]

TASKS = """
import contextlib
import os
import celery
import mission_tracer as mt

ROOT = {root!r}
app = celery.Celery("tasks")
app.conf.update(
    broker_url="filesystem://",
    broker_transport_options={{
        "data_folder_in": ROOT + "/queue", "data_folder_out": ROOT + "/queue", "processed_folder": ROOT + "/done",
        "control_folder": ROOT + "/control",
    }},
    result_backend="file://" + ROOT + "/results",
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)
mt.instrument("celery")


@app.task
def call(number):
    mt.log_event(f"called {{number}}", payload={{"pid": os.getpid()}})
    return f"quote {{number}}"


@app.task(bind=True, max_retries=3)
def flaky(self):
    mt.log_event(f"attempt {{self.request.retries}}")
    if self.request.retries < 2:
        raise self.retry(countdown=0, exc=ConnectionError("busy"))
    return "done"


@app.task
def broken():
    raise ValueError("no line is free")


@app.task
def outer():
    with mt.plan_step("inside"):
        return call.delay(7).id
"""


@pytest.fixture
def worker(tmp_path: Path, api: Any) -> Iterator[Any]:
    """A real worker with two processes, and the tasks' module as the producer imports it."""
    root = tmp_path / "celery"
    for name in ("queue", "done", "control", "results"):
        (root / name).mkdir(parents=True)
    (root / "mission_tasks.py").write_text(TASKS.format(root=str(root)))
    environ = {
        **os.environ,
        "PYTHONPATH": str(root),
        "TELNYX_API_KEY": "K",
        "TELNYX_BASE_URL": api.base_url,
        "MISSION_TRACER_STRICT": "1",
    }
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "mission_tasks",
        "worker",
        "--concurrency",
        "2",
        "--pool",
        "prefork",
    ]
    command += ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"]
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environ, cwd=root, stdout=log, stderr=log)
    sys.path.insert(0, str(root))
    try:
        import mission_tasks

        yield mission_tasks
    finally:
        sys.path.remove(str(root))
        sys.modules.pop("mission_tasks", None)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, (root / "log").read_text()
    assert "Traceback" not in (root / "log").read_text().replace("no line is free", "").split("ValueError")[0]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # celery's own
def test_a_real_workers_tasks_are_steps_of_the_run(worker: Any, api: Any, tmp_path: Path) -> None:
    """Tasks of two worker processes are steps under the publisher's, a retry is an attempt; all of it arrives."""
    with mt.mission_run("Find quotes") as run:
        with mt.plan_step("ask"):
            asked = [worker.call.delay(number) for number in range(4)]
            flaky, broken = worker.flaky.delay(), worker.broken.delay()
            assert [one.get(timeout=60) for one in asked] == [f"quote {number}" for number in range(4)]
            assert flaky.get(timeout=60) == "done"
            with pytest.raises(ValueError, match="no line is free"):
                broken.get(timeout=60)
        nested = worker.outer.delay().get(timeout=60)
        assert celery.result.AsyncResult(nested, app=worker.app).get(timeout=60) == "quote 7"
        until(lambda: written(tmp_path, run.key).count(b'"step_left"') == 1 + 4 + 3 + 1 + 3)
    assert mt.flush(30)
    found = api.only_run()
    steps = {step.step_id: step for step in found["steps"]}
    for one in asked:
        step = steps[f"call-{one.id[:8]}"]
        assert (step.status, step.parent_step_id, step.description) == ("completed", "ask", "mission_tasks.call")
        assert step.metadata["celery"]["id"] == one.id
        assert step.metadata["result"].startswith("quote")
    again = steps[f"flaky-{flaky.id[:8]}"]
    assert (again.status, again.parent_step_id, again.metadata["attempt"]) == ("completed", "ask", 3)
    failed = steps[f"broken-{broken.id[:8]}"]
    assert (failed.status, failed.parent_step_id) == ("failed", "ask")
    last = steps[f"call-{nested[:8]}"]
    assert (steps[last.parent_step_id].step_id, steps["inside"].parent_step_id[:5]) == ("inside", "outer")
    assert len(steps) == 1 + 4 + 1 + 1 + 3
    said = [event for event in found["events"] if event.type == "custom"]
    assert sorted(e.summary for e in said) == sorted(
        [f"called {n}" for n in range(4)] + [f"attempt {n}" for n in range(3)] + ["called 7"]
    )
    assert [e.summary for e in found["events"] if e.type == "error"] == ["ValueError: no line is free"]
    assert found["run"].status == "succeeded"


def written(tmp_path: Path, key: str) -> bytes:
    return (tmp_path / "state" / "runs" / f"{key}.jsonl").read_bytes()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# ---- in this process ----


@pytest.fixture
def app() -> Iterator[Any]:
    """An application whose tasks are executed in place."""
    mt.configure(strict=True)
    mt.instrument("celery")
    made = celery.Celery("app", set_as_current=False)
    made.conf.update(task_always_eager=True, task_store_eager_result=False)
    yield made
    mt.uninstrument("celery")


def test_a_task_called_in_place_is_a_step(app: Any, journal: Journal) -> None:
    """A task that is executed in place is a step of the current one, with its arguments and its result."""

    @app.task(name="shop.quotes.ask")
    def ask(city: str, password: str = "") -> dict[str, int]:
        mt.log_event("asking")
        return {"quote": 350}

    with mt.mission_run("m"), mt.plan_step("s"):
        done = ask.delay("Chicago", password="hunter2-hunter2")
    assert done.get() == {"quote": 350}
    entered = [f for f in journal() if isinstance(f, facts.StepEntered)][1]
    left = next(f for f in journal() if isinstance(f, facts.StepLeft))
    assert (entered.step_id, entered.parent_step_id, entered.description) == (
        f"ask-{done.id[:8]}",
        "s",
        "shop.quotes.ask",
    )
    assert left.status == "completed"
    assert left.metadata["arguments"] == {"city": "Chicago", "password": "[redacted]"}
    assert left.metadata["result"] == {"quote": 350}
    assert left.metadata["celery"]["task"] == "shop.quotes.ask"
    assert events(journal()) == [("custom", "asking", entered.step_id)]
    assert _context.current() is None


def test_a_task_outside_of_a_run_is_left_alone(app: Any, journal: Journal) -> None:
    """Without a run there is no step, and no header."""
    seen = []

    @app.task(bind=True)
    def look(self: Any) -> None:
        seen.append(self.request.get("mission-run"))

    look.delay()
    assert seen == [None]
    assert journal() == []


def test_a_failing_task_fails_its_step(app: Any, journal: Journal) -> None:
    """What a task raises fails its step and is one error event; the run goes on."""

    @app.task
    def fail() -> None:
        raise ValueError("no line is free")

    with mt.mission_run("m"):
        done = fail.delay()
    assert done.state == "FAILURE"
    left = next(f for f in journal() if isinstance(f, facts.StepLeft))
    assert (left.status, left.reason) == ("failed", "ValueError: no line is free")
    assert [e[0] for e in events(journal())] == ["error"]
    assert "raise ValueError" in bodies(journal())[0]["payload"]["error"]["traceback"]
    assert journal()[-1].status == "succeeded"  # type: ignore[union-attr]


def test_a_failing_task_that_propagates_fails_its_step(app: Any, journal: Journal) -> None:
    """What a task raises through its caller fails its step and is one error event; a retry is none."""
    app.conf.task_eager_propagates = True

    @app.task
    def fail() -> None:
        raise ValueError("no line is free")

    @app.task(bind=True, max_retries=1)
    def flaky(self: Any) -> str:
        if self.request.retries < 1:
            raise self.retry(countdown=0, exc=ConnectionError("busy"))
        return "done"

    with mt.mission_run("m"):
        with pytest.raises(ValueError, match="no line is free"):
            fail.delay()
        with pytest.raises(celery.exceptions.Retry):
            flaky.delay()
    left = [(f.step_id.partition("-")[0], f.status, f.reason) for f in journal() if isinstance(f, facts.StepLeft)]
    assert left == [
        ("fail", "failed", "ValueError: no line is free"),
        ("flaky", "failed", "retrying: ConnectionError: busy"),
    ]
    assert [e[:2] for e in events(journal())] == [("error", "ValueError: no line is free")]
    assert journal()[-1].status == "succeeded"  # type: ignore[union-attr]


def test_tasks_that_fail_the_same_way_are_an_error_each(app: Any, journal: Journal) -> None:
    """Each of several tasks that raise the same has its own error event."""

    @app.task
    def fail() -> None:
        raise ConnectionError

    with mt.mission_run("m"):
        for _ in range(3):
            fail.delay()
    assert [e[0] for e in events(journal())] == ["error"] * 3


def test_a_retried_task_is_one_step(app: Any, journal: Journal) -> None:
    """A task that asks to be tried again is another attempt of its step, not a part of it."""

    @app.task(bind=True, max_retries=2)
    def flaky(self: Any) -> str:
        if self.request.retries < 2:
            raise self.retry(countdown=0, exc=ConnectionError("busy"))
        return "done"

    with mt.mission_run("m"), mt.plan_step("s"):
        done = flaky.apply(throw=False)
    entered = [(f.step_id, f.parent_step_id, f.attempt) for f in journal() if isinstance(f, facts.StepEntered)][1:]
    name = f"flaky-{done.id[:8]}"
    assert {one[0] for one in entered} == {name}
    assert [one[2] for one in entered] == [1, 2, 3]
    left = [(f.status, f.reason) for f in journal() if isinstance(f, facts.StepLeft) and f.step_id == name]
    assert sorted(left, key=str) == [
        ("completed", None),
        ("failed", "retrying: ConnectionError: busy"),
        ("failed", "retrying: ConnectionError: busy"),
    ]


def test_publishing_writes_the_run_into_the_headers(journal: Journal) -> None:
    """A published message carries the run, unless it carries one already."""
    mt.configure(strict=True)
    mt.instrument("celery")
    made = celery.Celery("app", broker="memory://", set_as_current=False)
    sent: list[dict[str, Any]] = []

    def look(headers: dict[str, Any], **more: Any) -> None:
        sent.append(dict(headers))

    celery.signals.after_task_publish.connect(look)
    try:
        made.send_task("outside")
        with mt.mission_run("m") as run:
            made.send_task("inside")
            made.send_task("own", headers={"mission-run": "key=own"})
    finally:
        celery.signals.after_task_publish.disconnect(look)
    carried = [headers.get("mission-run") for headers in sent]
    assert carried[0] is None
    assert f"key={run.key}" in str(carried[1])
    assert carried[2] == "key=own"


def test_switching_off_disconnects_everything(app: Any, journal: Journal) -> None:
    """After `uninstrument` no hook of ours hears Celery's signals."""
    signals = ("before_task_publish", "task_prerun", "task_retry", "task_failure", "task_postrun")
    mt.uninstrument("celery")
    before = [len(getattr(celery.signals, name).receivers or ()) for name in signals]
    mt.instrument("celery")
    assert [len(getattr(celery.signals, name).receivers or ()) for name in signals] == [n + 1 for n in before]
    mt.uninstrument("celery")
    assert [len(getattr(celery.signals, name).receivers or ()) for name in signals] == before

    @app.task
    def work() -> None: ...

    with mt.mission_run("m"):
        work.delay()
    assert not [f for f in journal() if isinstance(f, facts.StepEntered)]


@pytest.mark.parametrize("hook", ["publish", "begin", "retry", "fail", "end"])
def test_an_error_of_ours_does_not_reach_celery(hook: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Hooks that are called with what they cannot read say so and raise nothing."""
    from mission_tracer.integrations.celery import _Tasks

    mt.configure(log_level="error")

    class Hostile(dict[str, Any]):
        def __contains__(self, key: object) -> bool:
            raise RuntimeError("ours")

        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("ours")

        def __hash__(self) -> int:  # type: ignore[override]
            raise RuntimeError("ours")

    tasks, hostile = _Tasks(), Hostile()
    given = {
        "publish": {"headers": hostile},
        "begin": {"task_id": "t", "task": hostile},
        "retry": {"request": hostile},
        "fail": {"task_id": hostile, "exception": ValueError()},
        "end": {"task_id": "t"},
    }
    tasks._under_way["t"] = hostile  # type: ignore[assignment]
    assert getattr(tasks, hook)(**given[hook]) is None
    assert "an error of ours" in capfd.readouterr().err
