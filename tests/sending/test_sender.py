"""The threads that deliver: when there are some, how many, and what they do to order."""

from __future__ import annotations

import contextvars
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import mission_tracer as mt
from mission_tracer._base.notices import Notices
from mission_tracer._planning.actions import Call
from mission_tracer._sending.lane import Lane
from mission_tracer._sending.sender import MAX_THREADS, Sender
from tests import processes
from tests.disks import open_files_limit
from tests.faults import faulty
from tests.sending.test_lane import Bench
from tests.whole import wait_for


def threads() -> int:
    return sum(thread.name == "mission_tracer.sender" for thread in threading.enumerate())


def test_threads_come_with_the_first_fact_and_go_with_shutdown(api: Any) -> None:
    """There is no thread before anything is recorded; `shutdown` ends them all; recording again starts them again."""
    assert threads() == 0
    for turn in range(3):
        with mt.mission_run("Turns"):
            mt.log_event(f"turn {turn}")
        assert mt.shutdown(20)
        assert threads() == 0
    [mission] = api.tree()
    assert [event.summary for run in mission["runs"] for event in run["events"]] == ["turn 0", "turn 1", "turn 2"]


FORKING = """
import os, threading, mission_tracer as mt
def work():
    with mt.plan_step("one"):
        if os.fork() == 0:
            mt.log_event("from the child")
            return
        print(os.waitstatus_to_exitcode(os.wait()[1]))
with mt.mission_run("Forks"):
    thread = threading.Thread(target=mt.carry(work))
    thread.start()
    thread.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("is_up", [True, False])
def test_a_child_that_a_thread_forked_ends_with_that_thread(is_up: bool, api: Any, tmp_path: Path) -> None:
    """A child whose only thread of the program's ends is not kept alive by ours; what it recorded arrives."""
    env = processes.environment(tmp_path / "state", TELNYX_API_KEY="x", TELNYX_BASE_URL=api.base_url)
    away = {} if is_up else {"TELNYX_BASE_URL": f"http://127.0.0.1:{processes.free_port()}/v2"}
    done = processes.run([sys.executable, "-c", FORKING], {**env, **away})
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
    if not is_up:
        assert processes.run([*processes.CLI, "sync"], env).returncode == 0
    assert [event.summary for event in api.only_run()["events"] if event.type == "custom"] == ["from the child"]


def test_an_idle_sender_keeps_one_thread(api: Any) -> None:
    """However many threads the work took, one is left when there is none; it takes up what comes later."""
    with faulty(api.base_url, rates={"slow": 1.0}) as proxy:
        mt.configure(api_key="KEY_of_the_test", base_url=proxy.base_url, log_level="off")
        # Each in a context of its own: a run in a run would be its child.
        runs = [contextvars.copy_context().run(mt.mission_run("Many").__enter__) for _ in range(12)]
        for run in runs:
            run.log_event("x")
        assert mt.flush(30)
        wait_for(lambda: threads() == 1)
        runs[3].log_event("later")
        assert runs[3].flush(30)
        for run in runs:
            run.succeed()
        assert mt.flush(30)
    [mission] = api.tree()
    assert sum(len(run["events"]) for run in mission["runs"]) == 13


@contextmanager
def watching_threads() -> Iterator[list[int]]:
    """Count the sender's threads again and again while the block runs."""
    found: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.005):
            found.append(threads())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()


def test_few_files_are_few_threads(api: Any) -> None:
    """Each thread needs a connection: where few files may be open there are few of them, and all is delivered."""
    with open_files_limit(160), watching_threads() as most, faulty(api.base_url, rates={"slow": 1.0}) as proxy:
        mt.configure(api_key="KEY_of_the_test", base_url=proxy.base_url, log_level="off")
        for _ in range(30):
            with mt.mission_run("Wide"):
                mt.log_event("x")
        assert mt.flush(60)
        mt.shutdown(20)
    assert 1 < max(most) <= 10


def test_many_runs_are_delivered_side_by_side(api: Any) -> None:
    """Runs do not wait for each other, with at most `MAX_THREADS` threads, and each keeps its own order."""
    with watching_threads() as most, faulty(api.base_url, rates={"slow": 1.0}) as proxy:
        proxy.change(seconds={"slow": 0.1})
        mt.configure(api_key="KEY_of_the_test", base_url=proxy.base_url, log_level="off")
        for number in range(2 * MAX_THREADS):
            with mt.mission_run("Wide"):
                for event in range(5):
                    mt.log_event(f"{number}.{event}")
        started = time.monotonic()
        assert mt.flush(60)
        took = time.monotonic() - started
    requests = 2 * MAX_THREADS * 8
    assert took < requests * 0.1 / 4, "one after the other they would take much longer"
    assert 1 < max(most) <= MAX_THREADS
    [mission] = api.tree()
    for run in mission["runs"]:
        said = [event.summary for event in run["events"]]
        assert len(said) == 5
        assert said == sorted(said)


class Told(threading.Condition):
    """Who waits for a sender: notes after how many requests it is woken."""

    def __init__(self) -> None:
        super().__init__(threading.RLock())
        self.requests = 0
        self.woken_after: list[int] = []

    def notify_all(self) -> None:
        self.woken_after.append(self.requests)
        super().notify_all()


class OneLane:
    """A place that knows one run."""

    has_news = is_still = is_crowded = False

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    def renew(self, *, everything: bool) -> list[Lane]:
        return [self._lane] if everything else []

    def postpone(self) -> None: ...

    def release(self, lane: Lane) -> None: ...


def test_who_waits_is_not_woken_for_each_event(tmp_path: Path) -> None:
    """Who waits is woken by each barrier, and when all that was read is delivered; in between he looks for himself."""
    bench = Bench(tmp_path)
    bench.event("a", "b")
    bench.enter("step")  # three requests
    bench.event("c", "d")
    told = Told()

    class Line:
        def exchange(self, call: Call, *, within: float | None = None) -> Any:
            told.requests += 1
            return bench.exchange(call)

        def close(self) -> None: ...

    sender = Sender(OneLane(bench.lane), Line, Notices("off"), max_backoff=1.0, advice="")  # type: ignore[arg-type]
    sender.progress = told
    sender.work_until(bench.lane.is_drained, left=lambda: 1.0)
    assert told.woken_after == [5, 7]
    sender.stop(1.0)
    bench.lane.abandon()
    bench.file.close()
