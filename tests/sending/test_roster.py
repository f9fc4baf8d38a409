"""Which runs there are to deliver, and who delivers them."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mission_tracer as mt
from mission_tracer import facts, recorder
from mission_tracer._base.locks import LockFile
from mission_tracer._base.notices import Notices
from mission_tracer._disk.directory import Directory
from mission_tracer._disk.journal import Disk, Journal, MemoryFacts
from mission_tracer._disk.stream import Stream
from mission_tracer._sending.roster import Roster
from tests.disks import file_size_limit
from tests.lanes import BASE_URL, SETTLE, TIMEOUT, World
from tests.processes import environment

AT = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)


class Deliverer:
    """Deliver what a roster gives, to a world's server, as the sender does, on one thread."""

    def __init__(self, world: World, directory: Directory | None, *, most_lanes: int = 4, adopt: bool = True) -> None:
        self.world = world
        self.said: list[str] = []
        self.most = 0
        self.roster = Roster(
            directory,
            base_url=BASE_URL,
            notices=Notices("debug", write=self.said.append),
            settle=SETTLE,
            timeout=TIMEOUT,
            retention=1e9,
            most_bytes=1 << 30,
            adopt=adopt,
            most_lanes=most_lanes,
            clock=lambda: world.now,
            monotonic=lambda: world.now,
        )

    def turn(self, times: int = 1, *, everything: bool = True) -> None:
        """Look for work, and do what there is."""
        for _ in range(times):
            self.world.pass_time(1.0)
            for lane in self.roster.renew(everything=everything):
                lane.look_again()
                while (item := lane.take(self.world.now)) is not None:
                    assert lane.run(item, self.world.exchange) is None
                    lane.give_back(item)
                self.most = max(self.most, len(self.roster.lanes()))
                if lane.is_over() or (self.roster.is_crowded and lane.is_drained()):
                    self.roster.release(lane)

    def books(self) -> tuple[int, int, int]:
        stats = self.roster.stats({})
        assert stats.recorded == stats.delivered + stats.pending + stats.rejected + sum(stats.dropped.values())
        return stats.recorded, stats.delivered, stats.pending

    def close(self) -> None:
        self.roster.close()


class Program:
    """Record a run, as a recorder of this process does."""

    def __init__(self, deliverer: Deliverer, directory: Directory | None, **journal: Any) -> None:
        self.key = facts.new_key()
        path = directory.journal(self.key) if directory is not None else None
        self.stream = Stream(self.key, Journal(path, MemoryFacts(100), **journal))
        self.deliverer = deliverer
        self.put(facts.RunOpened, key=self.key, mission=facts.MissionSpec("Many"), base_url=BASE_URL)

    def put(self, kind: Any, **fields: Any) -> None:
        fact_id, _, at = self.stream.stamp()
        self.append(kind(id=fact_id, at=at, **fields))

    def append(self, fact: Any) -> None:
        self.stream.journal.append(facts.encode(fact))
        if not self.stream.dirty:
            self.stream.dirty = True
            if not self.stream.attached:
                self.deliverer.roster.attach(self.stream)
            self.deliverer.roster.fresh.append(self.stream)

    def event(self, summary: str) -> None:
        fact_id, number, at = self.stream.stamp()
        mark = {"mission_tracer": {"id": fact_id, "seq": number, "at": at}}
        body = facts.EventBody("custom", summary, payload=mark, idempotency_key=f"{self.key}.{fact_id}")
        self.append(facts.EventWritten(id=fact_id, at=at, body=body))

    def close(self) -> None:
        self.put(facts.RunClosed, status="succeeded")
        self.stream.journal.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    pytest.importorskip("starlette")
    world = World(tmp_path / "world")
    yield world
    world.finish()


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    directory = Directory(tmp_path / "many")
    directory.prepare()
    return directory


@pytest.fixture
def deliverer(world: World, directory: Directory) -> Iterator[Deliverer]:
    deliverer = Deliverer(world, directory)
    yield deliverer
    deliverer.close()


def statuses(world: World) -> list[str]:
    return [run["status"] for run in world.rows("runs")]


def test_many_runs_have_few_lanes(world: World, directory: Directory, deliverer: Deliverer) -> None:
    """However many runs wait, few have a lane at a time; all are delivered and put away, and nothing of them stays."""
    for _ in range(30):
        Program(deliverer, directory).close()
    assert deliverer.books() == (60, 0, 60)
    deliverer.turn(20)
    assert statuses(world) == ["succeeded"] * 30
    assert deliverer.most <= 4
    assert deliverer.books() == (60, 60, 0)
    assert deliverer.roster.keys() == deliverer.roster.lanes() == []
    assert directory.keys() == []
    assert len(directory.delivered_keys()) == 30
    roster = deliverer.roster
    left = (roster.fresh, roster._waiting, roster._heavy, roster._kept, roster._elsewhere)
    assert not any(left)


def test_open_runs_take_turns(world: World, directory: Directory, deliverer: Deliverer) -> None:
    """Runs that go on for long share the lanes: each lane begins where the one before stopped, and nothing is twice."""
    programs = [Program(deliverer, directory) for _ in range(10)]
    for number in range(3):
        for program in programs:
            program.event(f"event {number}")
        deliverer.turn(10)
        assert statuses(world) == ["running"] * 10
        assert deliverer.books()[2] == 0
    for program in programs:
        program.close()
    deliverer.turn(10)
    assert statuses(world) == ["succeeded"] * 10
    assert len(world.rows("events")) == 30
    assert deliverer.most <= 4
    assert deliverer.books() == (50, 50, 0)


def test_runs_in_memory_keep_their_lanes(world: World) -> None:
    """A run of which nothing is on the disk keeps its lane, however many there are: nobody else could go on with it."""
    deliverer = Deliverer(world, None)
    programs = [Program(deliverer, None) for _ in range(10)]
    for number in range(2):
        for program in programs:
            program.event(f"event {number}")
        deliverer.turn(4)
    for program in programs:
        program.close()
    deliverer.turn(4)
    assert statuses(world) == ["succeeded"] * 10
    assert len(world.rows("events")) == 20
    assert deliverer.books() == (40, 40, 0)
    assert deliverer.roster.lanes() == []
    deliverer.close()


def test_a_log_that_is_behind_keeps_its_lane(world: World, directory: Directory, deliverer: Deliverer) -> None:
    """While the disk does not take the logs their lanes stay, however many wait, so that nothing is sent twice."""
    programs = [Program(deliverer, directory) for _ in range(10)]
    for program in programs:
        program.event("event")
    with file_size_limit(0):
        deliverer.turn(12)
        assert statuses(world) == ["running"] * 10
        assert len(deliverer.roster.lanes()) == 10
    deliverer.turn(2)
    assert not any(lane.is_behind for lane in deliverer.roster.lanes())
    for program in programs:
        program.close()
    deliverer.turn(6)
    assert statuses(world) == ["succeeded"] * 10
    assert len(world.rows("events")) == 10
    assert deliverer.roster.lanes() == []


def test_a_run_that_ends_on_a_full_disk_leaves_nothing(
    world: World, directory: Directory, deliverer: Deliverer
) -> None:
    """A run that is delivered while its log cannot be written is deleted: a later start would send it again."""
    Program(deliverer, directory).close()
    with file_size_limit(0):
        deliverer.turn(2)
        assert statuses(world) == ["succeeded"]
        assert directory.keys() == directory.delivered_keys() == []
    assert deliverer.books() == (2, 2, 0)


def test_what_another_process_delivers_counts(world: World, directory: Directory, deliverer: Deliverer) -> None:
    """A run of ours that another process has delivered and put away is closed in our books with what became of it."""
    program = Program(deliverer, directory)
    program.close()
    log = LockFile(directory.log(program.key))
    assert log.try_acquire()
    deliverer.turn(1)
    assert deliverer.roster.is_elsewhere(program.key)
    assert deliverer.books() == (2, 0, 2)
    log.release()
    other = Deliverer(world, directory)
    other.turn(2)
    assert directory.delivered_keys() == [program.key]
    deliverer.turn(1)
    assert deliverer.books() == (2, 2, 0)
    assert deliverer.roster.keys() == []
    assert other.books() == (0, 0, 0)
    other.close()


def test_taking_part_in_a_run_that_is_delivered_here(world: World, directory: Directory, deliverer: Deliverer) -> None:
    """Who begins to take part in a run whose lane is open here has his facts delivered, be it from memory."""
    other = Deliverer(world, directory, adopt=False)
    theirs = Program(other, directory)
    deliverer.turn(1)
    assert deliverer.roster.lane(theirs.key) is not None
    bad = Disk(monotonic=lambda: 0.0)
    bad.fails(OSError())
    stream = Stream(theirs.key, Journal(directory.journal(theirs.key), MemoryFacts(10), create=False, disk=bad))
    mine = Program.__new__(Program)
    mine.key, mine.stream, mine.deliverer = theirs.key, stream, deliverer
    mine.event("from memory")
    assert len(stream.journal.memory) == 1
    deliverer.turn(1)
    assert [event["summary"] for event in world.rows("events")] == ["from memory"]
    assert deliverer.books() == (1, 1, 0)
    stream.journal.close()
    theirs.close()
    deliverer.turn(2)
    assert statuses(world) == ["succeeded"]
    assert deliverer.books() == (1, 1, 0)
    other.close()


def test_the_next_one_takes_over(world: World, directory: Directory, deliverer: Deliverer) -> None:
    """Who takes over goes on with the runs where the one before stopped, and with his books."""
    programs = [Program(deliverer, directory) for _ in range(6)]
    deliverer.turn(4)
    for program in programs[:3]:
        program.close()
    after = Deliverer(world, directory)
    after.roster.take_over(deliverer.roster)
    for program in programs:
        program.deliverer = after
    for program in programs[3:]:
        program.close()
    after.turn(6)
    assert statuses(world) == ["succeeded"] * 6
    assert after.books() == (12, 12, 0)
    assert deliverer.books() == (0, 0, 0)
    after.close()


def test_a_forked_child_leaves_everything_to_its_parent(
    world: World, directory: Directory, deliverer: Deliverer
) -> None:
    """A child forgets what its parent delivers, without taking its locks along."""
    program = Program(deliverer, directory)
    deliverer.turn(1)
    lock = LockFile(directory.log(program.key))
    assert not lock.try_acquire()
    deliverer.roster.forked()
    assert deliverer.roster.keys() == deliverer.roster.lanes() == []
    assert lock.try_acquire()  # nobody else's description of it is left open
    lock.release()


def test_a_dead_ones_run_is_closed_here(world: World, directory: Directory, deliverer: Deliverer) -> None:
    """The run of a process that is killed while we deliver it is closed by us, and that arrives."""
    code = (
        "import sys, mission_tracer as mt\n"
        "with mt.mission_run('Dies'):\n    print('on', flush=True)\n    sys.stdin.read()"
    )
    env = environment(directory.root, MISSION_TRACER_LOG_LEVEL="off")
    with subprocess.Popen([sys.executable, "-c", code], env=env, stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        deliverer.turn(2)
        assert statuses(world) == ["running"]
        deliverer.turn(40)
        assert statuses(world) == ["running"]
        process.kill()
    deliverer.turn(40)
    [run] = world.rows("runs")
    assert run["status"] == "failed"
    assert "process ended without closing the run" in run["error"]
    assert directory.keys() == []


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
