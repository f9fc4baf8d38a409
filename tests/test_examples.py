"""Every example does what it says: offline, against a real server, and when the server is away for a while."""

from __future__ import annotations

import ast
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests import processes

telnyx = pytest.importorskip("telnyx")
pytest.importorskip("starlette")

EXAMPLES = sorted((processes.ROOT / "examples").glob("*.py"))
AUDIT = processes.ROOT / "examples" / "audit_environment.py"
KEY = {"TELNYX_API_KEY": "x"}
TOOLS = ["list_packages", "find_unmet_requirements", "find_doubles", "find_missing_licences"]


def run_example(script: Path, env: dict[str, str], cwd: Path) -> Any:
    done = processes.run([sys.executable, str(script)], env, cwd=cwd)
    missing = re.search(r"ModuleNotFoundError: No module named '([^']+)'", done.stderr)
    if missing and not missing[1].startswith("mission_tracer"):
        pytest.skip(f"needs {missing[1]}")
    return done


def read_back(base_url: str) -> list[dict[str, Any]]:
    """Read every run with its steps and events through the official SDK."""
    with telnyx.Telnyx(api_key="x", base_url=base_url) as client:
        missions = client.ai.missions
        found = []
        for mission in missions.list():
            for run in missions.runs.list(mission.mission_id):
                where = {"mission_id": mission.mission_id}
                found.append(
                    {
                        "mission": mission,
                        "run": run,
                        "steps": missions.runs.plan.retrieve(run.run_id, **where).data,
                        "events": list(missions.runs.events.list(run.run_id, **where)),
                    }
                )
        return found


def check_audit(found: list[dict[str, Any]]) -> None:
    """Hold what the server has of one audit against what the audit did."""
    assert [item["mission"].name for item in found] == ["Audit a Python environment"]
    [item] = found
    run, steps, events = item["run"], item["steps"], item["events"]
    assert run.status == "succeeded"
    assert run.input == {"environment": sys.prefix}
    assert run.result_payload["verdict"] in {"healthy", "needs work"}
    assert run.result_payload["verdict"] in run.result_summary
    assert [(step.step_id, step.status) for step in steps] == [
        ("inventory", "completed"),
        ("check", "completed"),
        ("report", "completed"),
    ]
    assert all(step.started_at and step.completed_at and step.started_at <= step.completed_at for step in steps)
    said = [(event.type, event.step_id) for event in events]
    assert [pair for pair in said if pair[0].startswith("step_")] == [
        (kind, step) for step in ("inventory", "check", "report") for kind in ("step_started", "step_completed")
    ]
    calls = [(e.type, e.payload["tool"]) for e in events if e.type in {"tool_call", "tool_result"}]
    assert calls == [(kind, tool) for tool in TOOLS for kind in ("tool_call", "tool_result")]
    assert {event.step_id for event in events} == {"inventory", "check", "report"}
    marks = [event.payload["mission_tracer"]["seq"] for event in events]
    assert marks == sorted(set(marks))
    keys = [event.idempotency_key for event in events]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_works_offline(script: Path, tmp_path: Path) -> None:
    """Without a key an example ends well, its runs are in the journals, and one line says how to send them."""
    done = run_example(script, processes.environment(tmp_path / "state"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "state" / "runs").glob("*.jsonl"))
    [line] = [line for line in done.stderr.splitlines() if line.startswith("mission_tracer:")]
    assert "TELNYX_API_KEY" in line
    assert "mission-tracer sync" in line


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_works_against_a_server(script: Path, tmp_path: Path) -> None:
    """With a key an example's runs are on the server, ended, when it ends."""
    with processes.served() as base_url:
        done = run_example(script, processes.environment(tmp_path / "state", TELNYX_BASE_URL=base_url, **KEY), tmp_path)
        found = read_back(base_url)
    assert done.returncode == 0, done.stderr
    assert found
    assert {item["run"].status for item in found} <= {"succeeded", "failed", "cancelled"}
    left = [path for path in (tmp_path / "state" / "runs").glob("*.jsonl") if not path.name.endswith(".sent.jsonl")]
    assert left == [], "everything is delivered"


def test_the_audit_is_read_back_by_the_official_sdk(tmp_path: Path) -> None:
    """The audit is one mission, one succeeded run, three timed steps, and every event once, in order, at its step."""
    with processes.served() as base_url:
        done = processes.run(
            [sys.executable, str(AUDIT)], processes.environment(tmp_path, TELNYX_BASE_URL=base_url, **KEY)
        )
        check_audit(read_back(base_url))
    assert done.returncode == 0
    assert done.stderr == ""
    assert json.loads(done.stdout)["packages"] > 0


def test_an_audit_with_the_server_down_is_delivered_by_sync_once(tmp_path: Path) -> None:
    """With the server down the audit ends in time; `sync` then delivers it once; a second one sends nothing."""
    port = processes.free_port()
    env = processes.environment(tmp_path / "state", TELNYX_BASE_URL=f"http://127.0.0.1:{port}/v2", **KEY)
    started = time.monotonic()
    done = processes.run([sys.executable, str(AUDIT)], env)
    assert done.returncode == 0
    assert json.loads(done.stdout)["packages"] > 0
    assert "mission-tracer sync" in done.stderr
    assert time.monotonic() - started < 20  # flush_stall is 2 s, the rest is the audit itself

    failed = processes.run([*processes.CLI, "sync", "--stall", "1"], env)
    assert failed.returncode == 1
    assert "Connection refused" in failed.stderr

    with processes.served("--db", str(tmp_path / "api.db"), port=port) as base_url:
        first = processes.run([*processes.CLI, "sync"], env)
        check_audit(read_back(base_url))
        again = processes.run([*processes.CLI, "sync"], env)
        check_audit(read_back(base_url))
    assert (first.returncode, again.returncode) == (0, 0)
    assert re.search(r"^(\d+) of \1 facts settled, 0 runs left$", first.stdout, re.MULTILINE)
    assert again.stdout == "nothing waits: everything is delivered\n"


def test_an_audit_recorded_without_a_key_is_delivered_by_sync(tmp_path: Path) -> None:
    """What was recorded without a key is delivered to where the key belongs, once there is one."""
    assert processes.run([sys.executable, str(AUDIT)], processes.environment(tmp_path)).returncode == 0
    with processes.served() as base_url:
        env = processes.environment(tmp_path, TELNYX_BASE_URL=base_url, **KEY)
        assert processes.run([*processes.CLI, "sync"], env).returncode == 0
        check_audit(read_back(base_url))


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda script: script.stem)
def test_an_example_says_what_to_install(script: Path) -> None:
    """Each example's docstring begins with how to install what it uses, and how to run it."""
    text = ast.get_docstring(ast.parse(script.read_text())) or ""
    installed, run = re.findall(r"^    (.+)$", text, re.MULTILINE)[:2]
    assert run == f"python examples/{script.name}"
    [extra] = re.findall(r"^pip install '?mission-tracer(?:\[([\w-]+)\]')?", installed)
    assert not extra or f"\n{extra} = [" in (processes.ROOT / "pyproject.toml").read_text()


def test_the_queue_of_an_example_goes_with_it(tmp_path: Path) -> None:
    """The directory that is the example's queue is gone when the example has ended."""
    pytest.importorskip("celery")
    env = processes.environment(tmp_path / "state", TMPDIR=str(tmp_path))
    assert run_example(processes.ROOT / "examples" / "celery_tasks.py", env, tmp_path).returncode == 0
    assert not list(tmp_path.glob("mission-celery-*"))
