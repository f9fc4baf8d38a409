"""A program that recorded ends as it would without us, and says what is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import processes

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


WORK = """
import time
import mission_tracer as mt

@mt.plan_step
def work():
    mt.log_event("at it")
    print("ready", flush=True)
    for _ in range(6000):  # Python begins a long sleep although a signal came in the moment before it
        time.sleep(0.01)

@mt.mission_run("Wash windows")
def main():
    work()

main()
"""
NOWHERE = {"TELNYX_API_KEY": "x", "TELNYX_BASE_URL": "http://127.0.0.1:9/v2"}


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.py"
    path.write_text(WORK)
    return path


@pytest.mark.parametrize("more", [{}, NOWHERE], ids=["offline", "server down"])
@pytest.mark.parametrize("begin", [[], ["-m", "mission_tracer", "run"]], ids=["plain", "run"])
def test_ctrl_c_ends_a_program_by_sigint(begin: list[str], more: dict[str, str], script: Path, tmp_path: Path) -> None:
    """After Ctrl-C a program dies of SIGINT, whatever its last flush had to import and to say; and soon."""
    env = processes.environment(tmp_path / "state", **more)
    with subprocess.Popen(
        [sys.executable, *begin, str(script)], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in said
    # `flush_stall` for the program and for the runner, and a slow machine; `flush_timeout` is 30.
    assert time.monotonic() - began < 20


def test_a_caught_interrupt_is_no_end(tmp_path: Path) -> None:
    """A program that catches Ctrl-C, records that and goes on, ends with its own status."""
    code = (
        "import mission_tracer as mt, os, signal\n"
        "with mt.mission_run('Wash windows'):\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "    except KeyboardInterrupt:\n"
        "        mt.log_event('not now')\n"
    )
    done = processes.run([sys.executable, "-c", code], processes.environment(tmp_path / "state"))
    assert done.returncode == 0


def test_a_second_ctrl_c_ends_the_last_flush(tmp_path: Path) -> None:
    """Ctrl-C while the last flush waits for a server that does not answer ends the program at once."""
    code = "import mission_tracer as mt\nwith mt.mission_run('Wash windows'):\n    pass\nprint('ready', flush=True)\n"
    env = processes.environment(tmp_path / "state", MISSION_TRACER_FLUSH_STALL="25", **NOWHERE)
    with subprocess.Popen(
        [sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        # Every second: the first may come before the flush has begun.
        began = time.monotonic()
        while process.poll() is None and time.monotonic() - began < 20:
            process.send_signal(signal.SIGINT)
            time.sleep(1)
        _, said = process.communicate(timeout=30)
    assert time.monotonic() - began < 15
    assert "not everything is delivered yet" in said
