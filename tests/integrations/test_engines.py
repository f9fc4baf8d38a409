"""Engines that run functions elsewhere take part by `carry`: Dask and Ray."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import pytest

import mission_tracer as mt
from mission_tracer import facts

from .told import events

Journal = Callable[[], list[facts.Fact]]


def work(number: int) -> int:
    mt.log_event(f"worked {number}")
    return number * 2


def run_script(script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the engine's own
def test_dask_threads(journal: Journal) -> None:
    """A carried function that Dask runs on threads of this process records in its step."""
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None)
    with contextlib.closing(cluster), distributed.Client(cluster) as client, mt.mission_run("m"), mt.plan_step("s"):
        assert client.gather(client.map(mt.carry(work), range(3))) == [0, 2, 4]
        assert client.submit(mt.carry(work), 9).result() == 18
    assert sorted(events(journal())) == [("custom", f"worked {n}", "s") for n in (0, 1, 2, 9)]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_dask_processes(journal: Journal) -> None:
    """What Dask runs in another process takes part if it is carried: a function of `__main__`, plain or a step."""
    pytest.importorskip("distributed")
    run_script(
        """
        import os
        import dask, distributed
        import mission_tracer as mt

        def work(number):
            mt.log_event(f"worked {number}", payload={"pid": os.getpid()})
            return number * 2

        @mt.plan_step("analyze")
        def analyze(number):
            return work(number)

        if __name__ == "__main__":
            cluster = distributed.LocalCluster(
                n_workers=1, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
            )
            with cluster, distributed.Client(cluster) as client:
                with mt.mission_run("m"), mt.plan_step("s"):
                    assert client.submit(mt.carry(work), 1).result() == 2
                    assert client.submit(mt.carry(analyze), 2).result() == 4
                    assert dask.delayed(mt.carry(work))(3).compute() == 6
        """
    )
    assert sorted(events(journal())) == [
        ("custom", "worked 1", "s"),
        ("custom", "worked 2", "analyze"),
        ("custom", "worked 3", "s"),
    ]
    [entered] = [f for f in journal() if isinstance(f, facts.StepEntered) and f.step_id == "analyze"]
    assert entered.parent_step_id == "s"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_ray(journal: Journal) -> None:
    """Carried functions of `__main__` that Ray runs, plain or steps themselves, take part in the run; so do actors."""
    pytest.importorskip("ray")
    run_script(
        """
        import ray
        import mission_tracer as mt

        def work(number):
            mt.log_event(f"worked {number}")
            return number * 2

        @mt.plan_step("analyze")
        def analyze(number):
            return work(number)

        @ray.remote
        class Actor:
            def ask(self, carrier):
                with mt.continue_run(carrier):
                    return work(3)

        @ray.remote
        def call(function, *args):
            return function(*args)

        ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
        with mt.mission_run("m"), mt.plan_step("s"):
            assert ray.get(call.remote(mt.carry(work), 1)) == 2
            assert ray.get(call.remote(mt.carry(analyze), 2)) == 4
            assert ray.get(Actor.remote().ask.remote(mt.inject())) == 6
        ray.shutdown()
        """
    )
    told: list[Any] = sorted(events(journal()))
    assert told == [
        ("custom", "worked 1", "s"),
        ("custom", "worked 2", "analyze"),
        ("custom", "worked 3", "s"),
    ]
