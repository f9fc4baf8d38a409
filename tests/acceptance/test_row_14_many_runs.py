"""Many finished runs: no file, no thread and no state of theirs stays behind in the process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import mission_tracer as mt
from mission_tracer import recorder

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to see open files")


def open_files(below: Path) -> list[str]:
    """List this process's open files below a directory, moved and deleted ones too."""
    names = []
    for fd in Path("/proc/self/fd").iterdir():
        try:
            names.append(str(fd.readlink()))
        except FileNotFoundError:  # the one that lists them
            continue
    return [name for name in names if name.startswith(f"{below}/")]


def test_row_14_delivered_runs_leave_no_file_open(api: Any) -> None:
    """When runs are delivered and put away, none of their files is open any more, and nothing is known of them."""
    for number in range(150):
        with mt.mission_run("Many"), mt.plan_step("step"):
            mt.log_event(f"event {number}")
    assert mt.shutdown(60)
    recording = recorder.default()
    assert open_files(recording.settings.dir) == []
    assert recording.roster.keys() == []
    assert mt.stats().delivered == mt.stats().recorded == 150 * 5
