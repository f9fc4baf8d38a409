"""Threads and executors that carry the run by themselves."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import logging.handlers
import queue
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from typing import Any

import msgspec
import pytest

import mission_tracer as mt
from mission_tracer import _context, facts
from mission_tracer._base.ownership import Rank, owning

from .told import are_the_same

Journal = Callable[[], list[facts.Fact]]


def events(found: list[facts.Fact]) -> list[tuple[str, str | None]]:
    """The events of a journal: summary and step."""
    bodies = [msgspec.json.decode(f.body) for f in found if isinstance(f, facts.Event)]
    return [(body["summary"], body.get("step_id")) for body in bodies]


def note(text: str = "noted") -> str:
    mt.log_event(text)
    return text


def run(thread: threading.Thread) -> None:
    thread.start()
    thread.join()


@pytest.fixture
def threads() -> Iterator[None]:
    """Switch threads and executors on."""
    mt.configure(strict=True)
    mt.instrument("threading", "concurrent.futures")
    yield
    mt.uninstrument("threading", "concurrent.futures")


class Speaker(threading.Thread):
    """A thread with a body of its own."""

    def run(self) -> None:
        note("body")


def test_threads_record_in_the_step_they_were_started_in(threads: None, journal: Journal) -> None:
    """A thread with a target, one with a body of its own, and a timer record in the step that started them."""
    with mt.mission_run("m"), mt.plan_step("s"):
        run(threading.Thread(target=note, args=("target",)))
        run(Speaker())
        run(threading.Timer(0, note, ("timer",)))
    run(threading.Thread(target=note, args=("outside",)))
    assert events(journal()) == [("target", "s"), ("body", "s"), ("timer", "s")]


def test_threads_of_threads_record_in_the_step(threads: None, journal: Journal) -> None:
    """A thread started by a thread is in the same step."""

    def outer() -> None:
        run(threading.Thread(target=note, args=("inner",)))

    with mt.mission_run("m"), mt.plan_step("s"):
        run(threading.Thread(target=outer))
    assert events(journal()) == [("inner", "s")]


def test_a_started_thread_is_as_it_was(threads: None) -> None:
    """A thread that ran keeps no trace of us and holds neither itself nor the run."""
    with mt.mission_run("m") as mine:
        thread = Speaker()
        run(thread)
    assert "run" not in vars(thread)
    assert thread.run == Speaker.run.__get__(thread)
    kept = weakref.ref(thread)
    held = weakref.ref(mine)
    gc.collect()
    gc.disable()
    try:
        del thread, mine
        assert kept() is None
    finally:
        gc.enable()
    assert held is not None


def test_a_thread_that_cannot_start_is_as_it_was(threads: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the system gives no thread, the error is the system's and the thread keeps nothing of us."""

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("can't start new thread")

    for name in ("_start_new_thread", "_start_joinable_thread"):
        monkeypatch.setattr(threading, name, refuse, raising=False)
    thread = threading.Thread(target=note)
    with mt.mission_run("m"), pytest.raises(RuntimeError, match="can't start"):
        thread.start()
    assert "run" not in vars(thread)


def test_a_thread_started_twice_raises_as_ever(threads: None) -> None:
    """Starting a thread again is the error it always was."""
    thread = threading.Thread(target=note)
    with mt.mission_run("m"):
        run(thread)
        with pytest.raises(RuntimeError, match="once"):
            thread.start()
    assert "run" not in vars(thread)


def test_a_run_that_was_set_on_the_thread_is_kept(threads: None, journal: Journal) -> None:
    """A body that the user put on the thread itself runs, in the step, and is still there afterwards."""
    thread = threading.Thread()
    body = vars(thread)["run"] = lambda: note("mine")
    with mt.mission_run("m"), mt.plan_step("s"):
        run(thread)
    assert vars(thread)["run"] is body
    assert events(journal()) == [("mine", "s")]


def test_an_error_in_a_thread_reaches_its_hook(threads: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a thread raises goes to `threading.excepthook`, unchanged."""
    error = ValueError("no")
    seen: list[BaseException | None] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: seen.append(args.exc_value))

    def fail() -> None:
        raise error

    with mt.mission_run("m"):
        run(threading.Thread(target=fail))
    assert seen == [error]


def test_executors_record_in_the_step_that_submitted(threads: None, journal: Journal) -> None:
    """`submit`, `map` and the event loop record in the submitter's step; the pool's threads belong to none."""

    async def ask() -> None:
        await asyncio.get_running_loop().run_in_executor(None, note, "loop")
        await asyncio.to_thread(note, "to_thread")

    with ThreadPoolExecutor(1) as pool:
        with mt.mission_run("m"):
            with mt.plan_step("s"):
                assert pool.submit(note, "submitted").result() == "submitted"
                assert list(pool.map(note, ["a", "b"])) == ["a", "b"]
            with mt.plan_step("t"):
                pool.submit(mt.carry(note), "carried").result()
                asyncio.run(ask())
        assert pool.submit(note, "outside").result() == "outside"
        assert pool.submit(_context.current).result() is None
    assert events(journal()) == [
        ("submitted", "s"),
        ("a", "s"),
        ("b", "s"),
        ("carried", "t"),
        ("loop", "t"),
        ("to_thread", "t"),
    ]


def test_threading_alone_leaves_pools_alone(journal: Journal) -> None:
    """A pool's thread does not stay in the run that happened to start it."""
    mt.instrument("threading")
    with ThreadPoolExecutor(1) as pool:
        with mt.mission_run("m"):
            pool.submit(note, "first").result()
        pool.submit(note, "second").result()
    assert events(journal()) == []


def test_a_pool_of_threads_carries_each_task(journal: Journal) -> None:
    """A task of `ThreadPool` records in the step it was given in, wherever the pool was made."""
    mt.configure(strict=True)
    mt.instrument("threading")
    with mt.mission_run("m"):
        with mt.plan_step("made"):
            pool = ThreadPool(2)
        with pool:
            with mt.plan_step("one"):
                pool.apply(note, ("applied",))
                assert pool.map(note, ["mapped"]) == ["mapped"]
                assert pool.starmap(note, [("starred",)]) == ["starred"]
            with mt.plan_step("two"):
                assert list(pool.imap(note, ["in order"])) == ["in order"]
                assert list(pool.imap_unordered(note, ["in any order"])) == ["in any order"]
            contextvars.Context().run(pool.map, note, ["of nobody"])
    assert events(journal()) == [
        ("applied", "one"),
        ("mapped", "one"),
        ("starred", "one"),
        ("in order", "two"),
        ("in any order", "two"),
    ]


def test_a_listener_of_the_logging_library_stays_outside(threads: None, journal: Journal) -> None:
    """A thread that serves the whole process, such as logging's listener, is not put into the run that starts it."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            note("listened")

    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    listener = logging.handlers.QueueListener(waiting, Handler())
    with mt.mission_run("m"):
        listener.start()
        waiting.put(logging.makeLogRecord({}))
        listener.stop()
    assert events(journal()) == []


@pytest.mark.slow
def test_process_pools_record_in_the_step_that_submitted(threads: None, journal: Journal) -> None:
    """A process pool's functions take part in the run by themselves."""
    with mt.mission_run("m"), mt.plan_step("s"), ProcessPoolExecutor(1) as pool:
        assert pool.submit(note, "submitted").result() == "submitted"
        assert list(pool.map(note, ["a", "b"], chunksize=2)) == ["a", "b"]
    assert events(journal()) == [("submitted", "s"), ("a", "s"), ("b", "s")]


def test_whoever_records_a_call_owns_its_threads(threads: None) -> None:
    """Threads and submitted functions inherit who records the call under way, and give it back."""
    seen = []

    def look() -> None:
        seen.append(_context.owner.get())

    with ThreadPoolExecutor(1) as pool, mt.mission_run("m"), owning(Rank.FRAMEWORK):
        run(threading.Thread(target=look))
        pool.submit(look).result()
        pool.submit(mt.carry(look)).result()
    assert seen == [Rank.FRAMEWORK] * 3


def test_switching_off_restores_everything() -> None:
    """After `uninstrument` the classes have their own methods again."""
    before = threading.Thread.start, ThreadPoolExecutor.submit, ProcessPoolExecutor.submit
    mt.instrument("threading", "concurrent.futures")
    mt.instrument("threading", "concurrent.futures")
    assert threading.Thread.start is not before[0]
    mt.uninstrument()
    assert are_the_same((threading.Thread.start, ThreadPoolExecutor.submit, ProcessPoolExecutor.submit), before)


def test_our_own_threads_are_left_alone(threads: None, api: Any) -> None:
    """The threads that deliver belong to no run."""
    mt.uninstrument()
    mt.instrument("threading")
    with mt.mission_run("m"):
        note()
        assert mt.flush(20)
        ours = [t for t in threading.enumerate() if t.name.startswith("mission_tracer")]
        assert ours
        assert all("run" not in vars(t) for t in ours)


def test_an_error_of_ours_does_not_reach_the_program() -> None:
    """When our part of starting a thread or of submitting fails, the thread runs and the function is submitted."""
    mt.configure(log_level="off")
    mt.instrument("threading", "concurrent.futures")

    class Odd(threading.Thread):
        @property
        def _target(self) -> Any:
            raise RuntimeError("ours")

        @_target.setter
        def _target(self, value: Any) -> None: ...

        def run(self) -> None:
            done.append(1)

    class Function:
        @property
        def __class__(self) -> Any:
            raise RuntimeError("ours")

        def __call__(self) -> None:
            done.append(2)

    done: list[int] = []
    with mt.mission_run("m"):
        run(Odd())
        with ThreadPoolExecutor(1) as pool:
            pool.submit(Function()).result()
    assert done == [1, 2]
