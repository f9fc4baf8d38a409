"""Once in effect: whoever dies, and whoever else does the same in the same moment, nothing is created twice."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import faulty
from tests.processes import CLI, ROOT, environment, run, served
from tests.whole import KEY, OPERATIONS, WHOLE, read_back

pytest.importorskip("starlette")

from mission_tracer.client import MissionsClient

PATIENT = {"TELNYX_API_KEY": KEY, "MISSION_TRACER_SETTLE": "0.5", "MISSION_TRACER_MAX_BACKOFF": "0.2"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with served("--behaviour", "status_event=write") as base_url:
        yield base_url


@pytest.mark.parametrize("moment", ["kill_before", "kill_after"])
@pytest.mark.parametrize("what", [what for what in OPERATIONS if what != "list the missions"])
def test_a_sender_that_dies_in_a_request_repeats_nothing(what: str, moment: str, server: str, tmp_path: Path) -> None:
    """A process killed while a request of any kind is under way has its effect once, when the next one goes on."""
    name = f"{what} {moment} {uuid.uuid4()}"
    with faulty(server) as proxy:
        env = environment(tmp_path / "state", TELNYX_BASE_URL=proxy.base_url, **PATIENT)
        code = f"import sys; sys.stdin.readline(); from tests.whole import main; main({name!r})"
        with subprocess.Popen(
            [sys.executable, "-c", code], env=env, cwd=ROOT, stdin=-1, stdout=-1, text=True
        ) as process:
            proxy.change(script=[{"kind": moment, "match": OPERATIONS[what], "pid": process.pid}])
            said, _ = process.communicate("go\n", timeout=60)
        assert process.returncode == -9
        done = run([*CLI, "sync", "--timeout", "40"], env, timeout=80)
        assert done.returncode == 0, done.stderr
        if "recorded" in said:
            assert read_back(server, name) == WHOLE
        else:
            # It died before it had recorded everything: what it had is there, and its run is closed.
            assert read_back(server, name)["run"][0] == "failed"
        again = len(proxy.seen())
        assert run([*CLI, "sync"], env).returncode == 0
        assert len(proxy.seen()) == again


@pytest.mark.parametrize("machines", [1, 2])
def test_processes_that_begin_the_same_mission_at_once(machines: int, server: str, tmp_path: Path) -> None:
    """On one machine there is one mission; two machines may leave a second, empty one; all runs are in the oldest."""
    name = f"race {uuid.uuid4()}"
    code = f"import sys, mission_tracer as mt; sys.stdin.readline()\nwith mt.mission_run({name!r}): mt.log_event('x')"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env=environment(tmp_path / str(number % machines), TELNYX_BASE_URL=server, **PATIENT),
            stdin=-1,
            text=True,
        )
        for number in range(6)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in started:
        process.communicate(timeout=60)
    assert [process.returncode for process in started] == [0] * 6
    with MissionsClient(api_key=KEY, base_url=server) as client:
        missions = [mission for mission in client.missions.list() if mission.name == name]
        runs = {m.mission_id: list(client.missions.runs.list(m.mission_id)) for m in missions}
    oldest = min(missions, key=lambda mission: (mission.created_at, mission.mission_id))
    assert len(missions) <= machines
    assert Counter(run.status for run in runs[oldest.mission_id]) == {"succeeded": 6}
    assert sum(map(len, runs.values())) == 6
