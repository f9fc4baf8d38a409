"""Enter steps of a run that several processes of this machine share: no id is given out twice.

Ids are allocated under a lock file, after a look at what the others have written to the journal since the last time.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from mission_tracer import facts
from mission_tracer._base.locks import LockFile
from mission_tracer._disk.journal import read_lines
from mission_tracer._disk.stream import Stream
from mission_tracer._handles.step_table import Repeat, StepTable

_PATIENCE = 0.05  # seconds; a holder that was stopped must not stop us


class SharedSteps:
    """Keep a step table in line with the journal.

    Args:
        stream: This process's share of the run; its journal is on the disk.
        table: What this process knows of the steps so far.
    """

    def __init__(self, stream: Stream, table: StepTable) -> None:
        path = stream.journal.path
        assert path is not None
        self._stream = stream
        self._table = table
        self._lock = LockFile(path.with_suffix(".lock"))
        self._position = 0

    def enter(self, name: str, repeat: Repeat | None, record: Callable[[str, int], object]) -> tuple[str, int]:
        """Choose the step an entry means and have it recorded before anyone else chooses."""
        try:
            if not self._is_in_line():
                # Better an odd id than a wait in the user's function, or a step that is not recorded.
                name = f"{name}-{self._stream.writer}"
            step_id, attempt = self._table.enter(name, repeat)
            record(step_id, attempt)
        finally:
            self._lock.release()
        return step_id, attempt

    def _is_in_line(self) -> bool:
        """Take the lock, and take in what the others wrote; say whether nobody else chooses now."""
        try:
            held = self._acquire()
            self._catch_up()
        except OSError:
            return False
        return held

    def _acquire(self) -> bool:
        deadline = time.monotonic() + _PATIENCE
        while not self._lock.try_acquire():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.0005)
        return True

    def _catch_up(self) -> None:
        file = self._stream.journal.open()  # the entry goes there anyhow
        while lines := read_lines(file.fd, self._position):
            self._position = lines[-1].end
            for line in lines:
                if not facts.is_event(line.content):
                    self._take_in(facts.read(line.content))

    def _take_in(self, fact: facts.Fact | None) -> None:
        if isinstance(fact, facts.PlanDeclared):
            for step in fact.steps:
                self._table.plan(step.step_id)
        elif isinstance(fact, facts.StepEntered):
            self._table.entered(fact.step_id, fact.name or fact.step_id, fact.attempt)
        elif isinstance(fact, facts.StepLeft):
            self._table.left(fact.step_id, fact.status)
