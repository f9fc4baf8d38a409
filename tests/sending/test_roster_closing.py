"""A run that is over is put away when nobody writes to it; one that nobody looks after is known as left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("starlette")

from mission_tracer._base.locks import try_lock
from mission_tracer._disk.delivery_log import DeliveryLog
from mission_tracer._disk.journal import AppendFile, iterate_lines
from mission_tracer._planning import records
from mission_tracer._sending.roster_closing import is_left, put_away
from tests.disks import file_size_limit
from tests.lanes import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    world.open()
    world.event("a")
    yield world
    world.finish()


def delivered(world: World) -> World:
    """Have the run end and arrive."""
    world.close()
    world.journal.close()
    lane = world.deliver()
    assert lane is not None
    assert lane.is_over()
    return world


def places(world: World) -> tuple[list[str], list[str]]:
    """List the files of runs that are not put away, and of those that are."""
    directory = world.directory
    return tuple(  # type: ignore[return-value]  # there are two
        sorted(path.name.removeprefix(world.key) for path in place.iterdir())
        for place in (directory.runs, directory.delivered)
    )


# ---- putting away ----


def test_a_run_that_is_over_is_put_away(world: World) -> None:
    """A delivered run that nobody writes moves with its log, which says that it is finished."""
    lane = delivered(world).lane
    assert lane is not None
    assert put_away(world.directory, lane)
    assert places(world) == ([], [".jsonl", ".sent.jsonl"])
    assert lane.state.is_at_rest
    last = (world.directory.delivered / f"{world.key}.sent.jsonl").read_bytes().splitlines()[-1]
    assert records.decode(last) == records.Finished()


def test_what_is_written_is_not_put_away(world: World) -> None:
    """While a process may write to a run it stays where it is, and is not called finished."""
    lane = delivered(world).lane
    assert lane is not None
    writer = AppendFile(world.directory.journal(world.key), create=False)
    assert try_lock(writer.fd, shared=True)
    assert not put_away(world.directory, lane)
    assert not lane.state.is_at_rest
    writer.close()
    assert put_away(world.directory, lane)


def test_a_last_fact_is_not_put_away(world: World) -> None:
    """A run with a fact that came after its end stays until that is delivered."""
    lane = delivered(world).lane
    assert lane is not None
    world.journal = AppendFile(world.directory.journal(world.key), create=False)
    world.event("late")
    world.journal.close()
    assert not put_away(world.directory, lane)
    world.deliver()
    assert put_away(world.directory, lane)


def test_a_decision_in_the_last_moment_counts(world: World) -> None:
    """A run whose owner has just decided that a refused fact is to be sent again stays."""
    lane = delivered(world).lane
    assert lane is not None
    lane.courier.note(records.Rejected(0, 1, "w.1", "no"))
    log = AppendFile(world.directory.log(world.key), create=False)
    log.append(records.encode(records.Retried(0)))
    log.close()
    assert not put_away(world.directory, lane)
    assert not lane.state.is_at_rest


@pytest.mark.parametrize("refused", [False, True])
def test_a_log_that_the_disk_does_not_take(refused: bool, world: World) -> None:
    """A run whose log lacks something is deleted, or it would be sent again; with a refused fact it stays."""
    lane = delivered(world).lane
    assert lane is not None
    with file_size_limit(0):
        if refused:
            lane.courier.note(records.Rejected(0, 1, "w.1", "no"))
        assert put_away(world.directory, lane) is not refused
    assert places(world) == ([".jsonl", ".sent.jsonl"] if refused else [], [])


def test_what_is_not_there_is_not_put_away(world: World) -> None:
    """A run whose journal was deleted cannot be put away."""
    lane = delivered(world).lane
    assert lane is not None
    world.directory.journal(world.key).unlink()
    with pytest.raises(FileNotFoundError):
        put_away(world.directory, lane)


# ---- left behind ----


def test_a_run_that_nobody_delivers_is_left(world: World) -> None:
    """A run with something to deliver is left behind when its writers and its sender are gone, also one never begun."""
    world.journal.close()
    assert is_left(world.directory, world.key)  # nobody ever delivered it: there is no log
    world.start()
    assert not is_left(world.directory, world.key)
    world.stop()
    assert is_left(world.directory, world.key)


def test_a_run_that_is_written_is_not_left(world: World) -> None:
    """As long as a process may write to a run, it is that one's."""
    assert not is_left(world.directory, world.key)
    world.journal.close()
    assert is_left(world.directory, world.key)


def test_only_what_is_to_be_delivered_is_left(world: World) -> None:
    """A run of which everything is delivered, or refused, is not left behind; what is to be sent again counts."""
    first, end = (line.end for line in iterate_lines(world.directory.journal(world.key)))
    world.journal.close()
    log = DeliveryLog(world.directory.log(world.key))
    for record, left in (
        (records.Acknowledged(0, first), True),
        (records.Rejected(first, end, "w.1", "no"), False),
        (records.Retried(first), True),
        (records.Acknowledged(first, end), False),
    ):
        assert log.try_open()
        log.note(record)
        log.close()
        assert is_left(world.directory, world.key) is left
