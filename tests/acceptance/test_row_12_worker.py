"""Row 12: the sender outlives whatever happens in its threads, and records nothing of what it does itself."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import pytest

import mission_tracer as mt
from mission_tracer.integrations.logging import MissionLogHandler


class OddError(BaseException):
    """What no `except Exception` catches."""


@pytest.mark.parametrize("error", [OddError, SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError, RecursionError])
def test_row_12_an_error_in_a_thread_is_survived(error: type[BaseException], api: Any, monkeypatch: Any) -> None:
    """When the HTTP library raises anything at all, the sender goes on, and everything arrives once."""
    mt.configure(api_key="KEY_of_the_test", base_url=api.base_url, settle=0.1, max_backoff=0.05, log_level="off")
    real, left = httpcore.HTTPConnection.handle_request, iter(range(5))

    def odd(connection: httpcore.HTTPConnection, request: httpcore.Request) -> httpcore.Response:
        if next(left, None) is not None:
            raise error("odd")
        return real(connection, request)

    monkeypatch.setattr(httpcore.HTTPConnection, "handle_request", odd)
    with mt.mission_run("Odd"):
        for number in range(5):
            mt.log_event(f"event {number}")
    assert mt.flush(30)
    assert next(left, None) is None
    assert [event.summary for event in api.only_run()["events"]] == [f"event {number}" for number in range(5)]


@pytest.fixture
def chatty() -> Iterator[None]:
    """Record every log line of the process, from the lowest level on."""
    handler, root = MissionLogHandler(level=logging.DEBUG), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield
    root.setLevel(before)
    root.removeHandler(handler)
    handler.close()


@contextmanager
def collected_by_the_sender(first: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Have the garbage of what the block makes collected on the sender's threads alone, before each request."""
    real = httpcore.HTTPConnection.handle_request

    def collecting(connection: httpcore.HTTPConnection, request: httpcore.Request) -> httpcore.Response:
        first()
        gc.collect()
        return real(connection, request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpcore.HTTPConnection, "handle_request", collecting)
        gc.disable()
        gc.freeze()  # what was there before takes long to go through
        try:
            yield
        finally:
            gc.unfreeze()
            gc.enable()


def test_row_12_what_the_sender_does_is_not_recorded(api: Any, chatty: None) -> None:
    """Log lines and destructors that run on the sender's threads record nothing, so nothing feeds itself."""

    class Loud:
        def __init__(self) -> None:
            self.itself = self  # only the garbage collector ends it

        def __del__(self) -> None:
            logging.getLogger("loud").warning("ended")
            mt.log_event("ended")

    def be_loud() -> None:
        logging.getLogger("sender").error("sending")
        Loud()

    with collected_by_the_sender(be_loud), mt.mission_run("Loud"):
        logging.getLogger("mine").warning("mine")
        assert mt.flush(30)
    assert mt.flush(30)
    said = [event.summary for event in api.only_run()["events"]]
    assert len(said) == 1
    assert "mine" in said[0]


def test_row_12_what_waits_on_a_senders_thread_does_not_keep_it(api: Any) -> None:
    """A destructor that flushes, or waits for the ids, on a sender's thread gets its answer at once; all arrives."""
    seen: list[tuple[bool, bool]] = []

    class Last:
        def __init__(self, run: mt.Run) -> None:
            self.itself = self  # only the garbage collector ends it
            self.run = run

        def __del__(self) -> None:
            seen.append((mt.flush(30), self.run.wait_bound(30)))

    with collected_by_the_sender(), mt.mission_run("Last") as run:
        Last(run)
        mt.log_event("said")
        assert mt.flush(20)
    assert seen == [(False, False)]
    assert [event.summary for event in api.only_run()["events"]] == ["said"]
