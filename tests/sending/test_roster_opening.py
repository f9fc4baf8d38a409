"""Opening a lane: whose run it is, who delivers it already, and what hinders it."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from typing import Any

import pytest

from mission_tracer import facts
from mission_tracer._base.locks import try_lock
from mission_tracer._base.notices import Notices
from mission_tracer._disk.delivery_log import DeliveryLog
from mission_tracer._disk.directory import Directory
from mission_tracer._disk.journal import AppendFile, Disk, Journal, MemoryFacts, iterate_lines
from mission_tracer._disk.stream import Stream
from mission_tracer._planning import records
from mission_tracer._sending.lane import Lane
from mission_tracer._sending.roster_ledger import Own
from mission_tracer._sending.roster_opening import Elsewhere, Nothing, Opening, Refused
from tests.disks import file_size_limit

AT = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
NOW = 1e9
KEY = "01key"
HERE, THERE = "http://here/v2", "http://there/v2"


class Opener:
    """Open lanes, and close them all in the end."""

    def __init__(self, directory: Directory | None) -> None:
        self.directory = directory
        self.said: list[str] = []
        self.lanes: list[Lane] = []

    def open(self, own: Own | None = None, *, anywhere: bool = False) -> Any:
        opening = Opening(
            directory=self.directory,
            base_url=HERE,
            notices=Notices("debug", write=self.said.append),
            settle=1.0,
            timeout=1.0,
            power=False,
            anywhere=anywhere,
            clock=lambda: NOW,
            monotonic=lambda: 0.0,
        )
        found = opening.open(KEY, own)
        if isinstance(found, Lane):
            self.lanes.append(found)
        return found


@pytest.fixture
def opener(directory: Directory) -> Iterator[Opener]:
    opener = Opener(directory)
    yield opener
    for lane in opener.lanes:
        lane.close()


def write(
    directory: Directory, *found: Any, base_url: str | None = HERE, sends: bool = False, at: dt.datetime = AT
) -> None:
    file = AppendFile(directory.journal(KEY), create=True)
    head = facts.RunOpened(id="w.1", at=at, key=KEY, mission=facts.MissionSpec("m"), base_url=base_url, sends=sends)
    for fact in (head, *found):
        file.append(facts.encode(fact))
    file.close()


def note(directory: Directory, *noted: Any) -> None:
    log = DeliveryLog(directory.log(KEY))
    assert log.try_open()
    for record in noted:
        log.note(record)
    log.close(clean=True)


def stream(directory: Directory | None, *, disk: Disk | None = None) -> Stream:
    path = directory.journal(KEY) if directory is not None else None
    return Stream(KEY, Journal(path, MemoryFacts(10), disk=disk), writer=lambda: "w")


def kinds(directory: Directory) -> list[str]:
    found = [facts.read(line.content) for line in iterate_lines(directory.journal(KEY))]
    return [type(fact).__name__ for fact in found]


def test_a_dead_ones_run_is_closed_and_opened(directory: Directory, opener: Opener) -> None:
    """The run of a process that is gone is closed, and its lane has everything to deliver."""
    write(directory)
    lane = opener.open()
    assert isinstance(lane, Lane)
    assert kinds(directory) == ["RunOpened", "RunClosed"]
    assert not lane.is_drained()


def test_a_living_ones_run_is_only_opened(directory: Directory, opener: Opener) -> None:
    """A run that a living process writes is delivered beside it, and not closed."""
    write(directory)
    writer = AppendFile(directory.journal(KEY), create=False)
    assert try_lock(writer.fd, shared=True)
    assert isinstance(opener.open(), Lane)
    assert kinds(directory) == ["RunOpened"]
    writer.close()


def test_a_living_one_that_delivers_has_a_head_start(directory: Directory, opener: Opener) -> None:
    """A young run is left to its living process, if that delivers: not for ever, and no longer than it lives."""
    now = dt.datetime.fromtimestamp(NOW, tz=dt.timezone.utc)
    write(directory, sends=True, at=now - dt.timedelta(seconds=29))
    writer = AppendFile(directory.journal(KEY), create=False)
    assert try_lock(writer.fd, shared=True)
    assert opener.open() == Nothing()
    writer.close()
    assert isinstance(opener.open(), Lane)


@pytest.mark.parametrize("seconds", [-3600, 31])
def test_a_head_start_ends(seconds: float, directory: Directory, opener: Opener) -> None:
    """A run that a living process did not take up in time is delivered, also when a clock was put back meanwhile."""
    write(directory, sends=True, at=dt.datetime.fromtimestamp(NOW - seconds, tz=dt.timezone.utc))
    writer = AppendFile(directory.journal(KEY), create=False)
    assert try_lock(writer.fd, shared=True)
    assert isinstance(opener.open(), Lane)
    writer.close()


def test_ones_own_run_is_not_closed(directory: Directory, opener: Opener) -> None:
    """A run of this process stays open while it is not written for a while."""
    mine = stream(directory)
    mine.journal.append(facts.encode(facts.RunOpened(id="w.1", at=AT, key=KEY, mission=facts.MissionSpec("m"))))
    mine.journal.close()
    assert isinstance(opener.open(Own(["w"], mine)), Lane)
    assert kinds(directory) == ["RunOpened"]


def test_one_lane_at_a_time(directory: Directory, opener: Opener) -> None:
    """A run whose log is held is delivered by whoever holds it."""
    write(directory)
    lane = opener.open()
    assert opener.open() == Elsewhere()
    lane.close()
    assert isinstance(opener.open(), Lane)


def test_a_stillborn_run_is_no_run(directory: Directory, opener: Opener) -> None:
    """What a process left that died before its first fact is deleted, and there is nothing to deliver."""
    directory.journal(KEY).touch()
    assert opener.open() == Nothing()
    assert list(directory.runs.iterdir()) == []


def test_a_run_without_a_fact_yet(directory: Directory, opener: Opener) -> None:
    """Of a journal that a living process has just made nothing can be said yet."""
    writer = AppendFile(directory.journal(KEY), create=True)
    assert try_lock(writer.fd, shared=True)
    assert opener.open() == Nothing(yet=True)
    writer.close()


@pytest.mark.parametrize("anywhere", [False, True])
@pytest.mark.parametrize("bound", [False, True])
def test_another_addresss_run(bound: bool, anywhere: bool, directory: Directory, opener: Opener) -> None:
    """A run recorded for another address is left alone; one that never reached it goes anywhere, when asked for."""
    write(directory, base_url=THERE)
    note(directory, *([records.RunBound("r")] if bound else []))
    found = opener.open(anywhere=anywhere)
    if anywhere and not bound:
        assert isinstance(found, Lane)
    else:
        assert found == Refused(f"it began at {THERE}")


def test_an_offline_run_goes_anywhere(directory: Directory, opener: Opener) -> None:
    """A run that was recorded without a key is delivered to whatever address there is now."""
    write(directory, base_url=None)
    assert isinstance(opener.open(), Lane)


def test_a_parked_run_waits_to_be_asked_for(directory: Directory, opener: Opener) -> None:
    """A parked run is left alone, until somebody asks for it: then it is tried again, and that is noted."""
    write(directory)
    note(directory, records.Parked("no such run"))
    assert opener.open() == Refused("no such run")
    assert opener.open(Own(["w"], None)) == Refused("no such run")
    lane = opener.open(anywhere=True)
    assert isinstance(lane, Lane)
    assert lane.state.parked is None
    lane.close()
    assert isinstance(opener.open(), Lane)


def test_what_is_not_there(directory: Directory, opener: Opener) -> None:
    """A run without a journal cannot be opened, and no log is made for it."""
    with pytest.raises(FileNotFoundError):
        opener.open()
    assert list(directory.runs.iterdir()) == []


def test_a_run_put_away_in_the_same_moment(
    directory: Directory, opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is put away between the look and the opening of its log is not there, and gets no second log."""
    write(directory)
    note(directory, records.Acknowledged(0, directory.journal(KEY).stat().st_size))
    real = os.open

    def put_away_first(path: Any, *given: Any, **more: Any) -> int:
        if str(path) == str(directory.log(KEY)) and directory.journal(KEY).exists():
            with monkeypatch.context() as patch:
                patch.setattr(os, "open", real)
                directory.put_away(KEY)
        return real(path, *given, **more)

    monkeypatch.setattr(os, "open", put_away_first)
    with pytest.raises(FileNotFoundError):
        opener.open()
    assert list(directory.runs.iterdir()) == []
    assert (directory.delivered / f"{KEY}.sent.jsonl").stat().st_size > 0


def test_a_deleted_run_is_read_by_who_has_it_open(directory: Directory, opener: Opener) -> None:
    """A run whose files were deleted is delivered by the process that has its journal open, without any new file."""
    mine = stream(directory)
    mine.journal.append(facts.encode(facts.RunOpened(id="w.1", at=AT, key=KEY, mission=facts.MissionSpec("m"))))
    directory.journal(KEY).unlink()
    mine.journal.close()
    lane = opener.open(Own(["w"], mine))
    assert isinstance(lane, Lane)
    assert not lane.is_drained()
    assert not lane.is_resumable()
    assert list(directory.runs.iterdir()) == []


def test_a_run_in_memory_has_no_file(directory: Directory, opener: Opener) -> None:
    """A run of which the disk took nothing is delivered from memory; until that is over it stays there."""
    mine = stream(directory, disk=Disk.nowhere())
    mine.journal.append(facts.encode(facts.RunOpened(id="w.1", at=AT, key=KEY, mission=facts.MissionSpec("m"))))
    lane = opener.open(Own(["w"], mine))
    assert isinstance(lane, Lane)
    assert not lane.is_on_disk
    assert list(directory.runs.iterdir()) == []
    assert mine.journal.memory.spill(lambda _: None) is False


def test_without_a_directory_everything_is_memory() -> None:
    """With nothing on the disk at all a lane lives in memory."""
    opener = Opener(None)
    lane = opener.open(Own(["w"], stream(None)))
    assert isinstance(lane, Lane)
    assert lane.is_drained()
    lane.close()


def test_trouble_with_the_log_is_said(directory: Directory, opener: Opener) -> None:
    """A log that the disk does not take is said to be a danger, once, and delivery goes on."""
    write(directory)
    lane = opener.open()
    with file_size_limit(0):
        lane.courier.note(records.RunBound("r"))
        lane.courier.note(records.MissionFound("m"))
    assert lane.state.run_id == "r"
    [said] = opener.said
    assert "the delivery log cannot be written" in said
