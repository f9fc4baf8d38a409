"""A power cut at any moment: with `durability="power"` every fact whose recording call returned arrives, once."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mission_tracer import facts
from mission_tracer._base.notices import Notices
from mission_tracer._disk.journal import iterate_lines
from mission_tracer._planning import records
from mission_tracer._sending.roster_opening import Opening
from tests.lanes import BASE_URL, SETTLE, TIMEOUT, World
from tests.power import OBSERVE, observe, restore
from tests.processes import CLI, ROOT, environment, run, served

pytest.importorskip("starlette")
pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the platter names files by /proc")

from mission_tracer.client import MissionsClient  # noqa: E402 - after the check that the server is here

PROGRAM = """
import os, sys, threading, mission_tracer as mt
audit = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
def note(what):
    os.write(audit, (what + "\\n").encode())
def work(run, name):
    for number in range(60):
        run.log_event(f"{name} {number}")
        note(f"event {name} {number}")
number = 0
while True:
    number += 1
    with mt.mission_run("Power", plan=["one", "two"], metadata={"number": number}) as run:
        note(f"run {number}")
        other = threading.Thread(target=work, args=(run, f"{number} other"))
        other.start()
        with mt.plan_step("one"):
            note(f"step {number} one")
            work(run, f"{number} main")
        note(f"left {number} one")
        other.join()
        with mt.plan_step("three"):
            note(f"step {number} three")
        run.add_agent(f"agent-{number}")
        note(f"agent {number}")
    note(f"closed {number}")
"""


def lines_of(audit: Path) -> list[str]:
    return audit.read_text().splitlines() if audit.exists() else []


@pytest.mark.parametrize("seed", range(6))
def test_a_power_cut_loses_nothing_that_was_recorded(seed: int, tmp_path: Path) -> None:
    """The power goes at a random moment; what the platter holds is delivered by the next start, each fact once."""
    draw = random.Random(seed)
    state, platter, audit, again = (tmp_path / name for name in ("state", "platter", "audit", "again"))
    with served() as base_url:
        env = environment(
            state,
            TELNYX_API_KEY="KEY1",
            TELNYX_BASE_URL=base_url,
            MISSION_TRACER_DURABILITY="power",
            MISSION_TRACER_SETTLE="0.2",
        )
        code = OBSERVE.format(root=str(ROOT), platter=str(platter)) + PROGRAM
        most = draw.randint(0, 400)
        with subprocess.Popen([sys.executable, "-c", code, str(audit)], env=env) as program:
            deadline = time.monotonic() + 60
            while len(lines_of(audit)) < most:
                assert program.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.001)
            time.sleep(draw.random() / 50)
            program.kill()
        restore(platter, state, again, draw)
        done = run([*CLI, "sync", "--timeout", "60"], {**env, "MISSION_TRACER_DIR": str(again)}, timeout=90)
        assert done.returncode == 0, done.stderr
        check(lines_of(audit), base_url)


def check(told: list[str], base_url: str) -> None:
    """Hold what the server has against what the program was told is recorded."""
    with MissionsClient(api_key="KEY1", base_url=base_url) as client:
        missions = list(client.missions.list())
        assert len(missions) <= 1
        arrived: Counter[str] = Counter()
        for each in (r for mission in missions for r in client.missions.runs.list(mission.mission_id)):
            where = {"mission_id": each.mission_id}
            number = each.metadata["number"]
            arrived[f"run {number}"] += 1
            arrived[f"closed {number}"] += each.status == "succeeded"
            assert each.status in {"succeeded", "failed"}
            for step in client.missions.runs.plan.retrieve(each.run_id, **where):
                arrived[f"step {number} {step.step_id}"] += step.started_at is not None
                arrived[f"left {number} {step.step_id}"] += step.status == "completed"
            for event in client.missions.runs.events.list(each.run_id, **where):
                arrived[f"event {event.summary}"] += event.type == "custom"
            for _ in client.missions.runs.telnyx_agents.list(each.run_id, **where):
                arrived[f"agent {number}"] += 1
    assert not set(told) - set(arrived)
    assert max(arrived.values(), default=1) == 1


@pytest.mark.parametrize(("kept", "piece"), [(1, 40), (9, 0)])
def test_a_journal_that_lost_what_its_log_calls_delivered(kept: int, piece: int, tmp_path: Path) -> None:
    """A power cut may take a journal's end and leave its log: the run is closed all the same, and counted."""
    state = tmp_path / "state"
    with served() as base_url:
        env = environment(state, TELNYX_API_KEY="KEY1", TELNYX_BASE_URL=base_url)
        program = (
            "import os, mission_tracer as mt\n"
            "with mt.mission_run('Power'), mt.plan_step('one'):\n"
            "    for number in range(20):\n"
            "        mt.log_event(f'event {number}')\n"
            "    assert mt.flush(30)\n"
            "    os._exit(0)\n"
        )
        assert run([sys.executable, "-c", program], env).returncode == 0
        [journal] = [path for path in (state / "runs").glob("*.jsonl") if ".sent." not in path.name]
        lines = journal.read_bytes().splitlines(keepends=True)
        journal.write_bytes(b"".join(lines[:kept]) + lines[kept][:piece])
        done = run([*CLI, "sync", "--timeout", "60"], env, timeout=90)
        assert done.returncode == 0, done.stderr
        [counted] = json.loads(run([*CLI, "status", "--json"], env).stdout)["runs"]
        assert (counted["recorded"], counted["delivered"]) == (kept + 1, kept + 1)
        with MissionsClient(api_key="KEY1", base_url=base_url) as client:
            [ended] = client.missions.runs.list_runs()
            assert ended.status == "failed"
            events = client.missions.runs.events.list(ended.run_id, mission_id=ended.mission_id)
            said = [event.summary for event in events if event.type == "custom"]
            assert said == [f"event {number}" for number in range(20)]


def test_names_are_synced_before_their_files_count(tmp_path: Path) -> None:
    """When the first recording call returns, the journal's name is on the platter, and every directory above it."""
    state, platter = tmp_path / "deep" / "state", tmp_path / "platter"
    (tmp_path / "deep").mkdir()
    code = OBSERVE.format(root=str(ROOT), platter=str(platter)) + (
        "import os, mission_tracer as mt\nwith mt.mission_run('m'):\n    os._exit(0)\n"
    )
    run([sys.executable, "-c", code], environment(state, MISSION_TRACER_DURABILITY="power"))
    restore(platter, state, tmp_path / "again", random.Random(0))
    [journal] = (tmp_path / "again" / "runs").iterdir()
    [line] = iterate_lines(journal)
    assert isinstance(facts.read(line.content), facts.RunOpened)


def test_intents_are_synced_before_their_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a request leaves that must not take effect twice, its intent stands on the platter already."""
    platter = tmp_path / "platter"
    monkeypatch.setattr("os.fsync", lambda fd: None)
    monkeypatch.setattr("os.fdatasync", lambda fd: None)
    observe(platter)
    world = World(tmp_path / "state")
    world.open()
    world.write(facts.PlanDeclared, steps=[facts.PlannedStep("one", "One")])
    world.enter("two")
    world.write(facts.AgentLinked, telnyx_agent_id="agent")
    world.close()
    opening = Opening(
        directory=world.directory,
        base_url=BASE_URL,
        notices=Notices("off"),
        settle=SETTLE,
        timeout=TIMEOUT,
        power=True,
        anywhere=False,
        clock=lambda: world.now,
        monotonic=lambda: world.now,
    )
    lane: Any = opening.open(world.key, None)
    log = world.directory.log(world.key)
    intents = []

    def exchange(call: Any) -> Any:
        if call.intent and not call.keyed:
            synced = (platter / f"{log.stat().st_ino}.bytes").read_bytes().splitlines()
            assert call.intent in {getattr(records.decode(line), "intent", None) for line in synced}
            intents.append(call.intent.partition(":")[0])
        return world.exchange(call)

    while (item := lane.take(world.now)) is not None:
        assert lane.run(item, exchange) is None
        lane.give_back(item)
    lane.close()
    world.finish()
    assert {"create_mission", "create_run", "declare_steps"} <= set(intents)
