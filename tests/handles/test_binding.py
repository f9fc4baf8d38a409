"""Telnyx's ids of a run, known as soon as whoever delivers it knows them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

import mission_tracer as mt
from mission_tracer import recorder
from mission_tracer._handles.binding import Bound
from mission_tracer._planning import records
from mission_tracer.recorder import Recorder
from mission_tracer.settings import Settings
from tests.recording.test_wait import Bench
from tests.scripted import KEY, Answer, scripted_server


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.block.__exit__(None, None, None)


@pytest.fixture
def bound(bench: Bench) -> Bound:
    return Bound(recorder.default(), bench.run.stream)


def test_ids_are_read_where_another_process_notes_them(bench: Bench, bound: Bound) -> None:
    """Each id is known once the delivery log names it; once both are, nobody looks again."""
    key = bench.run.key
    assert (bound.mission_id, bound.run_id) == (None, None)
    bench.note(records.MissionFound("m"))
    assert (bound.mission_id, bound.run_id) == ("m", None)
    bench.note(records.RunBound("r"))
    assert (bound.mission_id, bound.run_id) == ("m", "r")
    bench.directory.log(key).unlink()
    assert (bound.mission_id, bound.run_id) == ("m", "r")


def test_waiting_ends_with_the_runs_id(bench: Bench, bound: Bound) -> None:
    """Whoever waits has the ids when the run is bound, and looks for himself every 20 ms."""
    bench.progress.brings = lambda: bench.note(records.MissionFound("m"), records.RunBound("r"))
    assert bound.wait_bound(None)
    assert len(bench.progress.waits) == 1
    assert max(bench.progress.waits) <= 0.02
    assert bound.wait_bound(0)


def test_nobody_waits_longer_than_he_wants(bench: Bench, bound: Bound) -> None:
    """When the time is up it is said that the ids are not known, blocking and not."""
    assert not bound.wait_bound(0)
    assert not bound.wait_bound(0.01)
    assert not asyncio.run(bound.await_bound(0.01))


def test_a_task_that_waits_lets_others_run(bench: Bench, bound: Bound) -> None:
    """Waiting for ids in a task does not block its loop."""

    async def main() -> bool:
        waiting = asyncio.ensure_future(bound.await_bound(20))
        await asyncio.sleep(0)
        bench.note(records.RunBound("r"))
        return await waiting

    assert asyncio.run(main())


def test_without_hope_nobody_waits(bench: Bench) -> None:
    """Without a key nobody delivers: waiting without an end ends at once."""
    recorder.configure(sender="off", log_level="off")
    bound = Bound(recorder.default(), bench.run.stream)
    assert not bound.wait_bound()
    assert not asyncio.run(bound.await_bound())


def test_of_a_parked_run_nobody_waits() -> None:
    """A run that the server does not take gets no ids: whoever waits for them goes on as soon as that is known."""
    with scripted_server() as server:
        server.answer(Answer(422), Answer(422))
        recorder.configure(api_key=KEY, base_url=server.url, log_level="off")
        with mt.mission_run("m") as run:
            started = time.monotonic()
            assert not run.wait_bound(40)
            assert not asyncio.run(run.await_bound(40))
            assert time.monotonic() - started < 30
        recorder.discard()
    assert [request.method for request in server.seen] == ["GET", "GET"]


@pytest.mark.parametrize("timeout", ["5", -1, float("nan"), True])
def test_a_wrong_time_is_no_wait(bench: Bench, bound: Bound, timeout: Any) -> None:
    """A timeout that is no number of seconds does not make the program wait, and is raised when strict."""
    assert not bound.wait_bound(timeout)
    assert not asyncio.run(bound.await_bound(timeout))
    strict = Bound(Recorder(Settings.load({"strict": True, "durability": "memory"})), bench.run.stream)
    with pytest.raises((TypeError, ValueError), match="timeout must be"):
        strict.wait_bound(timeout)
