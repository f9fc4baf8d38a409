"""Telnyx's ids of a run, known as soon as whoever delivers it knows them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from mission_tracer import recorder
from mission_tracer._handles.binding import Binding
from mission_tracer._planning import records
from tests.recording.test_wait import Bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.block.__exit__(None, None, None)


@pytest.fixture
def binding(bench: Bench) -> Binding:
    return Binding(recorder.default())


def test_ids_are_read_where_another_process_notes_them(bench: Bench, binding: Binding) -> None:
    """Each id is known once the delivery log names it; once both are, nobody looks again."""
    key = bench.run.key
    assert binding.ids(key) == (None, None)
    bench.note(records.MissionFound("m"))
    assert binding.ids(key) == ("m", None)
    bench.note(records.RunBound("r"))
    assert binding.ids(key) == ("m", "r")
    bench.directory.log(key).unlink()
    assert binding.ids(key) == ("m", "r")


def test_waiting_ends_with_the_runs_id(bench: Bench, binding: Binding) -> None:
    """Whoever waits has the ids when the run is bound, and looks for himself every 20 ms."""
    bench.progress.brings = lambda: bench.note(records.MissionFound("m"), records.RunBound("r"))
    assert binding.wait(bench.run.key, None)
    assert len(bench.progress.waits) == 1
    assert max(bench.progress.waits) <= 0.02
    assert binding.wait(bench.run.key, 0)


def test_nobody_waits_longer_than_he_wants(bench: Bench, binding: Binding) -> None:
    """When the time is up it is said that the ids are not known, blocking and not."""
    assert not binding.wait(bench.run.key, 0)
    assert not binding.wait(bench.run.key, 0.01)
    assert not asyncio.run(binding.wait_async(bench.run.key, 0.01))


def test_a_task_that_waits_lets_others_run(bench: Bench, binding: Binding) -> None:
    """Waiting for ids in a task does not block its loop."""

    async def main() -> bool:
        waiting = asyncio.ensure_future(binding.wait_async(bench.run.key, 20))
        await asyncio.sleep(0)
        bench.note(records.RunBound("r"))
        return await waiting

    assert asyncio.run(main())


def test_without_hope_nobody_waits(bench: Bench) -> None:
    """Without a key nobody delivers: waiting without an end ends at once."""
    recorder.configure(sender="off", log_level="off")
    assert not Binding(recorder.default()).wait(bench.run.key, None)
    assert not asyncio.run(Binding(recorder.default()).wait_async(bench.run.key, None))
