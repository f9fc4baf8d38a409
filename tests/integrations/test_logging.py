"""Records of the standard library's logging become events of the current step."""

from __future__ import annotations

import contextvars
import io
import logging
import logging.config
import logging.handlers
import multiprocessing
import os
import queue
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import mission_tracer as mt
from mission_tracer import facts
from mission_tracer.integrations.logging import MissionIds, MissionLogHandler

from .told import are_the_same, bodies, events

Journal = Callable[[], list[facts.Fact]]


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """A logger of the test's own, open for everything; the root logger is restored afterwards."""
    made, root = logging.getLogger("app"), logging.getLogger()
    before = root.level, list(root.handlers), made.level
    made.setLevel(logging.DEBUG)
    made.propagate = True
    yield made
    root.level, root.handlers = before[0], before[1]
    made.setLevel(before[2])
    made.handlers.clear()
    logging.setLogRecordFactory(logging.LogRecord)


@pytest.fixture
def handler(logger: logging.Logger) -> Iterator[MissionLogHandler]:
    """Our handler on that logger."""
    mt.configure(strict=True)
    made = MissionLogHandler(window=0)
    logger.addHandler(made)
    yield made
    logger.removeHandler(made)
    made.close()


def test_a_record_becomes_an_event_of_the_current_step(
    handler: MissionLogHandler, logger: logging.Logger, journal: Journal
) -> None:
    """Message, level, logger and extras of a record are an event, linked to the step it was logged in."""
    with mt.mission_run("m"), mt.plan_step("s"):
        logger.info("Found %d contractors", 3, extra={"city": "Chicago"})
    [body] = bodies(journal())
    [record] = body["payload"]["records"]
    assert (body["type"], body["summary"], body["step_id"]) == ("custom", "Found 3 contractors", "s")
    assert record.pop("at").endswith("Z")
    assert record == {"level": "info", "logger": "app", "message": "Found 3 contractors", "values": {"city": "Chicago"}}


def test_levels_and_outside(handler: MissionLogHandler, logger: logging.Logger, journal: Journal) -> None:
    """Records below the level, and those outside of a run, are left out; errors are events of that type."""
    logger.info("outside")
    with mt.mission_run("m"):
        logger.debug("below")
        logger.warning("careful")
        logger.error("broken")
    assert events(journal()) == [("custom", "careful", None), ("error", "broken", None)]


def test_an_exception_is_an_error_event(handler: MissionLogHandler, logger: logging.Logger, journal: Journal) -> None:
    """`logger.exception` is a line, and the exception an error event, which the end of the run does not repeat."""

    @mt.mission_run("m")
    def agent() -> None:
        try:
            raise ValueError("no line is free")
        except ValueError:
            logger.exception("Calling failed")
            raise

    with pytest.raises(ValueError, match="no line"):
        agent()
    assert events(journal()) == [
        ("custom", "Calling failed", None),
        ("error", "ValueError: no line is free", None),
    ]
    assert "raise ValueError" in bodies(journal())[1]["payload"]["error"]["traceback"]


def test_errors_that_look_the_same_are_an_event_each(
    handler: MissionLogHandler, logger: logging.Logger, journal: Journal
) -> None:
    """A loop that logs the same failure each time has an error event for each; one that is logged twice has one."""

    def dial() -> None:
        raise ConnectionError("busy")

    with mt.mission_run("m"):
        for _ in range(5):
            try:
                dial()
            except ConnectionError as error:
                logger.exception("Calling failed")
                logger.error("Giving up", exc_info=error)
    assert [event[:2] for event in events(journal())] == [
        ("custom", "Calling failed"),
        ("error", "ConnectionError: busy"),
        ("custom", "Giving up"),
    ] * 5


@pytest.mark.parametrize(
    "name", ["httpx", "httpcore.http11", "urllib3.connectionpool", "mission_tracer.sender", "noisy.part"]
)
def test_loggers_of_http_and_ours_are_skipped(name: str, logger: logging.Logger, journal: Journal) -> None:
    """What tells of requests, what is ours, and what the user names, is left out with all below it."""
    mt.configure(strict=True)
    handler = MissionLogHandler(logging.DEBUG, window=0, skip=["noisy"])
    logging.getLogger().addHandler(handler)
    with mt.mission_run("m"):
        logging.getLogger(name).error("skipped")
        logging.getLogger(name.replace(".", "") + "y").error("told")
    handler.close()
    assert [e[1] for e in events(journal())] == ["told"]


def test_our_own_requests_are_no_lines(logger: logging.Logger, api: Any) -> None:
    """With everything logged at the lowest level, delivering logs nothing that is delivered in turn."""
    root = logging.getLogger()
    root.setLevel(logging.DEBUG)
    handler = MissionLogHandler(logging.DEBUG, window=0)
    root.addHandler(handler)
    with mt.mission_run("m"):
        logger.info("one")
        assert mt.flush(20)
        logger.info("two")
    assert mt.flush(20)
    root.removeHandler(handler)
    handler.close()
    found = api.only_run()["events"]
    assert [e.summary for e in found] == ["one", "two"]


def test_a_record_that_logs_while_it_is_formatted_is_one_event(
    handler: MissionLogHandler, logger: logging.Logger, journal: Journal
) -> None:
    """An argument whose text logs in turn is recorded once and recurses into nothing."""

    class Talkative:
        def __str__(self) -> str:
            logger.info("I am talking")
            return "talked"

    logger.propagate = False  # the handlers of pytest format it too, and each makes it talk
    with mt.mission_run("m"):
        logger.info("%s", Talkative())
    assert [e[1] for e in events(journal())] == ["talked"]


@pytest.mark.parametrize(("message", "args"), [("%d", ("x",)), ("%s %s", ("one",)), ("%(a)s", ({},))])
def test_a_record_that_cannot_be_formatted_is_told_as_it_is(
    message: str, args: Any, handler: MissionLogHandler, journal: Journal
) -> None:
    """A wrong format is recorded with its arguments; nothing is raised, nothing printed."""
    record = logging.LogRecord("app", logging.INFO, __file__, 1, message, args, None)
    with mt.mission_run("m"):
        handler.handle(record)
    [body] = bodies(journal())
    assert body["summary"] == message
    assert "args" in body["payload"]["records"][0]["values"]


def test_an_error_of_ours_does_not_reach_the_program(logger: logging.Logger, capfd: pytest.CaptureFixture[str]) -> None:
    """Records whose own code fails everywhere are logged as ever by the program's other handlers."""
    mt.configure(log_level="error")
    stream = io.StringIO()
    logger.addHandler(logging.StreamHandler(stream))

    mt.instrument("logging", window=0)
    handler = MissionLogHandler(window=0)
    logger.addHandler(handler)

    class Record(logging.LogRecord):
        @property
        def levelname(self) -> str:  # type: ignore[override]
            raise RuntimeError("ours")

        @levelname.setter
        def levelname(self, value: str) -> None: ...

    logging.setLogRecordFactory(Record)
    with mt.mission_run("m"):
        logger.info("still there")
    handler.close()
    assert stream.getvalue() == "still there\n"
    assert "an error of ours was kept from the program" in capfd.readouterr().err


def test_several_handlers_record_a_record_once(logger: logging.Logger, journal: Journal) -> None:
    """However many handlers of ours see a record, and with `instrument` besides, it is one event."""
    mt.configure(strict=True)
    mt.instrument("logging", window=0)
    handlers = [MissionLogHandler(window=0), MissionLogHandler(window=0)]
    logger.addHandler(handlers[0])
    logging.getLogger().addHandler(handlers[1])
    with mt.mission_run("m"):
        logger.info("one")
        logger.info("two")
    for handler in handlers:
        handler.close()
    assert [e[1] for e in events(journal())] == ["one", "two"]


def test_instrument_leaves_the_programs_configuration_alone(journal: Journal, tmp_path: Path) -> None:
    """Switched on before it, `basicConfig` still configures; `dictConfig` after it keeps recording on."""
    script = """
import logging, logging.config, sys
import mission_tracer as mt
mt.instrument("logging", window=0)
logging.warning("before any configuration")
logging.basicConfig(level=logging.INFO, format="plain: %(message)s", stream=sys.stdout, force=True)
with mt.mission_run("m"):
    logging.info("one")
    logging.config.dictConfig({
        "version": 1,
        "formatters": {"f": {"format": "dict: %(message)s"}},
        "handlers": {"h": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "f"}},
        "root": {"level": "INFO", "handlers": ["h"]},
    })
    logging.info("two")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "plain: one\ndict: two\n"
    assert "before any configuration" in done.stderr
    assert [e[1] for e in events(journal())] == ["one", "two"]


def test_instrument_respects_the_loggers_own_levels(logger: logging.Logger, journal: Journal) -> None:
    """A record that no logger makes is none of ours; `level` is the least one that is recorded, by name or number."""
    mt.configure(strict=True)
    mt.instrument("logging", level="warning", window=0)
    with mt.mission_run("m"):
        logging.getLogger("quiet.by.default").info("not made")
        logger.info("below")
        logger.warning("told")
    assert [e[1] for e in events(journal())] == ["told"]


def test_a_level_that_there_is_not_is_refused() -> None:
    """A wrong level is an error where it is given, and nothing is switched on."""
    before = logging.Logger.callHandlers
    with pytest.raises(ValueError, match="LOUD"):
        mt.instrument("logging", level="LOUD")
    assert logging.Logger.callHandlers is before
    with pytest.raises(ValueError, match="LOUD"):
        MissionLogHandler("LOUD")


def test_switching_off_restores_everything(logger: logging.Logger, journal: Journal) -> None:
    """After `uninstrument` nothing of ours is left in the logging library, and nothing is recorded."""
    before = vars(logging.Logger)["callHandlers"], logging.getLogRecordFactory()
    with mt.mission_run("m"):
        mt.instrument("logging", ids=True, window=60)
        logger.info("one")
        logger.info("two")
        mt.uninstrument("logging")
        assert [e[1] for e in events(journal())] == ["one", "two"]
        logger.info("three")
    assert are_the_same((vars(logging.Logger)["callHandlers"], logging.getLogRecordFactory()), before)
    assert [e[1] for e in events(journal())] == ["one", "two"]


def test_what_somebody_put_upon_ours_stays() -> None:
    """When another library wrapped what we wrapped, switching off leaves that in place and ours without effect."""
    original = vars(logging.Logger)["callHandlers"]
    mt.instrument("logging")
    ours = logging.Logger.callHandlers

    def theirs(self: Any, record: Any) -> None:
        ours(self, record)

    logging.Logger.callHandlers = theirs  # type: ignore[method-assign]
    try:
        mt.uninstrument("logging")
        assert vars(logging.Logger)["callHandlers"] is theirs
    finally:
        logging.Logger.callHandlers = original  # type: ignore[method-assign]


def test_ids_are_added_to_the_programs_lines(logger: logging.Logger) -> None:
    """With `ids`, every format may show the run's key and the step's id; outside of a run they are empty."""
    mt.configure(strict=True)
    stream = io.StringIO()
    output = logging.StreamHandler(stream)
    output.setFormatter(logging.Formatter("[%(mission_run)s/%(mission_step)s] %(message)s"))
    logger.addHandler(output)
    mt.instrument("logging", ids=True)
    logger.info("outside")
    with mt.mission_run("m") as run:
        logger.info("run")
        with mt.plan_step("s"):
            logger.info("step")
    assert stream.getvalue() == f"[/] outside\n[{run.key}/] run\n[{run.key}/s] step\n"


def test_the_filter_adds_ids_to_one_handlers_lines(logger: logging.Logger, journal: Journal) -> None:
    """`MissionIds` on a handler puts the ids on its records, and they are not recorded as extras."""
    mt.configure(strict=True)
    stream = io.StringIO()
    output = logging.StreamHandler(stream)
    output.addFilter(MissionIds())
    output.setFormatter(logging.Formatter("%(mission_run)s %(mission_step)s"))
    handler = MissionLogHandler(window=0)
    logger.addHandler(output)
    logger.addHandler(handler)
    with mt.mission_run("m") as run, mt.plan_step("s"):
        logger.info("x")
    handler.close()
    assert stream.getvalue() == f"{run.key} s\n"
    assert "values" not in bodies(journal())[0]["payload"]["records"][0]


def test_the_factory_of_the_program_is_kept(logger: logging.Logger) -> None:
    """A record factory that was there before makes the records, and one that came later stays when we go."""
    mt.configure(strict=True)

    class Mine(logging.LogRecord): ...

    logging.setLogRecordFactory(Mine)
    mt.instrument("logging", ids=True)
    ours = logging.getLogRecordFactory()
    record = ours("n", 20, "p", 1, "m", (), None)
    assert isinstance(record, Mine)
    assert record.mission_run == ""  # type: ignore[attr-defined]
    later = logging.LogRecord
    logging.setLogRecordFactory(later)
    mt.uninstrument("logging")
    assert logging.getLogRecordFactory() is later
    assert not hasattr(ours("n", 20, "p", 1, "m", (), None), "mission_run")


def test_the_handlers_own_flush_writes_what_waits(logger: logging.Logger, journal: Journal) -> None:
    """`flush`, which `logging.shutdown` calls, writes what waits to be rolled up."""
    handler = MissionLogHandler(window=1000)
    logger.addHandler(handler)
    with mt.mission_run("m"):
        logger.info("one")
        logger.info("two")
        handler.flush()
        assert [e[1] for e in events(journal())] == ["one", "two"]
    handler.close()


@pytest.mark.parametrize("first", ["instrument", "record"])
def test_what_waits_is_sent_at_exit(first: str, api: Any, tmp_path: Path) -> None:
    """A script that ends in the middle of a run, with lines that wait, delivers them, whatever it did first."""
    script = f"""
import logging, os
import mission_tracer as mt
mt.configure(api_key="K", base_url={api.base_url!r})
if {first == "instrument"}:
    mt.instrument("logging", window=1000)
run = mt.mission_run("m").__enter__()
mt.instrument("logging", window=1000)
logging.getLogger().setLevel(logging.INFO)
for number in range(5):
    logging.info("line %d", number)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    found = api.only_run()["events"]
    assert [e.summary for e in found][:2] == ["line 0", "4 log records: line 1"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_what_waits_in_a_child_is_written_at_its_exit(logger: logging.Logger, journal: Journal) -> None:
    """A child of `multiprocessing`, which leaves past `atexit`, writes its lines."""
    mt.configure(strict=True)
    mt.instrument("logging", window=1000)

    def work() -> None:
        for number in range(3):
            logger.info("of the child %d", number)

    with mt.mission_run("m"):
        child = multiprocessing.get_context("fork").Process(target=work)
        child.start()
        child.join()
    assert [e[1] for e in events(journal())] == ["of the child 0", "2 log records: of the child 1"]


def test_records_know_their_step_across_threads_and_queues(logger: logging.Logger, journal: Journal) -> None:
    """Before a queue a record finds its step; behind one, on the listener's thread, there is none."""
    mt.configure(strict=True)
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    behind = MissionLogHandler(window=0)
    listener = logging.handlers.QueueListener(waiting, behind)
    logger.addHandler(logging.handlers.QueueHandler(waiting))
    listener.start()
    with mt.mission_run("m"), mt.plan_step("s"):
        logger.info("behind")
        listener.stop()
        before = MissionLogHandler(window=0)
        logger.addHandler(before)
        contextvars.copy_context().run(logger.info, "before")
    for handler in (behind, before):
        handler.close()
    assert events(journal()) == [("custom", "before", "s")]


def test_warnings_are_lines_when_the_program_says_so(logger: logging.Logger, journal: Journal) -> None:
    """With `logging.captureWarnings` Python's warnings are recorded too."""
    mt.configure(strict=True)
    mt.instrument("logging", window=0)
    logging.captureWarnings(True)
    try:
        with mt.mission_run("m"), warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.getLogger("py.warnings").addHandler(logging.NullHandler())
            logging.captureWarnings(False)
            logging.captureWarnings(True)
            warnings.warn("old", UserWarning, stacklevel=1)
    finally:
        logging.captureWarnings(False)
    assert any("UserWarning: old" in e[1] for e in events(journal()))
