"""Keep a run's delivery log: what was intended, acknowledged and refused; whoever holds its lock delivers the run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from mission_tracer import _locks, _records
from mission_tracer._journal import AppendFile, Reader, iterate_lines
from mission_tracer._lane_state import LaneState


class DeliveryLog:
    """Append records to the log and fold them into the lane's state.

    Args:
        path: The log's file; `None`: memory only.
        power: True: every record is on the disk's platter before `note` returns.
        on_trouble: Told, once, why the file takes no more; delivery goes on.
    """

    def __init__(
        self, path: Path | None, *, power: bool = False, on_trouble: Callable[[OSError], None] = lambda _: None
    ) -> None:
        self.state = LaneState()
        self._path = path
        self._power = power
        self._on_trouble = on_trouble
        self._file: AppendFile | None = None

    def try_open(self) -> bool:
        """Take the log if nobody delivers this run, and read it; say whether it is ours.

        Raises:
            OSError: It cannot be opened, or its file system has no locks.
        """
        if self._path is None:
            return True
        file = AppendFile(self._path, create=True, power=self._power)
        try:
            held = _locks.try_lock(file.fd)
            if held:
                read_log(self._path, self.state)
        except BaseException:
            file.close()
            raise
        if held:
            self._file = file
        else:
            file.close()
        return held

    def note(self, record: _records.Record) -> None:
        """Write a record down and take it in."""
        if self._file is not None:
            try:
                self._file.append(_records.encode(record))
            except OSError as error:
                # Delivery goes on from memory. What a crash could repeat now is what cannot be written down.
                self._file.close()
                self._file = None
                self._on_trouble(error)
        self.state.apply(record)

    def close(self) -> None:
        """Give the log up; another process may deliver what is left."""
        file, self._file = self._file, None
        if file is not None:
            file.close()


def read_log(path: Path, state: LaneState) -> list[int]:
    """Fold a log into a state; return where its damaged lines begin.

    Raises:
        OSError: It cannot be read.
    """
    damaged = []
    for line in iterate_lines(path):
        if line.content:
            try:
                state.apply(_records.decode(line.content))
            except msgspec.MsgspecError:
                damaged.append(line.position)
    return damaged


class LogFollower:
    """Follow how far another process has delivered a run."""

    def __init__(self, path: Path) -> None:
        """Name the log; it need not exist yet."""
        self._reader = Reader(path)
        self._position = 0
        self._state = LaneState()

    def cursor(self) -> int:
        """Return the position before which everything is delivered.

        Raises:
            OSError: The log cannot be read.
        """
        while lines := self._reader.read(self._position):
            for line in lines:
                try:
                    self._state.apply(_records.decode(line.content))
                except msgspec.MsgspecError:
                    continue  # torn by a crash; the next record says what counts
            self._position = lines[-1].end
        return self._state.cursor

    def close(self) -> None:
        """Close the log."""
        self._reader.close()
