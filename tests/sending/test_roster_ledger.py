"""The books of a process: every fact it recorded is somewhere, at every moment, whoever delivers it."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from typing import Any

import pytest

from mission_tracer import facts
from mission_tracer._disk.delivery_log import DeliveryLog
from mission_tracer._disk.directory import Directory
from mission_tracer._disk.journal import Disk, Journal, JournalFullError, MemoryFacts
from mission_tracer._disk.stream import Stream
from mission_tracer._planning import records
from mission_tracer._sending.roster_ledger import Ledger

AT = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
KEY = "01key"


class Lane:
    """What the ledger asks an open lane."""

    key = KEY

    def __init__(self, **settled: tuple[int, int]) -> None:
        self._settled = settled

    def settled(self, writers: list[str]) -> tuple[int, int]:
        found = [self._settled.get(writer, (0, 0)) for writer in writers]
        return sum(each[0] for each in found), sum(each[1] for each in found)


class Process:
    """One process's part in a run, and its books."""

    def __init__(self, directory: Directory | None) -> None:
        self.directory = directory
        self.lane: Any = None
        self.ledger = Ledger(directory, lambda key: self.lane if key == KEY else None)

    def share(self, writer: str, *, key: str = KEY, disk: Disk | None = None, room: int = 10) -> Stream:
        path = self.directory.journal(key) if self.directory is not None else None
        stream = Stream(key, Journal(path, MemoryFacts(room), disk=disk), writer=lambda: writer)
        self.ledger.enter(stream)
        return stream

    def books(self, dropped: int = 0) -> tuple[int, int, int, int, int]:
        """Return the columns of the books; fails when they do not balance."""
        stats = self.ledger.stats({"no room": dropped} if dropped else {})
        lost = sum(stats.dropped.values())
        assert stats.recorded == stats.delivered + stats.pending + stats.rejected + lost
        return stats.recorded, stats.delivered, stats.pending, stats.rejected, lost


def record(stream: Stream, count: int) -> None:
    for _ in range(count):
        fact_id, _, at = stream.stamp()
        try:
            stream.journal.append(facts.encode(facts.RunPaused(id=fact_id, at=at)))
        except JournalFullError:
            stream.drop()


@pytest.fixture
def process(directory: Directory) -> Process:
    return Process(directory)


def note(directory: Directory, *noted: Any) -> None:
    log = DeliveryLog(directory.log(KEY))
    assert log.try_open()
    for each in noted:
        log.note(each)
    log.close()


def ends(directory: Directory) -> list[int]:
    content = directory.journal(KEY).read_bytes()
    return [n + 1 for n, byte in enumerate(content) if byte == 10]


def test_what_is_recorded_is_pending(process: Process) -> None:
    """What was recorded and is delivered by nobody is pending."""
    stream = process.share("mine")
    record(stream, 3)
    assert process.books() == (3, 0, 3, 0, 0)
    record(stream, 2)
    assert process.books() == (5, 0, 5, 0, 0)
    assert process.ledger.estimate_pending() == 5


def test_a_lane_says_how_far_it_is(process: Process) -> None:
    """Of a run whose lane is open the lane says what became of this process's facts, and of no other's."""
    record(process.share("mine"), 5)
    process.lane = Lane(mine=(2, 1), other=(7, 7))
    assert process.books() == (5, 2, 2, 1, 0)
    assert process.ledger.estimate_pending() == 2
    process.ledger.settle(process.lane)
    process.lane = None
    own = process.ledger[KEY]
    assert own is not None
    assert (own.delivered, own.rejected, own.left) == (2, 1, 2)


def test_who_takes_part_again_counts_on(process: Process) -> None:
    """A process that takes part in a run for a second time, under another name, counts what it recorded both times."""
    first = process.share("first")
    record(first, 3)
    first.journal.close()
    process.ledger.leave(KEY)
    second = process.share("second")
    record(second, 2)
    assert process.books() == (5, 0, 5, 0, 0)
    process.lane = Lane(first=(3, 0), second=(0, 1))
    assert process.books() == (5, 3, 1, 1, 0)


def test_the_files_say_what_others_did(process: Process, directory: Directory) -> None:
    """Of a run that another process delivers its files say what became of our facts, wherever they are."""
    stream = process.share("mine")
    record(stream, 2)
    record(Stream(KEY, stream.journal, writer=lambda: "other"), 2)
    record(stream, 2)
    at = [0, *ends(directory)]
    note(
        directory,
        records.Acknowledged(at[0], at[1]),
        records.Rejected(at[1], at[2], "mine.2", "no"),
        records.Acknowledged(at[2], at[3]),
        records.Acknowledged(at[4], at[5]),
    )
    assert process.books() == (4, 2, 1, 1, 0)
    stream.journal.close()
    directory.put_away(KEY)
    assert process.books() == (4, 2, 1, 1, 0)


def test_what_nobody_took_is_dropped_once(directory: Directory) -> None:
    """A fact that neither disk nor memory took is dropped; it is not pending too, nor vanished when all is gone."""
    process = Process(directory)
    stream = process.share("mine", disk=Disk.nowhere(), room=2)
    record(stream, 5)
    assert process.books(dropped=3) == (5, 0, 2, 0, 3)
    assert process.ledger.estimate_pending() == 2
    assert process.ledger.count_unsafe() == 2


def test_a_run_in_memory_counts(tmp_path: Path) -> None:
    """Without any directory what is held in memory is pending, and dies with the process."""
    process = Process(None)
    record(process.share("mine", room=2), 5)
    assert process.books(dropped=3) == (5, 0, 2, 0, 3)
    assert process.ledger.count_unsafe() == 2


@pytest.mark.parametrize("is_open", [True, False])
def test_a_deleted_journal(is_open: bool, process: Process, directory: Directory) -> None:
    """What a deleted journal held is pending while somebody here has it open, and lost when nobody has."""
    stream = process.share("mine")
    record(stream, 3)
    if not is_open:
        stream.journal.close()
    shutil.rmtree(directory.root)
    if is_open:
        assert process.books() == (3, 0, 3, 0, 0)
        assert process.ledger.count_unsafe() == 3
        stream.journal.close()  # it is kept open, having no name
        assert process.books() == (3, 0, 3, 0, 0)
        assert not process.ledger.lighten(process.ledger.items()[0][1])
        stream.journal.forget()
    assert process.books() == (3, 0, 0, 0, 3)
    assert process.ledger.write_off(KEY) == 3
    assert process.ledger.write_off(KEY) == 0
    assert process.books() == (3, 0, 0, 0, 3)
    assert KEY not in process.ledger


def test_a_directory_that_cannot_be_read(process: Process, directory: Directory, tmp_path: Path) -> None:
    """What cannot be seen is not said to be gone: it is pending."""
    stream = process.share("mine")
    record(stream, 3)
    stream.journal.close()
    directory.root.rename(tmp_path / "aside")
    directory.root.write_text("a file in its place")
    assert process.books() == (3, 0, 3, 0, 0)


def test_closed_accounts_stay_in_the_sums(process: Process) -> None:
    """Of a run that was put away the sums stay, and nothing else; its share may begin again."""
    stream = process.share("mine")
    record(stream, 3)
    process.lane = Lane(mine=(2, 1))
    process.ledger.settle(process.lane)
    process.lane = None
    process.ledger.close(KEY)
    assert process.ledger.keys() == []
    assert process.books() == (3, 2, 0, 1, 0)
    assert not stream.attached
    process.ledger.close(KEY)
    assert process.books() == (3, 2, 0, 1, 0)


def test_what_is_written_is_not_forgotten(process: Process) -> None:
    """A share is forgotten only when nobody here writes any more; its facts count all the same."""
    stream = process.share("mine")
    record(stream, 3)
    own = process.ledger[KEY]
    assert own is not None
    assert own.is_written
    assert not process.ledger.lighten(own)
    stream.journal.close()
    stream.dirty = True
    process.ledger.leave(KEY)
    assert own.stream is None
    assert not stream.attached
    assert process.books() == (3, 0, 3, 0, 0)
    process.ledger.leave("absent")


def test_books_are_taken_over(process: Process, directory: Directory) -> None:
    """The next one goes on with the runs and the sums, and tries again what could not be delivered."""
    record(process.share("mine"), 3)
    record(process.share("mine", key="02"), 1)
    process.lane = Lane(mine=(3, 0))
    process.ledger.settle(process.lane)
    process.lane = None
    process.ledger.close(KEY)
    own = process.ledger["02"]
    assert own is not None
    own.parked = "no such run"
    after = Process(directory)
    record(after.share("mine", key="03"), 2)
    taken = after.ledger.take_over(process.ledger)
    assert [key for key, _ in taken] == ["02"]
    assert own.parked is None
    assert after.books() == (6, 3, 3, 0, 0)
    assert process.books() == (0, 0, 0, 0, 0)


def test_a_forked_child_has_no_books(process: Process) -> None:
    """A child begins with empty books: what its parent recorded is its parent's."""
    stream = process.share("mine")
    record(stream, 3)
    process.ledger.clear()
    stream.rebegin()
    process.ledger.enter(stream)
    record(stream, 1)
    assert process.books() == (1, 0, 1, 0, 0)
