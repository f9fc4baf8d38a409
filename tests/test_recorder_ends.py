"""What is said when a process ends with something left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = "import mission_tracer as mt\nwith mt.mission_run('m'):\n    mt.log_event('x')"


def said(**environ: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env={**os.environ, **environ}
    )
    return done.stderr.splitlines()


def test_offline_it_is_said_how_to_see_and_send_the_run(tmp_path: Path) -> None:
    """Without a key, one line says so, names the run and the commands."""
    [line] = said()
    [journal] = (tmp_path / "state" / "runs").glob("*.jsonl")
    assert "offline, since TELNYX_API_KEY is not set: 1 run(s) recorded" in line
    assert f"`mission-tracer show {journal.stem}`" in line
    assert "mission-tracer sync" in line


@pytest.mark.parametrize("durability", ["memory", "process"])
def test_what_is_not_kept_is_not_said_to_be(durability: str, tmp_path: Path) -> None:
    """In memory, by choice or because the directory cannot be used, nothing can be shown or sent later."""
    file = tmp_path / "a file"
    file.touch()
    lines = said(MISSION_TRACER_DIR=str(file), MISSION_TRACER_DURABILITY=durability)
    assert "recorded in memory, nothing sent, nothing kept" in lines[-1]
    assert not any("mission-tracer show" in line for line in lines)
    assert any("journal cannot be written" in line for line in lines) is (durability == "process")


def test_a_server_that_is_down_is_said_once() -> None:
    """With a key and no server, what is on the disk is kept, and what is in memory is said to be lost."""
    down = {"TELNYX_API_KEY": "K", "TELNYX_BASE_URL": "http://127.0.0.1:9/v2", "MISSION_TRACER_FLUSH_STALL": "0.1"}
    assert "it is kept, and sent by the next start" in said(**down)[-1]
    assert "what was held in memory is lost" in said(**down, MISSION_TRACER_DURABILITY="memory")[-1]
