"""Waiting for delivery: for what was there when the wait began, for as long as there is hope, a glance at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import mission_tracer as mt
from mission_tracer import recorder
from mission_tracer._disk.delivery_log import DeliveryLog
from mission_tracer._planning import records
from mission_tracer._recording.wait import GLANCE, Wait


class Progress(threading.Condition):
    """A sender's news on a clock of its own: each wait passes at once, and may bring something."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1e9  # later than anything the sender noted
        self.waits: list[float] = []
        self.brings: Callable[[], object] = lambda: None

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.waits.append(timeout)
        self.now += timeout
        self.brings()
        return False


class Bench:
    """A process that records one run, which another process delivers."""

    def __init__(self) -> None:
        mt.configure(api_key="KEY_of_the_test", base_url="http://127.0.0.1:9", sender="off", log_level="off")
        self.delivery = recorder.default().delivery
        self.progress = self.delivery.sender.progress = Progress()
        self.block = mt.mission_run("m")
        self.run = self.block.__enter__()
        assert self.delivery.directory is not None
        self.directory = self.delivery.directory
        self.end = self.directory.journal(self.run.key).stat().st_size

    def note(self, *noted: Any) -> None:
        """Have the other process write down how far it is."""
        log = DeliveryLog(self.directory.log(self.run.key))
        assert log.try_open()
        for record in noted:
            log.note(record)
        log.close()

    def wait(self, timeout: float = 1.0, *, stall: float | None = None, leave_to_others: bool = False) -> bool:
        waiting = Wait(
            self.delivery,
            [self.run.key],
            timeout=timeout,
            stall=stall,
            leave_to_others=leave_to_others,
            monotonic=lambda: self.progress.now,
        )
        return waiting.wait()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.block.__exit__(None, None, None)


def test_a_wait_looks_at_every_glance(bench: Bench) -> None:
    """Whoever waits looks for himself every 20 ms, whether the sender wakes him or not, until his time is up."""
    assert not bench.wait(1.0)
    assert max(bench.progress.waits) <= GLANCE
    assert sum(bench.progress.waits) == pytest.approx(1.0)


def test_a_wait_without_time_only_looks(bench: Bench) -> None:
    """With no time to wait it is said how things are."""
    assert not bench.wait(0.0)
    bench.note(records.Acknowledged(0, bench.end))
    assert bench.wait(0.0)
    assert bench.progress.waits == []


def test_what_another_process_delivers_is_seen(bench: Bench) -> None:
    """A wait ends when the other process's log says so: for delivered and for refused facts."""
    bench.progress.brings = lambda: bench.note(records.Rejected(0, bench.end, "w.1", "no"))
    assert bench.wait(1.0)
    assert len(bench.progress.waits) == 1


def test_only_what_was_recorded_before_is_waited_for(bench: Bench) -> None:
    """What is recorded while somebody waits does not make him wait longer."""

    def go_on() -> None:
        mt.log_event("later")
        bench.note(records.Acknowledged(0, bench.end))

    bench.progress.brings = go_on
    assert bench.wait(1.0)
    assert not bench.wait(0.0)


def test_what_is_held_in_memory_is_in_no_others_reach(bench: Bench) -> None:
    """While a fact is held in this process's memory no other one's log says that it is delivered."""
    memory = bench.delivery.roster.streams()[0].journal.memory
    memory.append(b"held")
    bench.note(records.Acknowledged(0, bench.end))
    assert not bench.wait(0.1)
    file = bench.delivery.roster.streams()[0].journal.file
    assert file is not None
    bench.progress.brings = lambda: memory.spill(file.append)  # the disk takes it after all
    assert not bench.wait(0.1)
    bench.progress.brings = lambda: bench.note(records.Acknowledged(bench.end, file.size()))
    assert bench.wait(0.1)


def test_a_stalled_delivery_is_given_up(bench: Bench) -> None:
    """A wait that is told so ends after some time without an acknowledgement; each one gives it that time anew."""
    assert not bench.wait(10.0, stall=0.5)
    assert sum(bench.progress.waits) == pytest.approx(0.5)
    bench.progress.waits.clear()
    moves = iter([True] * 50)

    def move() -> None:
        if next(moves, False):
            bench.delivery.sender.acknowledged_at = bench.progress.now

    bench.progress.brings = move
    assert not bench.wait(10.0, stall=0.5)
    assert sum(bench.progress.waits) == pytest.approx(50 * GLANCE + 0.5)


def test_a_library_that_is_still_imported_is_no_stall(bench: Bench) -> None:
    """While the HTTP library is being imported the server is not what keeps anybody waiting."""
    bench.delivery.sender.wire.is_opening = True
    assert not bench.wait(2.0, stall=0.5)
    assert sum(bench.progress.waits) == pytest.approx(2.0)


@pytest.mark.parametrize("why", ["parked", "locked out", "offline"])
def test_without_hope_nobody_waits(why: str, bench: Bench) -> None:
    """Nobody waits for a parked run, with a key that is refused, or without one."""
    if why == "parked":
        bench.note(records.Parked("no"))
    bench.delivery.sender.locked_out = why == "locked out"
    bench.delivery.is_offline = why == "offline"
    assert not bench.wait(5.0)
    assert bench.progress.waits == []


def test_what_others_deliver_may_be_left_to_them(bench: Bench) -> None:
    """At the end of a program nobody waits for what another living process delivers; a flush does."""
    other = DeliveryLog(bench.directory.log(bench.run.key))
    assert other.try_open()
    bench.delivery.roster.fresh += bench.delivery.roster.streams()
    assert bench.delivery.roster.renew(everything=True) == []  # it is looked who delivers
    assert not bench.wait(0.0)
    assert bench.delivery.roster.is_elsewhere(bench.run.key)
    assert bench.wait(5.0, leave_to_others=True)
    assert bench.progress.waits == []
    other.close()


def test_who_waits_takes_over_as_soon_as_it_can(bench: Bench) -> None:
    """While another process delivers a run that is waited for, the sender tries at every glance whether it ended."""
    roster = bench.delivery.roster
    other = DeliveryLog(bench.directory.log(bench.run.key))
    assert other.try_open()
    roster.fresh += roster.streams()
    found = roster.renew(everything=True)
    bench.progress.brings = lambda: found.extend(roster.renew(everything=False))
    assert not bench.wait(GLANCE)
    assert found == []
    other.close()
    assert not bench.wait(GLANCE)
    assert found == [roster.lane(bench.run.key)]
    roster.close()


def test_nothing_is_waited_for_at_no_cost(bench: Bench) -> None:
    """No runs, or one that is nobody's any more, are delivered."""
    assert Wait(bench.delivery, [], timeout=5.0, stall=None, leave_to_others=False).wait()
    assert Wait(bench.delivery, ["gone"], timeout=5.0, stall=None, leave_to_others=False).wait()
