"""`demo`: a real run, read back from the API while it happens."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from mission_tracer.cli._reading.picture import RunPicture
from mission_tracer.cli.demo import watch_script
from tests import processes

pytest.importorskip("packaging")


def test_without_a_terminal_it_tells_in_lines(tmp_path: Path) -> None:
    """Without a terminal the demo tells each step and event in a line, and says where to go next."""
    done = processes.run([*processes.CLI, "demo"], processes.environment(tmp_path / "state"))
    assert (done.returncode, done.stderr) == (0, "")
    for wanted in ("step_started: Started inventory", "tool_call: list_packages()", "step_completed: Completed report"):
        assert wanted in done.stdout
    assert "[succeeded]" in done.stdout
    assert "mission-tracer serve" in done.stdout
    assert not (tmp_path / "state").exists(), "the demo leaves the user's directory alone"


def test_at_a_terminal_it_draws_a_tree(tmp_path: Path) -> None:
    """At a terminal the demo draws the run as a tree."""
    env = processes.environment(tmp_path, TERM="xterm", COLUMNS="100", LINES="50")
    drawn = processes.at_a_terminal([*processes.CLI, "demo"], env)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn.decode())
    assert "├── ✓ inventory" in text
    assert "✓ Audit a Python environment  succeeded" in text


def test_the_run_is_seen_while_it_happens(tmp_path: Path) -> None:
    """What is shown comes from the API, grows while the script runs, and ends with its end."""
    script = tmp_path / "agent.py"
    script.write_text(
        "import mission_tracer as mt\n"
        "with mt.mission_run('Wash windows') as run:\n"
        "    for name in 'abc':\n"
        "        with mt.plan_step(name):\n"
        "            assert mt.flush(10)\n"
    )
    seen: list[RunPicture] = []
    with processes.served() as base_url:
        assert watch_script(script, base_url, tmp_path / "state", seen.append) == (0, "")
    assert {run.source for run in seen} == {"api"}
    assert [step.status for step in seen[-1].steps] == ["completed"] * 3
    assert seen[-1].status == "succeeded"


def test_an_agent_that_fails_is_a_failure(tmp_path: Path) -> None:
    """A script that fails gives its status and what it said."""
    script = tmp_path / "agent.py"
    script.write_text("import sys; sys.exit('no soap')")
    with processes.served() as base_url:
        assert watch_script(script, base_url, tmp_path / "state", print) == (1, "no soap")


def test_what_it_suggests_can_be_typed(tmp_path: Path) -> None:
    """The commands it suggests are called as they are found from the shell that called it: by name, or by path."""
    env = processes.environment(tmp_path / "state")
    here = Path(sys.executable).parent
    for path, wanted in ((f"{here}:/usr/bin:/bin", "mission-tracer"), ("/usr/bin:/bin", f"{here}/mission-tracer")):
        done = processes.run([*processes.CLI, "demo"], {**env, "PATH": path}, cwd=tmp_path)
        [line] = [line for line in done.stdout.splitlines() if line.endswith(" doctor")]
        assert line.strip() == f"{wanted} doctor"
        asked = processes.run(["sh", "-c", f"{wanted} --version"], {**env, "PATH": path})
        assert (asked.returncode, asked.stderr) == (0, "")


def test_without_packaging_it_says_what_to_install(tmp_path: Path) -> None:
    """Without the extra the demo says in one line what to install."""
    code = (
        "import sys; sys.modules['packaging'] = None; from mission_tracer.cli.app import main; sys.exit(main(['demo']))"
    )
    done = processes.run([sys.executable, "-c", code], processes.environment(tmp_path))
    assert (done.returncode, done.stderr) == (2, "error: this needs packaging: pip install 'mission-tracer[demo]'\n")
