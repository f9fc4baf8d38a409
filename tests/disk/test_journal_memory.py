"""Facts held in memory: as many as there is room for, and each goes one of two ways."""

from __future__ import annotations

import threading

import pytest

from mission_tracer._disk.journal_memory import JournalFullError, MemoryFacts, Room
from mission_tracer.facts import MEMORY


def test_room_is_shared() -> None:
    """What one run holds in memory leaves less room for the others; what it gives back is free again."""
    room = Room(3)
    one, other = MemoryFacts(room), MemoryFacts(room)
    one.append(b"1")
    one.append(b"2")
    other.append(b"3")
    with pytest.raises(JournalFullError):
        other.append(b"4")
    one.forget(MEMORY + 1)
    other.append(b"5")
    assert [line.content for line in other.read(0)] == [b"3", b"5"]


def test_what_is_gone_is_not_taken() -> None:
    """Who asks for a fact that went to the disk gets none, so that he reads the disk before what is held still."""
    memory, disk = MemoryFacts(10), []
    for number in range(3):
        memory.append(b"%d" % number)
    memory.spill(disk.append, most=1)
    assert memory.take(MEMORY) == []
    memory.spill(disk.append)
    assert disk == [b"0", b"1", b"2"]  # nothing was in the sender's hands
    memory.append(b"3")
    assert [line.content for line in memory.take(memory.first)] == [b"3"]


def test_what_the_sender_holds_is_not_handed_over() -> None:
    """While the sender has facts in its hands none go to the disk; what it gives back undelivered does."""
    memory, disk = MemoryFacts(10), []
    for number in range(4):
        memory.append(b"%d" % number)
    assert [line.content for line in memory.take(MEMORY, most=2)] == [b"0", b"1"]
    assert memory.spill(disk.append) is False
    assert disk == []
    memory.forget(MEMORY + 1)
    memory.give_back()
    assert memory.spill(disk.append) is True
    assert disk == [b"1", b"2", b"3"]


def test_what_was_claimed_waits_for_the_sender() -> None:
    """What is kept for the sender does not go to the disk; with nothing there, there is nothing to keep."""
    memory, disk = MemoryFacts(10), []
    assert memory.claim() is False
    memory.append(b"0")
    assert memory.claim() is True
    assert memory.spill(disk.append) is False
    memory.give_back()
    assert memory.spill(disk.append) is True
    assert memory.end() == memory.first == MEMORY + 1


def test_a_fact_that_the_disk_does_not_take_stays() -> None:
    """When the disk fails while facts are handed over, those that it did not take are still held."""
    memory, disk = MemoryFacts(10), []
    for number in range(3):
        memory.append(b"%d" % number)

    def write(line: bytes) -> None:
        if disk:
            raise OSError
        disk.append(line)

    with pytest.raises(OSError):  # noqa: PT011 - any will do
        memory.spill(write)
    assert disk == [b"0"]
    assert [line.content for line in memory.read(0)] == [b"1", b"2"]
    assert memory.take(MEMORY + 1, most=1)[0].position == MEMORY + 1


def test_whoever_interrupts_a_handing_over_takes_nothing_out() -> None:
    """A signal's handler that records while facts are handed over puts its own behind them, and each goes once."""
    memory, disk = MemoryFacts(10), []
    for number in range(3):
        memory.append(b"%d" % number)

    def write(line: bytes) -> None:
        disk.append(line)
        if line == b"1":
            assert memory.spill(disk.append) is False
            memory.append(b"the handler's")

    assert memory.spill(write) is True
    assert disk == [b"0", b"1", b"2", b"the handler's"]
    assert memory.first == memory.end() == MEMORY + 4


def test_the_sender_is_not_kept_waiting_by_the_disk() -> None:
    """While facts are handed over another thread gets none of them, at once: who hands over may wait for it."""
    memory, disk, seen = MemoryFacts(10), [], []
    for number in range(3):
        memory.append(b"%d" % number)

    def send() -> None:
        seen.append((memory.take(memory.first), memory.claim()))

    def write(line: bytes) -> None:
        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        sender.join(10)
        disk.append(line)

    assert memory.spill(write) is True
    assert seen == [([], False)] * 3
    assert disk == [b"0", b"1", b"2"]


def test_a_forked_child_begins_empty() -> None:
    """A child holds nothing of its parent's, and has all the room."""
    room = Room(1)
    memory = MemoryFacts(room)
    memory.append(b"0")
    room.forked()
    memory.clear()
    memory.append(b"1")
    assert [line.content for line in memory.read(0)] == [b"1"]
    assert memory.first == MEMORY
