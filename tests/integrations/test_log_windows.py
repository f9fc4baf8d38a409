"""Log lines rolled up: one event per window and step, bounded, and nothing forgotten at an end."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

import mission_tracer as mt
from mission_tracer import _context, facts
from mission_tracer.integrations._before_ends import before_ends
from mission_tracer.integrations._log_windows import Line, LogWindows
from mission_tracer.recorder import Recorder
from mission_tracer.runs import Run

from .told import are_the_same, bodies, events, sequence

Journal = Callable[[], list[facts.Fact]]


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def windows(clock: Clock) -> Iterator[LogWindows]:
    """Windows of two seconds on a clock of the test."""
    mt.configure(strict=True)
    made = LogWindows(2.0, monotonic=clock)
    yield made
    made.close()


def say(windows: LogWindows, message: str, severity: int = logging.INFO, **more: Any) -> None:
    line = Line(
        at=0.0, severity=severity, level=logging.getLevelName(severity).lower(), logger="app", message=message, **more
    )
    windows.take(_context.current(), line)


def test_a_line_alone_is_an_event_at_once(windows: LogWindows, clock: Clock, journal: Journal) -> None:
    """Lines with a window or more between them are written as they come, each an event of its step."""
    with mt.mission_run("m"), mt.plan_step("s"):
        for number in range(3):
            say(windows, f"line {number}", values={"n": number})
            assert len(events(journal())) == number + 1
            clock.now += 2.0
    assert bodies(journal())[1] == {
        "type": "custom",
        "summary": "line 1",
        "step_id": "s",
        "payload": {
            "records": [
                {
                    "at": "1970-01-01T00:00:00Z",
                    "level": "info",
                    "logger": "app",
                    "message": "line 1",
                    "values": {"n": 1},
                }
            ]
        },
    }


def test_a_burst_is_two_events(windows: LogWindows, clock: Clock, journal: Journal) -> None:
    """Of a burst the first line is an event, all that follow within the window are one more."""
    with mt.mission_run("m"), mt.plan_step("s"):
        for number in range(10):
            say(windows, f"line {number}")
            clock.now += 0.1
        assert [e[1] for e in events(journal())] == ["line 0"]
    assert [e[1] for e in events(journal())] == ["line 0", "9 log records: line 1"]
    told = [record["message"] for record in bodies(journal())[1]["payload"]["records"]]
    assert told == [f"line {number}" for number in range(1, 10)]


def test_the_line_after_a_window_takes_along_what_waited(windows: LogWindows, clock: Clock, journal: Journal) -> None:
    """A line that comes when the window is over is written with those that waited: one event per window."""
    with mt.mission_run("m"):
        for number in range(50):
            say(windows, f"line {number}")
            clock.now += 0.5
        assert [e[1] for e in events(journal())] == ["line 0"] + [f"4 log records: line {n}" for n in range(1, 48, 4)]


def test_steps_have_windows_of_their_own(windows: LogWindows, clock: Clock, journal: Journal) -> None:
    """Lines of two steps are never in one event, and a step's lines are written before it ends."""
    with mt.mission_run("m"):
        with mt.plan_step("a"):
            say(windows, "a 1")
            say(windows, "a 2")
            with mt.plan_step("b"):
                say(windows, "b 1")
                say(windows, "b 2")
            say(windows, "a 3")
        say(windows, "outside 1")
        say(windows, "outside 2")
    assert sequence(journal()) == [
        "run_opened",
        "step_entered a",
        "custom: a 1",
        "step_entered b",
        "custom: b 1",
        "custom: b 2",
        "step_left b",
        "custom: 2 log records: a 2",
        "step_left a",
        "custom: outside 1",
        "custom: outside 2",
        "run_closed",
    ]


def test_a_window_that_is_over_is_written_by_a_line_of_another_step(
    windows: LogWindows, clock: Clock, journal: Journal
) -> None:
    """What waits in a step that says no more is written when any other line comes after its window."""
    with mt.mission_run("m"), mt.plan_step("a") as a:
        say(windows, "a 1")
        say(windows, "a 2")
        clock.now += 2.0
        with mt.plan_step("b"):
            say(windows, "b 1")
            assert [e[1] for e in events(journal())] == ["a 1", "a 2", "b 1"]
        assert a.id == "a"


@pytest.mark.parametrize(
    ("severity", "kind"), [(logging.WARNING, "custom"), (logging.ERROR, "error"), (logging.CRITICAL, "error")]
)
def test_warnings_and_errors_do_not_wait(
    severity: int, kind: str, windows: LogWindows, clock: Clock, journal: Journal
) -> None:
    """A warning or an error within a window is an event at once, after what waited; errors are events of that type."""
    with mt.mission_run("m"):
        for number in range(3):
            say(windows, f"line {number}")
        say(windows, "look", severity)
        assert [e[:2] for e in events(journal())] == [
            ("custom", "line 0"),
            ("custom", "2 log records: line 1"),
            (kind, "look"),
        ]


def test_a_storm_of_errors_is_bounded(windows: LogWindows, clock: Clock, journal: Journal) -> None:
    """After ten of them within a window, errors are rolled up like everything else."""
    with mt.mission_run("m"):
        for number in range(1000):
            say(windows, f"error {number}", logging.ERROR)
    told = events(journal())
    assert len(told) == 11
    assert told[-1][:2] == ("custom", "990 log records: error 10")


def test_a_flood_is_bounded_in_count(windows: LogWindows, clock: Clock, journal: Journal) -> None:
    """Of a flood the first 80 and the last 20 lines of the window are kept, and the others counted."""
    with mt.mission_run("m"):
        say(windows, "first")
        for number in range(5000):
            say(windows, f"line {number}")
    _, body = bodies(journal())
    told = [record["message"] for record in body["payload"]["records"]]
    assert told == [f"line {n}" for n in (*range(80), *range(4980, 5000))]
    assert body["payload"]["left_out"] == 4900
    assert body["summary"] == "5000 log records: line 0"


@pytest.mark.parametrize("most", [1024, 4096, 32768])
def test_a_flood_is_bounded_in_size(most: int, clock: Clock, journal: Journal) -> None:
    """However long the lines, an event stays within `max_payload_bytes`."""
    mt.configure(strict=True, max_payload_bytes=most)
    windows = LogWindows(2.0, monotonic=clock)
    with mt.mission_run("m"):
        for number in range(200):
            say(windows, f"line {number} " + "x" * 100_000, values={"big": "y" * 100_000, "n": number})
        say(windows, "warned", logging.WARNING, error=ValueError("z" * 100_000))
    windows.close()
    told = bodies(journal())
    assert len(told) >= 3
    assert max(len(msgspec.json.encode(body["payload"])) for body in told) <= most
    count = sum(len(body["payload"]["records"]) + body["payload"].get("left_out", 0) for body in told)
    assert count == 201


def test_secrets_of_lines_are_hidden(windows: LogWindows, journal: Journal) -> None:
    """Texts, values and errors of lines are redacted."""
    with mt.mission_run("m"):
        say(windows, "Authorization: Bearer abcdefghijklmnopqrstuv", values={"password": "hunter2-hunter2"})
        say(windows, "key", logging.WARNING, error=ValueError("https://me:hunter2-hunter2@example.com/"))
    written = b"".join(bytes(f.body) for f in journal() if isinstance(f, facts.Event))
    assert b"hunter2" not in written
    assert b"abcdefghij" not in written


def test_an_error_is_told_once(windows: LogWindows, journal: Journal) -> None:
    """A line that was logged with an exception is a line; the exception is an error event once, however it surfaces."""
    error = ValueError("no line is free")

    @mt.tool_call
    def dial() -> None:
        raise error

    @mt.mission_run("m")
    @mt.plan_step("s")
    def agent() -> None:
        try:
            dial()
        except ValueError:
            say(windows, "dialling failed", logging.ERROR, error=error)
            raise

    with pytest.raises(ValueError, match="no line"):
        agent()
    told = events(journal())
    assert [e[:2] for e in told if e[0] != "tool_call"] == [
        ("error", "ValueError: no line is free"),
        ("custom", "dialling failed"),
    ]
    with mt.mission_run("m"):
        say(windows, "swallowed", logging.ERROR, error=error)
    assert [e[:2] for e in events(journal())][-2:] == [
        ("custom", "swallowed"),
        ("error", "ValueError: no line is free"),
    ]


def test_a_handled_exception_of_a_warning_keeps_its_traceback(windows: LogWindows, journal: Journal) -> None:
    """A warning's exception stays with its line, with the traceback."""
    with mt.mission_run("m"):
        try:
            raise ValueError("odd")
        except ValueError as error:
            say(windows, "retrying", logging.WARNING, error=error)
    [body] = bodies(journal())
    assert "raise ValueError" in body["payload"]["records"][0]["error"]["traceback"]


def test_what_waits_is_written_by_a_flush(windows: LogWindows, clock: Clock, journal: Journal) -> None:
    """`flush` writes what waits, of every run."""
    with mt.mission_run("m"):
        say(windows, "one")
        say(windows, "two")
        mt.flush(0)
        assert [e[1] for e in events(journal())] == ["one", "two"]


def test_what_waits_is_written_before_a_continued_block_ends(windows: LogWindows, journal: Journal) -> None:
    """The end of a `continue_run` block writes what its lines left waiting."""
    with mt.mission_run("m"):
        with mt.continue_run(mt.inject()):
            say(windows, "one")
            say(windows, "two")
        assert [e[1] for e in events(journal())] == ["one", "two"]


def test_windows_of_zero_seconds_roll_nothing_up(clock: Clock, journal: Journal) -> None:
    """With a window of 0 seconds every line is an event."""
    windows = LogWindows(0, monotonic=clock)
    with mt.mission_run("m"):
        for number in range(5):
            say(windows, f"line {number}")
        assert [e[1] for e in events(journal())] == [f"line {n}" for n in range(5)]
    windows.close()


def test_many_steps_leave_nothing_behind(windows: LogWindows, clock: Clock) -> None:
    """Windows of ended steps are forgotten, and so are those of steps that say no more."""
    with mt.mission_run("m"):
        for number in range(100):
            with mt.plan_step(f"s{number}"):
                say(windows, "one")
                say(windows, "two")
        assert not windows._windows
        say(windows, "outside")
        clock.now += 2.0
        with mt.plan_step("last"):
            say(windows, "inside")
            assert len(windows._windows) == 1


def test_threads_lose_no_line(clock: Clock, journal: Journal) -> None:
    """Eight threads that log into one step are all counted."""
    mt.configure(strict=True)
    windows = LogWindows(1000.0, monotonic=clock)

    def work(number: int) -> None:
        for turn in range(100):
            say(windows, f"{number} {turn}")

    with mt.mission_run("m"), mt.plan_step("s"):
        threads = [threading.Thread(target=mt.carry(work), args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    windows.close()
    told = [body["payload"] for body in bodies(journal())]
    assert sum(len(p["records"]) + p.get("left_out", 0) for p in told) == 800


class Interrupting(Clock):
    """Seconds at whose reading something else happens once, as a collection of garbage or a signal may at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.happens: Callable[[], object] | None = None

    def __call__(self) -> float:
        happens, self.happens = self.happens, None
        if happens is not None:
            happens()
        return super().__call__()


def test_a_step_that_is_collected_in_the_middle_of_ours_ends(journal: Journal) -> None:
    """The garbage collector may end a generator's step while a line is sorted in: nothing stands still or is lost."""
    clock = Interrupting()
    windows = LogWindows(2.0, monotonic=clock)

    @mt.plan_step
    def part() -> Iterator[int]:
        try:
            say(windows, "part 1")
            say(windows, "part 2")
            yield 1
        finally:
            say(windows, "collected")

    with mt.mission_run("m"):
        say(windows, "one")
        left = [part()]
        next(left[0])
        clock.happens = left.clear
        say(windows, "two")
        assert not [key for key in windows._windows if key[1] == "part"]
    windows.close()
    assert [e[1:] for e in events(journal())] == [
        ("one", None),
        ("part 1", "part"),
        ("collected", "part"),
        ("part 2", "part"),
        ("two", None),
    ]


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="needs signals")
def test_a_signal_in_the_middle_of_ours_may_end_the_run(journal: Journal) -> None:
    """A signal's handler that flushes and ends the run while a line is sorted in stands not still, and loses none."""
    clock = Interrupting()
    windows = LogWindows(2.0, monotonic=clock)

    with mt.mission_run("m") as run:

        def handle(*_: object) -> None:
            mt.flush(0)
            run.end()

        before = signal.signal(signal.SIGUSR1, handle)
        try:
            say(windows, "one")
            say(windows, "two")
            clock.happens = lambda: signal.raise_signal(signal.SIGUSR1)
            say(windows, "three")
        finally:
            signal.signal(signal.SIGUSR1, before)
    windows.close()
    assert [e[1] for e in events(journal())] == ["one", "2 log records: two"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_does_not_repeat_what_waits(windows: LogWindows, journal: Journal) -> None:
    """What waits when a child is forked is written once, by the parent; the child writes its own."""

    def child() -> None:
        say(windows, "of the child")

    with mt.mission_run("m"):
        say(windows, "one")
        say(windows, "two")
        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        process.join()
        assert process.exitcode == 0
    assert sorted(e[1] for e in events(journal())) == ["of the child", "one", "two"]


def test_closing_gives_our_classes_back() -> None:
    """When nobody holds anything back any more, nobody hears of the ends."""
    gc.collect()  # windows of other tests, which nobody closed
    LogWindows(1).close()
    assert before_ends._patches is None
    before = vars(Run)["leave_step"], vars(Run)["end"], vars(Recorder)["flush"], vars(Recorder)["exit"]
    one, two = LogWindows(1), LogWindows(1)
    one.close()
    assert vars(Run)["leave_step"] is not before[0]
    two.close()
    after = vars(Run)["leave_step"], vars(Run)["end"], vars(Recorder)["flush"], vars(Recorder)["exit"]
    assert are_the_same(after, before)


def test_an_error_of_a_holder_does_not_keep_a_step_from_ending(journal: Journal) -> None:
    """When writing what waits fails, the step and the run end as they would."""
    mt.configure(log_level="off")

    class Broken(LogWindows):
        def settle(self, run: Any = None, step_id: Any = None) -> None:
            raise RuntimeError("ours")

    broken = Broken(1)
    with mt.mission_run("m"), mt.plan_step("s"):
        pass
    before_ends.discard(broken)
    assert sequence(journal()) == ["run_opened", "step_entered s", "step_left s", "run_closed"]
