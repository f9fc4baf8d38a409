"""One process's share in a run: its name, the numbers and times of its facts, and what it counts."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import threading
from typing import Any

import pytest

from mission_tracer._disk.journal import Journal, MemoryFacts
from mission_tracer._disk.stream import Stream, utc_now

AT = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)


def make(**given: Any) -> Stream:
    return Stream("01key", Journal(None, MemoryFacts(10)), **given)


def test_facts_are_numbered_under_the_shares_name() -> None:
    """Each fact has the share's name and the next number, from 1 on, and the present moment."""
    names = iter(["aaa", "bbb"])
    times = itertools.count()
    stream = make(writer=lambda: next(names), clock=lambda: AT + dt.timedelta(seconds=next(times)))
    assert stream.stamp() == ("aaa.1", 1, AT)
    assert stream.stamp() == ("aaa.2", 2, AT + dt.timedelta(seconds=1))
    assert stream.writer == "aaa"


def test_names_are_ones_own() -> None:
    """Two shares, be it of the same run, never have the same name."""
    assert len({make().writer for _ in range(1000)}) == 1000


def test_calls_have_ids_of_their_own() -> None:
    """The id of a tool's call is unique in the run, and no fact's."""
    stream = make(writer=lambda: "aaa")
    ids = [stream.name_call(), stream.stamp()[0], stream.name_call(), stream.stamp()[0]]
    assert len(set(ids)) == 4
    assert all(each.startswith("aaa.") for each in ids)


def test_threads_never_get_the_same_number() -> None:
    """Numbers that several threads draw at once are all different, and leave out none."""
    stream = make()
    drawn: list[list[int]] = [[] for _ in range(8)]

    def draw(mine: list[int]) -> None:
        mine.extend(stream.stamp()[1] for _ in range(2000))

    threads = [threading.Thread(target=draw, args=(mine,)) for mine in drawn]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(itertools.chain(*drawn)) == list(range(1, 16_001))


def test_facts_are_counted_once() -> None:
    """Each look at how many facts were recorded, or dropped, tells those since the last look."""
    stream = make()
    assert (stream.take_recorded(), stream.take_dropped()) == (0, 0)
    for _ in range(3):
        stream.stamp()
    stream.drop()
    assert (stream.take_recorded(), stream.take_dropped()) == (3, 1)
    assert (stream.take_recorded(), stream.take_dropped()) == (0, 0)
    stream.stamp()
    stream.drop()
    stream.drop()
    assert (stream.take_recorded(), stream.take_dropped()) == (1, 2)


def test_a_look_gives_no_number_twice() -> None:
    """Counting costs numbers, and repeats none."""
    stream = make()
    numbers = []
    for _ in range(5):
        numbers.append(stream.stamp()[1])
        stream.take_recorded()
    assert len(set(numbers)) == 5
    assert numbers == sorted(numbers)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_that_ran_no_hook_is_noticed() -> None:
    """A forked child gets a name of its own with its first fact, counts from 1, and has nothing of its parent's."""
    names = iter(["parent", "child"])
    stream = make(writer=lambda: next(names))
    stream.stamp()
    stream.drop()
    stream.journal.memory.append(b"the parent's")
    stream.attached = stream.dirty = True
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = (stream.stamp()[:2], stream.shared, len(stream.journal.memory), stream.take_recorded())
        os.write(writing, repr((*said, stream.take_dropped(), stream.attached, stream.dirty)).encode())
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert os.read(reading, 1000) == repr((("child.1", 1), True, 0, 1, 0, False, False)).encode()
    os.close(reading)
    os.close(writing)
    assert stream.stamp()[0] == "parent.2"


def test_the_clock_is_in_utc() -> None:
    """Times carry their zone, so that no reader has to guess it."""
    assert utc_now().utcoffset() == dt.timedelta(0)
