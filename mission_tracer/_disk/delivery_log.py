"""Keep a run's delivery log: what was intended, acknowledged and refused; whoever holds its lock delivers the run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from mission_tracer import facts
from mission_tracer._disk.journal import Reader, iterate_lines
from mission_tracer._disk.journal_file import AppendFile
from mission_tracer._planning import records
from mission_tracer._planning.lane_state import LaneState


class DeliveryLog:
    """Append records to the log and fold them into the lane's state.

    What the disk does not take is kept, and follows as soon as it does: as few records as say the same.

    Args:
        path: The log's file; `None`: memory only.
        power: True: every record is on the disk's platter before `note` returns.
        on_trouble: Told why the file does not take a record; delivery goes on, and a crash may repeat what it does not
            know of.
    """

    def __init__(
        self, path: Path | None, *, power: bool = False, on_trouble: Callable[[OSError], None] = lambda _: None
    ) -> None:
        self.state = LaneState()
        self.predecessor_at: float | None = None
        self._path = path
        self._power = power
        self._on_trouble = on_trouble
        self._file: AppendFile | None = None
        self._size = 0  # what was read
        self._own = 0  # and what was written since
        self._unwritten: list[records.Record] = []
        self._unwritten_from: int | None = None  # the file's cursor, when acknowledgements are missing in it

    def try_open(self) -> bool:
        """Take the log if nobody delivers this run, and read it; say whether it is ours.

        `predecessor_at` is then when an earlier sender, that may have left something under way, noted its last record,
        in seconds since the epoch; `None` when there was none.

        Raises:
            OSError: It cannot be opened, or its file system has no locks.
        """
        if self._path is None:
            return True
        file = AppendFile(self._path, create=True, power=self._power, on_unsynced=self._on_trouble)
        try:
            # Between opening and locking it may have been put away: then this is not the log any more.
            held = file.try_lock() and file.is_in_place()
            if held:
                self._read(file)
        except BaseException:
            file.close()
            raise
        if held:
            self._file = file
        else:
            file.close()
        return held

    def _read(self, file: AppendFile) -> None:
        assert self._path is not None
        stat = os.fstat(file.fd)
        for line in iterate_lines(self._path):
            _apply(line.content, self.state)
        self._size = stat.st_size
        self.predecessor_at = None if self.state.is_at_rest else stat.st_mtime

    @property
    def has_file(self) -> bool:
        """Say whether the log is a file, which others see."""
        return self._file is not None

    @property
    def is_behind(self) -> bool:
        """Say whether the file lacks something that was noted."""
        return bool(self._unwritten) or self._unwritten_from is not None

    @property
    def seems_at_rest(self) -> bool:
        """Say whether whoever delivers next would think that nothing is under way."""
        return self.state.is_at_rest and self._file is not None

    def is_resumable(self) -> bool:
        """Say whether whoever delivers next finds in the file all that is known here."""
        try:
            return self._file is not None and not self.is_behind and self._file.is_in_place()
        except OSError:
            return False

    def is_in_place(self) -> bool:
        """Say whether the log still has its name: it may have been put away when it was just being opened."""
        return self._file is None or self._file.is_in_place()

    def note(self, record: records.Record) -> None:
        """Write a record down and take it in. Facts held in memory are nobody else's: nothing is written of them."""
        file = self._file
        if file is not None and getattr(record, "position", 0) < facts.MEMORY:
            keeps_up = not self.is_behind or self._write_rest(file)
            if not (keeps_up and self._write(file, records.encode(record))):
                self._postpone(record)
        self.state.apply(record)

    def _write(self, file: AppendFile, line: bytes) -> bool:
        try:
            file.append(line)
        except OSError as error:
            self._on_trouble(error)
            return False
        self._own += len(line) + 1
        return True

    def _postpone(self, record: records.Record) -> None:
        state = self.state
        if not isinstance(record, records.Acknowledged) or record.position in state.retries:
            self._unwritten.append(record)
        elif self._unwritten_from is None:
            self._unwritten_from = state.cursor

    def _write_rest(self, file: AppendFile) -> bool:
        """Write what the file lacks; say whether it lacks nothing now."""
        # A refusal moves the cursor too: the acknowledgements before it must stand before it.
        late = (records.Rejected, records.Acknowledged)
        if not self._write_missing(file, [record for record in self._unwritten if not isinstance(record, late)]):
            return False
        if self._unwritten_from is not None:
            track = self.state.file
            spans = [(self._unwritten_from, track.cursor), *track.done.items()]
            acknowledged = [records.Acknowledged(start, end) for start, end in spans if start < end]
            if not all(self._write(file, records.encode(record)) for record in acknowledged):
                return False
            self._unwritten_from = None
        return self._write_missing(file, list(self._unwritten))

    def _write_missing(self, file: AppendFile, missing: list[records.Record]) -> bool:
        for record in missing:
            if not self._write(file, records.encode(record)):
                return False
            self._unwritten.remove(record)
        return True

    def has_grown(self) -> bool:
        """Say whether others appended something that was not read yet.

        Raises:
            OSError: The log cannot be read.
        """
        return self._file is not None and self._file.size() != self._size + self._own

    def catch_up(self) -> None:
        """Take in what the owner of refused facts decided: others may append that without the lock.

        Raises:
            OSError: The log cannot be read.
        """
        file = self._file
        if file is None or self._path is None:
            return
        if self.is_behind:
            self._write_rest(file)
        if not self.has_grown():
            return
        reader = Reader(self._path)
        try:
            while lines := reader.read(self._size):
                self._size, self._own = lines[-1].end, 0
                for line in lines:
                    _apply(line.content, self.state, only=(records.Retried, records.Dropped))
        finally:
            reader.close()

    def close(self, *, clean: bool = False) -> None:
        """Give the log up; another process may deliver what is left.

        Args:
            clean: True: nothing that was asked for is under way.
        """
        file, self._file = self._file, None
        if file is not None:
            if self.is_behind:
                self._write_rest(file)
            if clean and not (self.state.is_at_rest or self.is_behind):
                self._write(file, records.encode(records.Released()))
            file.close()

    def abandon(self) -> None:
        """Close the log as it is, in a forked child: its parent goes on with it."""
        file, self._file = self._file, None
        if file is not None:
            file.close()


def read_log(path: Path, state: LaneState) -> list[int]:
    """Fold a log into a state; return where its damaged lines begin.

    Raises:
        OSError: It cannot be read.
    """
    return [line.position for line in iterate_lines(path) if not _apply(line.content, state)]


def _apply(line: bytes, state: LaneState, *, only: tuple[type, ...] = ()) -> bool:
    """Fold one line into a state; say whether it could be read."""
    if not line:
        return True
    try:
        record = records.decode(line)
    except msgspec.MsgspecError:
        return False  # torn by a crash; the next record says what counts
    if not only or isinstance(record, only):
        state.apply(record)
    return True


class LogFollower:
    """Follow how far another process has delivered a run. No file stays open between two looks: there may be many."""

    def __init__(self, path: Path) -> None:
        """Name the log; it need not exist yet."""
        self._reader = Reader(path)
        self._position = 0
        self._state = LaneState()

    def cursor(self) -> int:
        """Return the position before which everything is delivered, as far as was read; a bounded part each time.

        Raises:
            OSError: The log cannot be read.
        """
        try:
            for _ in range(8):
                lines = self._reader.read(self._position)
                if not lines:
                    break
                for line in lines:
                    _apply(line.content, self._state)
                self._position = lines[-1].end
        finally:
            self._reader.close()
        return self._state.cursor

    @property
    def retries(self) -> set[int]:
        """Which refused facts are to be sent again, as far as was read."""
        return self._state.retries

    @property
    def parked(self) -> str | None:
        """Why the run cannot be delivered, as far as was read; `None` when nothing hinders it."""
        return self._state.parked
