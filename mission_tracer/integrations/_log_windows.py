"""Roll log lines up: the first of a burst is an event at once, the rest of it one event per window and step.

What waits is in memory only. It is written when its window is over and another line comes, before its step, its run or
its block ends, and before a flush, of which the last is at exit; so no thread is needed. Warnings and errors do not
wait.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from mission_tracer.integrations._before_ends import before_ends
from mission_tracer.runs import Run
from mission_tracer.steps import Step

_FIRST = 80  # lines of a window that are kept from its begin
_LAST = 20  # and from its end
_URGENT = 10  # warnings and errors of one window that do not wait
_SMALLEST = 256  # bytes of a line that are always kept
_UTC = dt.timezone.utc


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line that a program logged.

    Args:
        at: When, in seconds since the epoch.
        severity: The level's number.
        level: The level's name.
        logger: The logger's name.
        message: The text.
        values: What was logged beside the text.
        error: The exception that was logged with it.
    """

    at: float
    severity: int
    level: str
    logger: str
    message: str
    values: Mapping[str, Any] = field(default_factory=dict)
    error: BaseException | None = None


class _Window:
    """Hold the lines of one step that wait: the first ones, the last ones, and the number of those between."""

    def __init__(self, run: Run, step_id: str | None, opened_at: float) -> None:
        self.run = run
        self.step_id = step_id
        self.opened_at = opened_at
        self.urgent = 0
        self._clear()

    def _clear(self) -> None:
        self._first: list[dict[str, Any]] = []
        self._last: deque[tuple[int, dict[str, Any]]] = deque()
        self._first_bytes = self._last_bytes = self._left_out = 0

    def add(self, shown: dict[str, Any]) -> None:
        """Let a line wait."""
        most = self.run.recorder.capture.max_bytes
        size = len(msgspec.json.encode(shown))
        if not self._last and len(self._first) < _FIRST and self._first_bytes + size <= most // 2:
            self._first.append(shown)
            self._first_bytes += size
            return
        self._last.append((size, shown))
        self._last_bytes += size
        while len(self._last) > _LAST or self._last_bytes > most // 4:
            self._last_bytes -= self._last.popleft()[0]
            self._left_out += 1

    @property
    def waits(self) -> bool:
        """Whether there are lines that wait."""
        return bool(self._first or self._last)

    def take(self) -> list[_Batch]:
        """Return the lines that waited as one batch, and wait for more; none when there are none."""
        if not self.waits:
            return []
        lines = [*self._first, *(shown for _, shown in self._last)]
        batch = _Batch(self.run, self.step_id, lines, self._left_out)
        self._clear()
        return [batch]


@dataclass(frozen=True, slots=True)
class _Batch:
    """Lines that become one event."""

    run: Run
    step_id: str | None
    lines: list[dict[str, Any]]
    left_out: int = 0

    def write(self, kind: str = "custom") -> None:
        """Record the event."""
        payload: dict[str, Any] = {"records": self.lines}
        if self.left_out:
            payload["left_out"] = self.left_out
        said = str(self.lines[0]["message"]) if self.lines else ""
        count = len(self.lines) + self.left_out
        if count > 1:
            said = f"{count} log records: {said}"
        self.run.write_event(kind, self.run.recorder.capture.text(said, max_chars=500), payload, self.step_id)


class LogWindows:
    """Make events of lines.

    Args:
        seconds: How long a window is; 0: every line is an event of its own.
        monotonic: Seconds that never go back.
    """

    def __init__(self, seconds: float, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._monotonic = monotonic
        self._begin()
        before_ends.add(self)

    def _begin(self) -> None:
        # A forked child begins with nothing: what waits is its parent's to write, and so may be the lock.
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._is_held = False
        self._noted: deque[tuple[Run | None, str | None]] = deque()
        self._windows: dict[tuple[str, str | None], _Window] = {}
        self._looked_at = 0.0

    def take(self, scope: Run | Step, line: Line) -> None:
        """Record a line in a run or step, now or later."""
        run, step_id = (scope.run, scope.id) if isinstance(scope, Step) else (scope, None)
        if run.stream is None:
            return
        shown = _shown(run, line)
        if self._pid != os.getpid():
            self._begin()
        due = self._hold(lambda: self._sort_in(run, step_id, shown, urgent=line.severity >= logging.WARNING))
        if due is None:
            due = [_Batch(run, step_id, [shown])]
        is_error = line.severity >= logging.ERROR
        for batch in due:
            batch.write("error" if is_error and line.error is None and batch.lines == [shown] else "custom")
        if is_error and line.error is not None:
            run.note_error(line.error, step_id, logger=line.logger)

    def _hold(self, work: Callable[[], list[_Batch]]) -> list[_Batch] | None:
        """Do what needs the windows for itself; `None` when it comes in the middle of such work of this thread.

        The garbage collector may end a generator's step there, and a signal's handler the run.
        """
        with self._lock:
            if self._is_held:
                return None
            try:
                self._is_held = True
                due = work()
                while self._noted:
                    due += self._take_out(*self._noted.popleft())
                return due
            finally:
                self._is_held = False

    def _sort_in(self, run: Run, step_id: str | None, shown: dict[str, Any], *, urgent: bool) -> list[_Batch]:
        now = self._monotonic()
        key = (run.key, step_id)
        due = self._look(now, but=key)
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = _Window(run, step_id, now - self._seconds)
        over = now - window.opened_at >= self._seconds
        if over:
            window.opened_at, window.urgent = now, 0
        if (over and not window.waits) or (urgent and window.urgent < _URGENT):
            window.urgent += urgent
            due += window.take()
            due.append(_Batch(run, step_id, [shown]))
        else:
            window.add(shown)
            before_ends.expect_exit()
            if over:
                due += window.take()
        return due

    def _look(self, now: float, *, but: tuple[str, str | None]) -> list[_Batch]:
        """Take what waits in other windows that are over, and forget those where nothing does."""
        due: list[_Batch] = []
        if now - self._looked_at < self._seconds:
            return due
        self._looked_at = now
        for key, window in list(self._windows.items()):
            if key != but and now - window.opened_at >= self._seconds:
                if window.waits:
                    due += window.take()
                    window.opened_at = now
                else:
                    del self._windows[key]
        return due

    def settle(self, run: Run | None = None, step_id: str | None = None) -> None:
        """Write what waits: of one step, of a whole run, or of all."""
        if self._pid != os.getpid():
            self._begin()
        due = self._hold(lambda: self._take_out(run, step_id))
        if due is None:
            self._noted.append((run, step_id))  # whoever is at it does this too
            return
        for batch in due:
            batch.write()

    def _take_out(self, run: Run | None, step_id: str | None) -> list[_Batch]:
        due: list[_Batch] = []
        for key, window in list(self._windows.items()):
            if (run is None or key[0] == run.key) and (step_id is None or key[1] == step_id):
                due += window.take()
                del self._windows[key]
        return due

    def close(self) -> None:
        """Write what waits; a later line is taken all the same, but no end is waited for."""
        self.settle()
        before_ends.discard(self)


def _shown(run: Run, line: Line) -> dict[str, Any]:
    """Capture a line: bounded and redacted."""
    capture = run.recorder.capture
    share = max(_SMALLEST, capture.max_bytes // 8)
    shown: dict[str, Any] = {
        "at": dt.datetime.fromtimestamp(line.at, _UTC),
        "level": line.level,
        "logger": line.logger,
        "message": capture.value(line.message, max_bytes=share),
    }
    if line.values:
        shown["values"] = capture.value(dict(line.values), max_bytes=share)
    if line.error is not None:
        # From `error` on, the exception is an event of its own, unless it was one already.
        told = capture.error(line.error)
        shown["error"] = (
            told
            if line.severity >= logging.ERROR
            else capture.value(capture.exception(line.error), max_bytes=capture.max_bytes // 2)
        )
    return shown
