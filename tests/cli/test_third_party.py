"""A program from PyPI that knows nothing of us, tracked and read back by the official SDK."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests import processes

telnyx = pytest.importorskip("telnyx")
pytest.importorskip("markdown_it")

STEPS = ("markdown_it.cli.parse:convert_file=Convert one file", "markdown_it.main:MarkdownIt.render")
TOOL = "markdown_it.parser_block:ParserBlock.parse"


def test_a_program_of_others_is_tracked_unchanged(tmp_path: Path) -> None:
    """markdown-it's own command, with two of its functions as steps and one as a tool, is a run at the API."""
    (tmp_path / "page.md").write_text("# Windows\n\nClean *all* of them.\n")
    program = ["-m", "markdown_it.cli.parse", "page.md"]
    plain = processes.run([sys.executable, *program], processes.environment(tmp_path / "state"), cwd=tmp_path)
    with processes.served() as base_url:
        env = processes.environment(tmp_path / "state", TELNYX_API_KEY="x", TELNYX_BASE_URL=base_url)
        options = [*(f"--step={name}" for name in STEPS), "--tool", TOOL, "--mission", "Render pages"]
        ours = processes.run([*processes.CLI, "run", *options, *program], env, cwd=tmp_path)
        with telnyx.Telnyx(api_key="x", base_url=base_url) as client:
            missions = client.ai.missions
            [mission] = missions.list()
            [run] = missions.runs.list(mission.mission_id)
            steps = missions.runs.plan.retrieve(run.run_id, mission_id=mission.mission_id).data
            events = list(missions.runs.events.list(run.run_id, mission_id=mission.mission_id))
    assert "<em>all</em>" in plain.stdout
    assert (ours.returncode, ours.stdout, ours.stderr) == (0, plain.stdout, "")
    assert (mission.name, run.status) == ("Render pages", "succeeded")
    assert run.input["command"][1:] == program
    assert [(step.step_id, step.description, step.status, step.parent_step_id) for step in steps] == [
        ("convert_file", "Convert one file", "completed", None),
        ("render", steps[1].description, "completed", "convert_file"),
    ]
    assert [(event.type, event.step_id) for event in events] == [
        ("step_started", "convert_file"),
        ("step_started", "render"),
        ("tool_call", "render"),
        ("tool_result", "render"),
        ("step_completed", "render"),
        ("step_completed", "convert_file"),
    ]
