"""Journals: what was taken is read again, whole and in order, whatever the disk does and whoever dies."""

from __future__ import annotations

import errno
import itertools
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mission_tracer._base import locks
from mission_tracer._disk.journal import (
    MEMORY,
    AppendFile,
    Disk,
    Journal,
    JournalFullError,
    MemoryFacts,
    Reader,
    UnsyncedError,
    iterate_lines,
)
from tests.disks import file_size_limit, open_files
from tests.journals import contents


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


@given(lengths=st.lists(st.sampled_from([0, 1, 100, 131_000, 131_072, 600_000]), max_size=5), data=st.data())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_reading_goes_on_from_any_line(lengths: list[int], data: st.DataObject) -> None:
    """Reading from where a line ends yields the lines after it, however long they are, and then none."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "j"
        file = AppendFile(path, create=True)
        for length in lengths:
            file.append(b"x" * length)
        file.close()
        lines = list(iterate_lines(path))
        assert [len(line.content) for line in lines] == lengths
        begin = data.draw(st.sampled_from([0, *(line.end for line in lines)]))
        reader = Reader(path)
        position, found = begin, []
        while some := reader.read(position):
            found += some
            position = some[-1].end
        reader.close()
        assert found == [line for line in lines if line.position >= begin]


def test_a_reader_that_is_let_go_of_is_closed(path: Path) -> None:
    """Who forgets to close what it reads with has no file open all the same."""
    path.write_bytes(b"line\n")
    before = open_files()
    assert len(Reader(path).read(0)) == 1
    assert open_files() == before


def test_a_disk_that_cannot_sync_keeps_what_it_took(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a line is written and cannot be synced, it is kept once, and that is said."""
    told: list[OSError] = []

    def refuse(fd: int) -> None:
        raise OSError(errno.EIO, "no platter")

    monkeypatch.setattr(os, "fsync", refuse)
    journal = Journal(path, MemoryFacts(10), power=True, on_trouble=told.append)
    journal.append(b"one")
    journal.append(b"two")
    journal.close()
    assert contents(path) == [b"one", b"two"]
    assert len(journal.memory) == 0
    assert {type(error) for error in told} == {UnsyncedError}


class Recording(RuleBasedStateMachine):
    """Append to a journal whose disk fills up and comes back, while a sender delivers from the file and the memory."""

    def __init__(self) -> None:
        super().__init__()
        self._scratch = tempfile.TemporaryDirectory()
        self._limits = ExitStack()
        self.path = Path(self._scratch.name) / "j"
        self.now = 0.0
        self.troubles: list[OSError] = []
        self.disk = Disk(self.troubles.append, monotonic=lambda: self.now)
        self.memory = MemoryFacts(8)
        self.journal = Journal(self.path, self.memory, disk=self.disk)
        self.number = itertools.count()
        self.kept: list[bytes] = []
        self.dropped = 0
        self.delivered: list[bytes] = []
        self.taken: list[Any] = []

    @rule(size=st.integers(0, 300))
    def record(self, size: int) -> None:
        line = b"%d %s" % (next(self.number), b"x" * size)
        try:
            self.journal.append(line)
        except JournalFullError:
            self.dropped += 1
        else:
            self.kept.append(line)

    @rule(room=st.integers(0, 700))
    def fill(self, room: int) -> None:
        self._limits.close()
        size = self.path.stat().st_size if self.path.exists() else 0
        self._limits.enter_context(file_size_limit(size + room))

    @rule()
    def make_room(self) -> None:
        self._limits.close()

    @rule(seconds=st.sampled_from([0.1, 2.0, 120.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def stop_writing(self) -> None:
        self.journal.close()

    @rule(most=st.integers(1, 3))
    def take(self, most: int) -> None:
        position = self.taken[-1].end if self.taken else self.memory.first
        self.taken += self.memory.take(position, most=most)

    @precondition(lambda self: self.taken)
    @rule()
    def deliver(self) -> None:
        line = self.taken.pop(0)
        self.delivered.append(line.content)
        self.memory.forget(line.end)

    @rule()
    def give_back(self) -> None:
        self.memory.give_back()
        self.taken = []

    @invariant()
    def everything_is_in_one_place(self) -> None:
        """Each fact that was kept is in the file, in memory, or was delivered from memory: once, in order."""
        file = contents(self.path) if self.path.exists() else []
        held = [line.content for line in self.memory.read(0)]
        assert sorted([*file, *held, *self.delivered]) == sorted(self.kept)
        assert file == [line for line in self.kept if line in set(file)]
        assert [*self.delivered, *held] == [line for line in self.kept if line in {*self.delivered, *held}]
        assert len(held) <= 8

    @invariant()
    def troubles_are_told(self) -> None:
        """Whatever is not on the disk was told why."""
        assert self.troubles or len(self.memory) == 0

    def teardown(self) -> None:
        """Once the disk is back, and the sender has nothing in its hands, recording goes back to the disk."""
        try:
            self._limits.close()
            self.memory.give_back()
            self.now += 1000.0
            if self.memory.first == MEMORY or self.journal.has_begun:
                line = b"last"
                self.journal.append(line)
                self.kept.append(line)
                assert self.journal.is_on_disk
                assert len(self.memory) == 0
            self.everything_is_in_one_place()
        finally:
            self.journal.close()
            self._scratch.cleanup()


Recording.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestRecording = Recording.TestCase


# ---- the journal ----


def test_a_slow_disk_is_left_alone_for_a_while(path: Path) -> None:
    """When two appends take long, the next facts go to memory; after a pause the disk is tried again, in order."""
    now, step = 0.0, 0.0

    def clock() -> float:
        nonlocal now
        now += step
        return now

    told: list[OSError] = []
    journal = Journal(path, MemoryFacts(10), disk=Disk(told.append, monotonic=clock))
    journal.append(b"quick")
    step = 0.6
    journal.append(b"slow")
    assert told == []
    journal.append(b"slow again")
    step = 0.0
    journal.append(b"aside")
    assert contents(path) == [b"quick", b"slow", b"slow again"]
    assert [type(error) for error in told] == [TimeoutError]
    now += 2.0
    journal.append(b"back")
    assert contents(path) == [b"quick", b"slow", b"slow again", b"aside", b"back"]
    journal.close()


def test_a_patient_journal_waits_for_a_slow_disk(path: Path) -> None:
    """Who wants each fact on the disk has it there, however long that takes, and is told of no trouble."""
    now = itertools.count(step=5.0)
    told: list[OSError] = []
    journal = Journal(path, MemoryFacts(0), patient=True, disk=Disk(told.append, monotonic=lambda: next(now)))
    for line in (b"slow", b"slow again", b"and again"):
        journal.append(line)
    assert (contents(path), told) == ([b"slow", b"slow again", b"and again"], [])
    journal.close()


def test_a_writer_is_seen_alive(path: Path) -> None:
    """While a journal is open nobody gets its exclusive lock; when it is closed anybody does."""
    journal = Journal(path, MemoryFacts(0))
    journal.append(b"one")
    other = os.open(path, os.O_RDWR)
    assert not locks.try_lock(other)
    journal.close()
    assert locks.try_lock(other)
    os.close(other)


def test_a_late_fact_finds_its_run(tmp_path: Path) -> None:
    """A fact for a journal that was put away brings it back and is appended to it."""
    here, away = tmp_path / "here", tmp_path / "away"

    def restore() -> bool:
        away.replace(here)
        return True

    journal = Journal(here, MemoryFacts(0), restore=restore)
    journal.append(b"one")
    journal.close()
    here.replace(away)
    journal.append(b"two")
    assert contents(here) == [b"one", b"two"]
    journal.close()


def test_a_journal_that_was_deleted_concerns_no_other(tmp_path: Path) -> None:
    """Late facts of a run whose file is gone are held in memory, which is said once; other runs' go on to the disk."""
    told: list[OSError] = []
    disk = Disk(told.append)
    gone = Journal(tmp_path / "gone", MemoryFacts(10), disk=disk)
    other = Journal(tmp_path / "other", MemoryFacts(10), disk=disk)
    for journal in (gone, other):
        journal.append(b"one")
        journal.close()
    (tmp_path / "gone").unlink()
    for line in (b"two", b"three"):
        gone.append(line)
        other.append(line)
    assert [line.content for line in gone.memory.read(0)] == [b"two", b"three"]
    assert (gone.is_on_disk, other.is_on_disk) == (False, True)
    assert contents(tmp_path / "other") == [b"one", b"two", b"three"]
    assert [type(error) for error in told] == [FileNotFoundError]
    other.close()


def test_a_run_that_began_in_memory_stays_there(tmp_path: Path) -> None:
    """A run whose first fact was delivered from memory never gets a file: nobody could make sense of that.

    Nor when the disk is known to work again, by another run.
    """
    place, disk = tmp_path / "later", Disk(monotonic=itertools.count(step=100).__next__)
    journal, other = (Journal(place / name, MemoryFacts(10), disk=disk) for name in ("j", "other"))
    journal.append(b"one")
    assert [line.content for line in journal.memory.take(MEMORY)] == [b"one"]
    journal.memory.forget(MEMORY + 1)
    place.mkdir()
    other.append(b"theirs")
    journal.append(b"two")
    journal.append(b"three")
    assert contents(place / "other") == [b"theirs"]
    assert list(place.iterdir()) == [place / "other"]
    assert [line.content for line in journal.memory.read(0)] == [b"two", b"three"]
    other.close()


def test_a_file_that_was_deleted_under_our_hands_is_kept(path: Path) -> None:
    """What a closed journal's file held can be read though its name is gone, until it is known to be delivered."""
    journal = Journal(path, MemoryFacts(0))
    journal.append(b"one")
    was_nameless = journal.is_nameless
    path.unlink()
    assert (was_nameless, journal.is_nameless) == (False, True)
    journal.close()
    assert (journal.is_open, journal.is_nameless) == (False, True)
    reader = Reader(path, lambda: journal.file)
    assert [line.content for line in reader.read(0)] == [b"one"]
    reader.close()
    journal.forget()
    assert journal.file is None
    with pytest.raises(FileNotFoundError):
        Reader(path, lambda: journal.file).read(0)


def test_without_a_path_everything_is_held() -> None:
    """A journal without a file holds its facts in memory, as many as there is room for."""
    journal = Journal(None, MemoryFacts(2))
    journal.append(b"one")
    journal.append(b"two")
    with pytest.raises(JournalFullError):
        journal.append(b"three")
    assert journal.ends() == (0, MEMORY + 2)


def test_the_ends_are_those_of_whole_lines(path: Path) -> None:
    """What is waited for ends with the last whole line, whether the journal is open or closed."""
    journal = Journal(path, MemoryFacts(0))
    journal.append(b"one")
    file = journal.file
    assert file is not None
    os.write(file.fd, b"torn")
    assert journal.ends() == (4, MEMORY)
    journal.close()
    assert journal.ends() == (4, MEMORY)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_holds_nothing_of_its_parents(path: Path) -> None:
    """A child forgets what its parent holds in memory, and appends through a file of its own."""
    journal = Journal(path, MemoryFacts(10))
    journal.append(b"parent")
    journal.memory.append(b"held by the parent")
    pid = os.fork()
    if pid == 0:
        parents = journal.file
        journal.forked()
        journal.append(b"child")
        os._exit(0 if journal.file is not parents and len(journal.memory) == 0 else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert contents(path) == [b"parent", b"child"]
    assert [line.content for line in journal.memory.read(0)] == [b"held by the parent"]
    journal.close()
