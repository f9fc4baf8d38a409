"""Steps of a run that several processes share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

import mission_tracer as mt
from mission_tracer import facts
from mission_tracer._disk.directory import Directory
from tests.disks import open_files, open_files_limit

Journal = Callable[[], list[facts.Fact]]

CHILD = """
import mission_tracer as mt
for _ in range(20):
    with mt.plan_step("work") as step:
        print(step.id)
"""


def entered(found: list[facts.Fact]) -> list[str]:
    return [fact.step_id for fact in found if isinstance(fact, facts.StepEntered)]


def test_joined_processes_never_share_a_step(journal: Journal) -> None:
    """Processes that enter the same name at the same time each get a step of their own."""
    with mt.mission_run("m"), mt.plan_step("outer"):
        environment = {**os.environ, "MISSION_TRACER_PARENT": mt.inject()["mission-run"]}
        children = [
            subprocess.Popen([sys.executable, "-c", CHILD], env=environment, stdout=subprocess.PIPE, text=True)
            for _ in range(3)
        ]
        mine = []
        for _ in range(20):
            with mt.plan_step("work") as step:
                mine.append(step.id)
        theirs = [line for child in children for line in child.communicate()[0].split()]
    ids = entered(journal())
    assert len(set(mine + theirs)) == 80
    assert sorted(ids) == sorted([*mine, *theirs, "outer"])
    parents = {fact.parent_step_id for fact in journal() if isinstance(fact, facts.StepEntered)}
    assert parents == {None, "outer"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_forked_processes_never_share_a_step(journal: Journal) -> None:
    """A parent and its forked children that enter the same name each get a step of their own."""
    with mt.mission_run("m"):
        children = []
        for _ in range(3):
            pid = os.fork()
            if pid == 0:
                for _ in range(10):
                    with mt.plan_step("work"):
                        pass
                os._exit(0)
            children.append(pid)
        for _ in range(10):
            with mt.plan_step("work"):
                pass
        assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0]
    ids = entered(journal())
    assert len(ids) == len(set(ids)) == 40


def test_a_failed_step_is_retried_by_another_process(journal: Journal) -> None:
    """A step that failed in one process is entered again in another as its next attempt."""
    with mt.mission_run("m"):
        with pytest.raises(OSError, match="busy"), mt.plan_step("dial"):
            raise OSError("busy")
        code = "import mission_tracer as mt\nwith mt.plan_step('dial') as s: print(s.id, s.attempt)"
        environment = {**os.environ, "MISSION_TRACER_PARENT": mt.inject()["mission-run"]}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["dial", "2"]
    assert entered(journal()) == ["dial", "dial"]


def test_a_shared_run_keeps_no_file_open(journal: Journal) -> None:
    """A run that was shared has no file open when it has ended, though its handle lives on; nor has one joined here."""
    kept = []

    def run() -> mt.Run:
        with mt.mission_run("m") as run:
            mt.inject()
            with mt.plan_step("work"):
                pass
        return run

    def job() -> None:
        carried = request()
        with mt.continue_run(carried), mt.plan_step("more work"):
            pass

    def request() -> dict[str, str]:
        with mt.mission_run("m"):
            return mt.inject()

    kept.append(run())
    job()
    before = open_files()
    for _ in range(5):
        kept.append(run())
        job()
    assert open_files() == before
    assert entered(journal()) == ["work", "more work"] * 6


def test_a_step_is_entered_although_no_more_files_may_be_opened(journal: Journal) -> None:
    """Without a file for the lock a step is recorded all the same, under an id that nobody else takes."""
    with mt.mission_run("m"):
        mt.inject()
        with mt.plan_step("work"):
            pass
        with open_files_limit(0), mt.plan_step("work") as step:
            pass
    assert step.id.startswith("work-")
    assert entered(journal()) == ["work", step.id]


def test_a_step_is_entered_in_a_run_that_was_put_away(journal: Journal, directory: Directory) -> None:
    """The first step of a job brings its run back when it was put away since the last job of it."""
    with mt.mission_run("m") as run:
        key, carried = run.key, mt.inject()
        with mt.plan_step("work"):
            pass
    del run
    with mt.continue_run(carried):
        mt.log_event("an earlier job")
    directory.put_away(key)
    with mt.continue_run(carried), mt.plan_step("work") as step:
        pass
    assert step.id == "work-2"
    assert directory.keys() == [key]
    assert entered(journal()) == ["work", "work-2"]


def test_a_plan_of_another_process_is_known(journal: Journal) -> None:
    """What another process has declared is not declared again by one that has looked at the journal since."""
    with mt.mission_run("m") as run:
        code = "import mission_tracer as mt\nwith mt.tool_call('t'): mt.current_run().plan('a', 'b')"
        environment = {**os.environ, "MISSION_TRACER_PARENT": mt.inject()["mission-run"]}
        subprocess.run([sys.executable, "-c", code], env=environment, check=True)
        with mt.plan_step("a"):
            run.plan("a", "b", "c")
    plans = [[step.step_id for step in fact.steps] for fact in journal() if isinstance(fact, facts.PlanDeclared)]
    assert plans == [["a", "b"], ["c"]]
