"""Which runs there are to deliver, and who delivers them."""

from __future__ import annotations

from pathlib import Path

import mission_tracer as mt
from mission_tracer import recorder
from mission_tracer._directory import Directory
from mission_tracer._locks import LockFile


def test_what_another_process_delivers_is_not_left_behind(tmp_path: Path) -> None:
    """A run that nobody writes any more is left behind while nobody delivers it, and not while somebody does."""
    mt.configure(sender="off")
    with mt.mission_run("Wash windows") as run:
        pass
    roster = recorder.default().roster
    for stream in roster.streams():
        stream.journal.close()
    assert roster.left_behind()
    other = LockFile(Directory(tmp_path / "state").log(run.key))
    assert other.try_acquire()
    assert not roster.left_behind()
    other.release()
    assert roster.left_behind()
