"""Looking for runs that others left: each in its turn, the oldest first, and the directory is kept tidy on the way."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mission_tracer._disk.directory import Directory
from mission_tracer._planning import records
from mission_tracer._sending.roster_strangers import Strangers

FACT = b'{"fact":"run_paused","id":"w.1","at":"2026-01-01T00:00:00Z"}\n'


class Clock:
    """Two clocks that a test turns: the wall's may jump, the other one never does."""

    def __init__(self) -> None:
        self.wall = time.time()  # files have the system's times
        self.steady = 0.0

    def pass_time(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def strangers(directory: Directory, clock: Clock) -> Strangers:
    return Strangers(
        directory, retention=100.0, most_bytes=1 << 30, clock=lambda: clock.wall, monotonic=lambda: clock.steady
    )


def begin(directory: Directory, *keys: str) -> None:
    for key in keys:
        directory.journal(key).write_bytes(FACT)


def deliver(directory: Directory, key: str, at: float) -> None:
    begin(directory, key)
    directory.log(key).write_bytes(records.encode(records.Acknowledged(0, len(FACT))) + b"\n")
    directory.put_away(key)
    for path in directory.delivered.glob(f"{key}*"):
        os.utime(path, (at, at))


def rest(strangers: Strangers) -> list[str]:
    found = []
    while (key := strangers.next()) is not None:
        found.append(key)
    return found


def test_each_run_is_looked_at_once(strangers: Strangers, directory: Directory, clock: Clock) -> None:
    """Runs come in their order, those that are known do not; later only those come that are new."""
    begin(directory, "02", "01", "03")
    assert not strangers
    assert strangers.look(lambda: {"03"})
    assert strangers
    assert rest(strangers) == ["01", "02"]
    clock.pass_time(1.0)
    assert not strangers.look(lambda: {"03"})
    begin(directory, "04")
    assert not strangers.look(lambda: {"03"})
    assert rest(strangers) == ["04"]


def test_now_and_then_all_are_looked_at_again(strangers: Strangers, directory: Directory, clock: Clock) -> None:
    """After half a minute every run is worth a look again: a process may have died."""
    begin(directory, "01", "02")
    strangers.look(set)
    rest(strangers)
    clock.pass_time(29.0)
    assert not strangers.look(set)
    assert rest(strangers) == []
    clock.pass_time(1.0)
    assert strangers.look(set)
    assert rest(strangers) == ["01", "02"]


def test_a_run_that_comes_back_between_two_looks_is_seen(strangers: Strangers, directory: Directory) -> None:
    """A run that was put away and is there again by the next look is looked at again."""
    begin(directory, "01")
    strangers.look(set)
    assert rest(strangers) == ["01"]
    strangers.forget("01")
    strangers.look(set)
    assert rest(strangers) == ["01"]


def test_two_runs_within_one_tick_of_the_clock_are_seen(
    strangers: Strangers, directory: Directory, clock: Clock
) -> None:
    """A run that appears right after a look, at what the file system calls the same time, is seen at the next."""
    begin(directory, "01")
    before = directory.runs.stat()
    clock.wall = before.st_mtime
    strangers.look(set)
    begin(directory, "02")
    os.utime(directory.runs, ns=(before.st_atime_ns, before.st_mtime_ns))
    strangers.look(set)
    assert rest(strangers) == ["01", "02"]


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_a_jump_of_the_clock_changes_nothing(
    jump: float, strangers: Strangers, directory: Directory, clock: Clock
) -> None:
    """When the wall's clock jumps an hour nothing is looked at earlier, later or twice."""
    begin(directory, "01")
    strangers.look(set)
    rest(strangers)
    clock.wall += jump
    clock.pass_time(1.0)
    assert not strangers.look(set)
    clock.pass_time(29.0)
    assert strangers.look(set)
    assert rest(strangers) == ["01"]


def test_what_cannot_be_delivered_is_skipped(strangers: Strangers, directory: Directory, clock: Clock) -> None:
    """A run that is to be left alone does not come again, until it was away and came back."""
    begin(directory, "01")
    strangers.look(set)
    strangers.skip("01")
    rest(strangers)
    clock.pass_time(30.0)
    strangers.look(set)
    assert rest(strangers) == []
    directory.journal("01").rename(directory.root / "aside")
    clock.pass_time(30.0)
    strangers.look(set)
    (directory.root / "aside").rename(directory.journal("01"))
    clock.pass_time(30.0)
    strangers.look(set)
    assert rest(strangers) == ["01"]


def test_what_was_not_ready_comes_again(strangers: Strangers, directory: Directory) -> None:
    """A run of which nothing could be said yet comes at the next look, though nothing new is there."""
    begin(directory, "01")
    strangers.look(set)
    rest(strangers)
    strangers.again("01")
    strangers.look(set)
    assert rest(strangers) == ["01"]


def test_what_is_gone_is_forgotten(strangers: Strangers, directory: Directory, clock: Clock) -> None:
    """Of runs that were put away nothing stays in memory, however many there were."""
    for number in range(200):
        key = f"{number:03}"
        begin(directory, key)
        strangers.look(set)
        assert rest(strangers) == [key]
        strangers.skip(key)
        directory.journal(key).unlink()
    strangers.look(set)
    begin(directory, "new")
    strangers.look(set)
    assert rest(strangers) == ["new"]
    assert len(strangers._seen) + len(strangers._skipped) == 1


def test_the_directory_is_kept_tidy(strangers: Strangers, directory: Directory, clock: Clock) -> None:
    """On the way old delivered runs are deleted, by whoever has the turn, and halves are put together."""
    deliver(directory, "01", clock.wall - 1000.0)
    deliver(directory, "02", clock.wall)
    (directory.delivered / "02.sent.jsonl").rename(directory.log("02"))
    strangers.look(set)
    assert directory.delivered_keys() == ["02"]
    assert not directory.log("02").exists()
    deliver(directory, "03", clock.wall - 1000.0)
    clock.pass_time(30.0)
    other = Strangers(
        directory, retention=100.0, most_bytes=1 << 30, clock=lambda: clock.wall, monotonic=lambda: clock.steady
    )
    other.look(set)
    assert directory.delivered_keys() == ["02", "03"]


def test_without_a_directory_nobody_is_strange(clock: Clock, tmp_path: Path) -> None:
    """Who adopts nothing looks at nothing; a directory that is not there has no runs, and is not made."""
    nobody = Strangers(None, retention=1.0, most_bytes=1, clock=lambda: clock.wall, monotonic=lambda: clock.steady)
    assert not nobody.look(set)
    absent = Directory(tmp_path / "absent")
    nothing = Strangers(absent, retention=1.0, most_bytes=1, clock=lambda: clock.wall, monotonic=lambda: clock.steady)
    assert nothing.look(set)
    assert nothing.next() is None
    assert not (tmp_path / "absent").exists()
