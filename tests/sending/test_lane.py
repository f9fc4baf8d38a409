"""One run's delivery: which fact is next, what goes beside it, what waits, and when the run is at rest."""

from __future__ import annotations

import datetime as dt
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mission_tracer import facts
from mission_tracer._disk.delivery_log import DeliveryLog
from mission_tracer._disk.directory import Directory
from mission_tracer._disk.journal import AppendFile, MemoryFacts, Reader
from mission_tracer._planning import records
from mission_tracer._planning.actions import Answer, Call, Lost, Unsent
from mission_tracer._sending.lane import Lane
from mission_tracer._sending.lane_courier import Item, Pause

AT = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
KEY = "01key"
SETTLE, TIMEOUT = 5.0, 30.0


class Bench:
    """A journal, what is held beside it in memory, and the lane that delivers both; a test turns the clock."""

    def __init__(self, place: Path) -> None:
        self.now = 1000.0
        self.took = 0.01  # seconds an answer takes
        self.reply: Answer | Lost | Unsent = Answer(200, {"status": "running"})
        self.number = itertools.count(1)
        self.directory = Directory(place)
        self.directory.prepare()
        self.file = AppendFile(self.directory.journal(KEY), create=True)
        self.memory = MemoryFacts(1000)
        log = DeliveryLog(self.directory.log(KEY))
        assert log.try_open()
        log.note(records.MissionFound("m"))
        log.note(records.RunBound("r"))
        log.close(clean=True)
        self.lane = self.start()

    def start(self) -> Lane:
        log = DeliveryLog(self.directory.log(KEY))
        assert log.try_open()
        self.lane = Lane(
            KEY,
            Reader(self.directory.journal(KEY)),
            self.memory,
            log,
            directory=None,
            base_url="",
            settle=SETTLE,
            timeout=TIMEOUT,
            clock=lambda: self.now,
            monotonic=lambda: self.now,
        )
        self.lane.relearn()
        return self.lane

    # ---- the program ----

    def event(self, *names: str, held: bool = False, size: int = 0) -> None:
        for name in names:
            body = facts.EventBody("custom", name, payload={"x": "x" * size}, idempotency_key=name)
            self.put(facts.EventWritten, body=body, held=held)

    def enter(self, name: str) -> None:
        self.put(facts.StepEntered, step_id=name, description=name)

    def close(self) -> None:
        self.put(facts.RunClosed, status="succeeded")

    def put(self, kind: Any, *, held: bool = False, **fields: Any) -> None:
        fact = kind(id=f"w.{next(self.number)}", at=AT, **fields)
        (self.memory if held else self.file).append(facts.encode(fact))

    def decide(self, *decided: Any) -> None:
        """Append to the delivery log what the owner of refused facts decided, as another process does."""
        file = AppendFile(self.directory.log(KEY), create=False)
        for record in decided:
            file.append(records.encode(record))
        file.close()

    # ---- the scheduler ----

    def take(self) -> Item | None:
        """Take the next fact, after what was written was noticed."""
        self.lane.look_again()
        return self.lane.take(self.now)

    def takes(self) -> str | None:
        """Take the next fact; say its name."""
        item = self.take()
        return name(item) if item is not None else None

    def take_all(self) -> list[Item]:
        """Take all that may be under way at once."""
        return list(iter(self.take, None))

    def end(self, item: Item) -> Pause | None:
        """Deliver a fact that was taken."""
        pause = self.lane.run(item, self.exchange)
        self.lane.give_back(item)
        return pause

    def deliver(self) -> list[str]:
        """Deliver, one fact after the other, until there is none; say their names."""
        found = []
        while (item := self.take()) is not None:
            found.append(name(item))
            assert self.end(item) is None
        return found

    def exchange(self, call: Call) -> Answer | Lost | Unsent:
        self.now += self.took
        return self.reply


def name(item: Item) -> str:
    match item.fact:
        case None:
            return "damaged"
        case facts.Event():
            return str(msgspec.json.decode(item.fact.body)["summary"])
        case facts.StepEntered():
            return item.fact.step_id
        case _:
            return "close"


def numbers(count: int) -> list[str]:
    return [str(number) for number in range(count)]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "state")
    yield bench
    bench.lane.abandon()
    bench.file.close()


# ---- how many at once ----


def widths(bench: Bench) -> list[tuple[int, int]]:
    """Deliver all that is there; say at each step how many were left, and how many of them were under way."""
    found = []
    left = len(bench.lane._window)
    while items := bench.take_all():
        left = left or len(bench.lane._window)
        found.append((left, len(items)))
        left -= len(items)
        for item in items:
            bench.end(item)
    return found


def test_a_short_queue_keeps_its_order(bench: Bench) -> None:
    """Events wait for each other when all of them take less than five seconds."""
    bench.took = 0.1
    bench.event(*numbers(49))
    assert {width for _, width in widths(bench)} == {1}


def test_a_backlog_goes_side_by_side_to_its_end(bench: Bench) -> None:
    """What takes over five seconds in a row goes side by side until half a second is left; later order counts again."""
    bench.took = 0.1
    bench.event("first")
    bench.deliver()
    bench.event(*numbers(60))
    assert all(width == (min(8, left) if left > 5 else 1) for left, width in widths(bench))
    bench.event(*(f"later {n}" for n in range(40)))
    assert {width for _, width in widths(bench)} == {1}


def test_what_is_not_read_yet_counts_as_backlog(bench: Bench) -> None:
    """A queue is as long as its file, however little of it is read at a time."""
    bench.event("first")
    bench.deliver()
    bench.event(*numbers(600), size=400)  # two thirds of these are not read yet
    bench.took = 0.0
    assert len(bench.take_all()) == 8


# ---- barriers ----


def make_late(bench: Bench) -> None:
    """Have the server be so slow that two events are a backlog."""
    bench.took = 10.0
    bench.event("first")
    bench.deliver()


def test_a_journal_is_read_when_somebody_wrote(bench: Bench) -> None:
    """A journal that was read to its end is not read again until somebody says that more was written, or waits."""
    for look in (bench.lane.look_again, bench.lane.hurry):
        bench.event("a")
        bench.deliver()
        bench.event("b")
        assert bench.lane.take(bench.now) is None
        look()
        item = bench.lane.take(bench.now)
        assert item is not None
        bench.end(item)


def test_a_barrier_is_delivered_alone(bench: Bench) -> None:
    """A step's change waits for all events before it, and all after it wait for the change."""
    make_late(bench)
    bench.event("a", "b")
    bench.enter("step")
    bench.event("c", "d")
    before = bench.take_all()
    assert [name(item) for item in before] == ["a", "b"]
    bench.end(before[1])
    assert bench.take() is None
    bench.end(before[0])
    [change] = bench.take_all()
    assert name(change) == "step"
    bench.end(change)
    assert [name(item) for item in bench.take_all()] == ["c", "d"]


def test_nothing_overtakes_a_barrier_that_is_put_off(bench: Bench) -> None:
    """While a step's change waits to be tried again, nothing else of the run is; who hurries tries it at once."""
    make_late(bench)
    bench.enter("step")
    bench.event("a")
    item = bench.take()
    assert item is not None
    bench.reply = Unsent("busy", here=True)
    assert bench.end(item) is not None
    assert item.attempts == 1
    bench.lane.rest(item, bench.now + 60)
    assert bench.take() is None
    assert not bench.lane.has_work(bench.now)
    assert bench.lane.has_work(bench.now + 61)
    bench.lane.hurry()
    assert bench.take() is item


def test_nothing_overtakes_an_event_that_is_put_off(bench: Bench) -> None:
    """An event on which the server failed once or twice holds up those after it, so that they stay in order."""
    bench.event("a", "b")
    well, bench.reply = bench.reply, Lost("500", status=500, answered=True)
    for failures in (1, 2):
        item = bench.take()
        assert item is not None
        assert (name(item), bench.end(item) is None, item.failures) == ("a", False, failures)
        bench.lane.rest(item, bench.now + 1)
        assert bench.take() is None
        bench.now += 1
    bench.reply = well
    assert bench.deliver() == ["a", "b"]


def test_events_pass_one_that_fails_often_and_barriers_do_not(bench: Bench) -> None:
    """An event on which the server failed often lets other events pass; the next change waits for it."""
    bench.event("a", "b")
    bench.enter("step")
    first = bench.take()
    assert first is not None
    first.failures = 3
    bench.lane.give_back(first)
    bench.lane.rest(first, bench.now + 60)
    assert bench.deliver() == ["b"]
    assert bench.lane.next_at == first.next_at
    bench.now += 60
    assert bench.deliver() == ["a", "step"]


def test_many_events_that_are_put_off_stop_the_run(bench: Bench) -> None:
    """When more than four events that failed often are to be tried later, the whole run waits."""
    bench.event(*numbers(6))
    for number in range(5):
        item = bench.take()
        assert item is not None, number
        item.failures = 3
        bench.lane.give_back(item)
        bench.lane.rest(item, bench.now + 60)
    assert bench.take() is None
    bench.lane.hurry()
    assert bench.takes() == "0"


# ---- facts that are tried once more ----


def refuse(bench: Bench, *refused: str) -> list[Item]:
    """Deliver events of which the server refuses some."""
    items = []
    while (item := bench.take()) is not None:
        bench.reply = Answer(400, why="no") if name(item) in refused else Answer(200, {})
        bench.end(item)
        if name(item) in refused:
            items.append(item)
    bench.reply = Answer(200, {"status": "running"})
    return items


def test_what_is_to_be_sent_again_comes_first(bench: Bench) -> None:
    """Refused facts whose owner wants them sent come before all others, in their order, and know that they are late."""
    bench.event("a", "b", "c")
    one, other = refuse(bench, "a", "c")
    assert bench.lane.settled(["w"]) == (1, 2)
    bench.decide(records.Retried(other.position), records.Retried(one.position))
    bench.lane.catch_up()
    assert not bench.lane.is_drained()
    item = bench.take()
    assert item is not None
    assert (name(item), item.late) == ("a", True)
    bench.end(item)
    assert bench.lane.settled(["w"]) == (2, 1)
    bench.event("d")
    assert bench.deliver() == ["c", "d"]
    assert bench.lane.settled(["w"]) == (4, 0)


def test_what_is_sent_again_does_not_go_beside_a_barrier(bench: Bench) -> None:
    """A fact that is to be sent again waits as others do while a step's change is under way."""
    bench.event("a")
    [refused] = refuse(bench, "a")
    make_late(bench)
    bench.enter("step")
    bench.event("b", "c")
    change = bench.take()
    assert change is not None
    bench.decide(records.Retried(refused.position))
    bench.lane.catch_up()
    assert bench.take() is None
    bench.end(change)
    assert [name(item) for item in bench.take_all()] == ["a", "b", "c"]


# ---- the file and the memory ----


def test_memory_comes_after_the_file(bench: Bench) -> None:
    """What a process holds in memory is delivered after what is in the file by then."""
    bench.event("held", "held too", held=True)
    bench.event("written")
    assert bench.deliver() == ["written", "held", "held too"]
    assert len(bench.memory) == 0
    assert bench.lane.is_still()


def test_what_went_to_the_disk_is_read_there(bench: Bench) -> None:
    """Facts that the disk took after all are delivered from it, once, and those that are held still after them."""
    bench.event("a", "b", held=True)
    ends = 0, bench.memory.end()
    bench.event("c", held=True)
    bench.memory.spill(bench.file.append, most=2)
    for expected in "ab":
        item = bench.take()
        assert item is not None
        assert not bench.lane.has_delivered(ends)
        bench.end(item)
        assert name(item) == expected
    assert bench.lane.has_delivered(ends)
    bench.event("d", held=True)
    assert bench.deliver() == ["c", "d"]


def test_what_cannot_be_sent_is_given_back_to_the_disk(bench: Bench) -> None:
    """When nothing can be sent the disk may take what is held in memory; others' facts behind it keep their place."""
    bench.event("a", "b", held=True)
    item = bench.take()
    assert item is not None
    assert not bench.memory.spill(bench.file.append)  # it is in the lane's hands
    bench.event("another's")
    assert bench.takes() is None  # and now that is in them too
    bench.reply = Unsent("no way")
    assert bench.end(item) is not None
    assert item.attempts == 0  # no fault of its own
    bench.memory.spill(bench.file.append, most=1)
    bench.reply = Answer(200, {})
    assert bench.deliver() == ["another's", "a", "b"]
    assert bench.lane.is_drained()


def test_what_is_under_way_stays_in_memory(bench: Bench) -> None:
    """While one held fact is under way none is handed to the disk, whatever became of the others."""
    make_late(bench)
    bench.event("a", "b", held=True)
    one, other = bench.take_all()
    bench.reply = Unsent("no way")
    bench.end(other)
    assert not bench.memory.spill(bench.file.append)
    bench.reply = Answer(200, {})
    bench.end(one)
    assert bench.deliver() == ["b"]


def test_what_may_have_been_sent_stays_in_memory(bench: Bench) -> None:
    """A held fact whose answer was lost is not handed to the disk, where it would be sent again as a new one."""
    bench.event("a", held=True)
    item = bench.take()
    assert item is not None
    bench.reply = Lost("500", status=500, answered=True)
    assert bench.end(item) is not None
    assert not bench.memory.spill(bench.file.append)


def test_who_takes_part_later_has_its_memory_delivered(bench: Bench) -> None:
    """A lane delivers what is held in memory by a process that takes part in the run only by now."""
    make_late(bench)
    bench.memory = MemoryFacts(10)
    bench.event("written by now", "b", held=True)
    bench.memory.spill(bench.file.append, most=1)
    bench.lane.take_part(bench.memory)
    assert bench.deliver() == ["written by now", "b"]
    assert len(bench.memory) == 0
    bench.event("c", held=True)
    item = bench.take()
    assert item is not None
    bench.lane.take_part(bench.memory)  # once more
    assert bench.take() is None
    bench.end(item)


def test_what_is_waited_for_is_what_was_there(bench: Bench) -> None:
    """A fact counts as delivered with all before it: in the file, in memory, and among those to be sent again."""
    bench.event("a", "b")
    bench.event("held", held=True)
    ends = bench.file.size(), bench.memory.end()
    [refused] = refuse(bench, "b")
    assert bench.lane.has_delivered(ends)
    assert not bench.lane.has_delivered((ends[0] + 1, ends[1]))
    assert not bench.lane.has_delivered((ends[0], ends[1] + 1))
    bench.decide(records.Retried(refused.position))
    bench.lane.catch_up()
    assert not bench.lane.has_delivered(ends)


# ---- lines that say nothing ----


def test_a_damaged_line_is_refused_and_a_torn_one_passed_over(bench: Bench) -> None:
    """A line that cannot be read is refused in words, one that was cut off is nobody's; what follows is delivered."""
    bench.file.append(b'{"fact":"event"')
    os.write(bench.file.fd, b'{"fact":')
    bench.file.recheck()
    bench.event("a")
    assert bench.deliver() == ["damaged", "a"]
    assert bench.lane.state.rejected == {0}
    assert bench.lane.has_delivered((bench.file.size(), 0))


# ---- rest ----


@pytest.mark.parametrize(
    "what",
    [
        lambda bench: bench.event("a"),
        lambda bench: bench.event("a", held=True),
        lambda bench: bench.lane.courier.note(records.Parked("no")),
        lambda bench: bench.lane.leave(),
        lambda bench: bench.decide(records.Dropped(7)),
        lambda bench: (bench.close(), bench.deliver()),
    ],
    ids=["fact", "held fact", "parked", "looked at", "decision", "closed"],
)
def test_a_run_is_still_until_something_is_to_be_done(what: Any, bench: Bench) -> None:
    """A delivered run is still; a new fact, a decision of its owner, and whatever has to be looked at ends that."""
    bench.event("first")
    assert not bench.lane.is_still()
    bench.deliver()
    assert bench.lane.is_still()
    what(bench)
    assert not bench.lane.is_still()


def test_a_run_is_over_when_its_end_is_delivered(bench: Bench) -> None:
    """A run is over once its last fact is delivered, and not while a later one waits; it is at rest in between."""
    bench.event("a")
    bench.deliver()
    assert not bench.lane.is_over()
    bench.close()
    item = bench.take()
    assert item is not None
    assert (bench.lane.is_at_rest, bench.lane.is_over()) == (False, False)
    bench.end(item)
    assert bench.lane.is_at_rest
    assert bench.lane.is_over()
    bench.event("late", held=True)
    assert not bench.lane.is_over()
    assert bench.lane.has_work(bench.now)


def test_a_parked_run_has_nothing_to_do(bench: Bench) -> None:
    """Of a parked run nothing is sent; noting that it is tried again makes it go on."""
    bench.event("a")
    bench.lane.courier.note(records.Parked("no"))
    assert bench.take() is None
    assert not bench.lane.has_work(bench.now)
    bench.lane.courier.note(records.Unparked())
    assert bench.deliver() == ["a"]


# ---- the end ----


def is_free(bench: Bench) -> bool:
    """Say whether another process could deliver the run now."""
    log = DeliveryLog(bench.directory.log(KEY))
    held = log.try_open()
    log.close()
    return held


def test_nothing_begins_while_a_lane_is_put_away(bench: Bench) -> None:
    """While a lane is looked at as a whole it counts as busy and gives out nothing; afterwards it goes on."""
    make_late(bench)
    bench.lane.leave()
    assert bench.lane.is_leaving
    assert bench.lane.has_work(bench.now)
    bench.event("a", "b")
    assert bench.take() is None
    bench.lane.let_go()
    assert (bench.lane.is_leaving, bench.lane.running) == (False, 0)
    assert bench.takes() == "a"


def test_closing_waits_for_what_is_under_way(bench: Bench) -> None:
    """A lane that is closed gives out nothing more, and lets go of its files when the last attempt, or look, ends."""
    make_late(bench)
    bench.event("a", "b", "c")
    bench.enter("step")
    one, other, third = bench.take_all()
    bench.lane.give_back(third)
    bench.lane.close()
    assert bench.take() is None
    for item in (one, other):
        assert not is_free(bench)
        bench.end(item)
    assert is_free(bench)
    bench.start()
    assert bench.deliver() == ["c", "step"]
    bench.lane.leave()
    bench.lane.close()
    assert not is_free(bench)
    bench.lane.let_go()
    assert is_free(bench)


def test_a_closed_lane_gives_its_memory_back(bench: Bench) -> None:
    """What a lane held of the memory and did not deliver may go to the disk when it is closed."""
    bench.event("a", held=True)
    item = bench.take()
    assert item is not None
    bench.reply = Lost("500", status=500, answered=True)
    bench.end(item)
    assert not bench.memory.spill(bench.file.append)
    bench.lane.close()
    assert bench.memory.spill(bench.file.append)


def test_a_forked_child_gives_the_run_up(bench: Bench) -> None:
    """An abandoned lane gives out nothing and takes no note that it left."""
    bench.event("a")
    before = bench.directory.log(KEY).read_bytes()
    bench.lane.abandon()
    assert bench.take() is None
    assert bench.directory.log(KEY).read_bytes() == before


@pytest.mark.parametrize(("waits", "clean"), [(0.0, False), (SETTLE, True)])
def test_who_leaves_says_whether_something_may_still_come(waits: float, clean: bool, bench: Bench) -> None:
    """A lane that is closed while a change whose answer was lost may come late does not say that it left in peace."""
    bench.enter("step")
    item = bench.take()
    assert item is not None
    bench.reply = Lost("reset")
    bench.end(item)
    bench.now += waits
    bench.lane.close()
    log = DeliveryLog(bench.directory.log(KEY))
    assert log.try_open()
    assert (log.predecessor_at is None) is clean
    log.close()


# ---- going on where another one stopped ----


def test_what_was_delivered_is_learned_again(bench: Bench) -> None:
    """A new lane knows the steps and the books of an earlier one, and delivers only what that did not."""
    bench.enter("step")
    bench.event("a", "b")
    refuse(bench, "b")
    bench.enter("later")
    bench.lane.close()
    lane = bench.start()
    assert lane.state.step("step").status == "in_progress"
    assert lane.state.step("later").status == "unknown"
    assert lane.settled(["w"]) == (2, 1)
    assert lane.settled(["another"]) == (0, 0)
    assert bench.deliver() == ["later"]


def test_what_is_to_be_sent_again_counts_as_refused(bench: Bench) -> None:
    """A new lane counts a refused fact whose owner wants it sent again as refused, until it is delivered."""
    bench.event("a", "b")
    [refused] = refuse(bench, "b")
    bench.decide(records.Retried(refused.position))
    bench.lane.close()
    lane = bench.start()
    assert lane.settled(["w"]) == (1, 1)
    assert bench.deliver() == ["b"]
    assert lane.settled(["w"]) == (2, 0)


def test_what_was_passed_over_is_late(bench: Bench) -> None:
    """A fact that is undelivered before delivered ones is delivered as one that is late, and changes nothing known."""
    bench.enter("step")
    bench.event("a")
    end = bench.file.size()
    first = next(iter(Reader(bench.directory.journal(KEY)).read(0)))
    bench.lane.courier.note(records.Acknowledged(first.end, end))
    bench.lane.close()
    bench.start()
    item = bench.take()
    assert item is not None
    assert (name(item), item.late) == ("step", True)
    bench.end(item)
    assert bench.lane.state.step("step").status == "unknown"
    assert bench.lane.is_drained()


@pytest.mark.parametrize("clean", [False, True])
def test_what_a_dead_sender_had_under_way_is_suspected(clean: bool, bench: Bench) -> None:
    """Of a sender that died, the first facts that it may have sent are known as such; of one that left, none."""
    bench.event(*numbers(12))
    bench.end(bench.take() or pytest.fail("nothing to deliver"))
    if clean:
        bench.lane.close()
    else:
        bench.lane.abandon()
    bench.now = 2000.0
    os.utime(bench.directory.log(KEY), (bench.now, bench.now))
    lane = bench.start()
    lane.take(bench.now)
    suspected = [item.sent_at for item in lane._window]
    assert suspected == ([None] * 11 if clean else [bench.now - TIMEOUT] * 8 + [None] * 3)
