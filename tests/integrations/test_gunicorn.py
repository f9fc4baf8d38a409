"""gunicorn with --preload: what the parent began and what its workers record arrives, each once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

pytest.importorskip("gunicorn")
pytest.importorskip("starlette")

from mission_tracer.client import MissionsClient
from tests.processes import CLI, environment, free_port, run, served

APP = """
import os

import mission_tracer as mt

with mt.mission_run("Preload"):
    mt.log_event("the parent")


def app(environ, start_response):
    with mt.mission_run("Request"):
        mt.log_event(environ["PATH_INFO"])
    start_response("200 OK", [("content-type", "text/plain")])
    return [str(os.getpid()).encode()]
"""


def test_preloaded_workers_deliver_everything_and_end_in_time(tmp_path: Path) -> None:
    """Four workers forked from a parent that has recorded share its directory; they end soon, and nothing is lost."""
    (tmp_path / "app.py").write_text(APP)
    with served() as base_url:
        env = environment(tmp_path / "state", TELNYX_API_KEY="KEY1", TELNYX_BASE_URL=base_url, HOME=str(tmp_path))
        where = f"127.0.0.1:{free_port()}"
        words = [sys.executable, "-m", "gunicorn", "--preload", "--workers", "4", "--bind", where, "app:app"]
        with subprocess.Popen(words, env=env, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as master:
            try:
                assert master.stderr is not None
                workers = 0
                while workers < 4:
                    workers += "Booting worker" in master.stderr.readline()
                with httpx.Client(trust_env=False) as client:
                    pids = {client.get(f"http://{where}/{number}", timeout=30).text for number in range(60)}
                asked = time.monotonic()
            finally:
                master.send_signal(signal.SIGTERM)
                _, said = master.communicate(timeout=60)
        assert time.monotonic() - asked < 20, said
        assert "Traceback" not in said
        assert len(pids) > 1
        assert run([*CLI, "sync", "--timeout", "40"], env, timeout=80).returncode == 0
        with MissionsClient("KEY1", base_url) as client:
            found = Counter(event.summary for event in client.missions.list_events())
            statuses = Counter(each.status for each in client.missions.runs.list_runs())
    assert found == {"the parent": 1, **{f"/{number}": 1 for number in range(60)}}
    assert statuses == {"succeeded": 61}
