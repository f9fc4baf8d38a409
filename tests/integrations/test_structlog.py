"""Lines of structlog become events of the current step."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

import mission_tracer as mt
from mission_tracer import facts
from mission_tracer.integrations.structlog import MissionProcessor

from .told import are_the_same, bodies, events

Journal = Callable[[], list[facts.Fact]]


@pytest.fixture(autouse=True)
def configuration() -> Iterator[None]:
    """Leave structlog as it was."""
    yield
    mt.uninstrument()
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def configured(processor: Any, output: io.StringIO | None = None) -> Any:
    """A logger of a program that renders JSON."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            processor,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(output or io.StringIO()),
    )
    return structlog.get_logger().bind(logger="app")


def test_a_line_becomes_an_event_of_the_current_step(journal: Journal) -> None:
    """Event, level, logger and values are an event of the step, and the program's output is what it was."""
    mt.configure(strict=True)
    output = io.StringIO()
    log = configured(MissionProcessor(window=0), output)
    with mt.mission_run("m"), mt.plan_step("s"):
        structlog.contextvars.bind_contextvars(request="r1")
        log.info("found contractors", count=3, password="hunter2-hunter2")
    [body] = bodies(journal())
    [record] = body["payload"]["records"]
    record.pop("at")
    assert (body["type"], body["summary"], body["step_id"]) == ("custom", "found contractors", "s")
    assert record == {
        "level": "info",
        "logger": "app",
        "message": "found contractors",
        "values": {"request": "r1", "count": 3, "password": "[redacted]"},
    }
    line = json.loads(output.getvalue())
    line.pop("timestamp")
    assert line == {
        "request": "r1",
        "logger": "app",
        "event": "found contractors",
        "count": 3,
        "password": "hunter2-hunter2",
        "level": "info",
    }


def test_levels_and_outside(journal: Journal) -> None:
    """Lines below the level, those outside of a run and those of skipped loggers are left out."""
    mt.configure(strict=True)
    log = configured(MissionProcessor("warning", window=0, skip=["noisy"]))
    log.error("outside")
    with mt.mission_run("m"):
        log.info("below")
        log.warning("careful")
        log.error("broken")
        log.error("skipped", logger="noisy.part")
        log.error("skipped", logger="httpx")
    assert events(journal()) == [("custom", "careful", None), ("error", "broken", None)]


@pytest.mark.parametrize("how", ["exception", "true", "tuple", "object"])
def test_an_exception_is_an_error_event(how: str, journal: Journal) -> None:
    """However structlog is given an exception, it is an error event with the traceback."""
    mt.configure(strict=True)
    log = configured(MissionProcessor(window=0))
    with mt.mission_run("m"):
        try:
            raise ValueError("no line is free")
        except ValueError as error:
            if how == "exception":
                log.exception("calling failed")
            else:
                given = {"true": True, "object": error, "tuple": (ValueError, error, error.__traceback__)}[how]
                log.error("calling failed", exc_info=given)
    assert events(journal()) == [
        ("custom", "calling failed", None),
        ("error", "ValueError: no line is free", None),
    ]
    assert "raise ValueError" in bodies(journal())[1]["payload"]["error"]["traceback"]


def test_ids_are_added_to_the_programs_lines() -> None:
    """With `ids`, lines inside of a run carry the run's key and the step's id, and those outside carry nothing."""
    output = io.StringIO()
    log = configured(MissionProcessor(ids=True), output)
    log.info("outside")
    with mt.mission_run("m") as run, mt.plan_step("s"):
        log.info("inside")
    outside, inside = map(json.loads, output.getvalue().splitlines())
    assert "mission_run" not in outside
    assert (inside["mission_run"], inside["mission_step"]) == (run.key, "s")


def test_asynchronous_lines_find_their_step(journal: Journal) -> None:
    """`ainfo` records in the step that awaits it."""
    mt.configure(strict=True)
    configured(MissionProcessor(window=0))
    log = structlog.get_logger(wrapper_class=structlog.make_filtering_bound_logger(0))

    async def main() -> None:
        with mt.mission_run("m"), mt.plan_step("s"):
            await log.ainfo("awaited")

    asyncio.run(main())
    assert events(journal()) == [("custom", "awaited", "s")]


@pytest.mark.parametrize("whole", [True, False])
def test_lines_that_go_on_to_the_standard_library_are_recorded_once(whole: bool, journal: Journal) -> None:
    """With structlog over stdlib logging, and both recorded, a line of either is one event."""
    mt.configure(strict=True)
    output = io.StringIO()
    handler = logging.StreamHandler(output)
    last: Any = structlog.stdlib.ProcessorFormatter.wrap_for_formatter if whole else structlog.processors.JSONRenderer()
    if whole:
        handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=structlog.processors.JSONRenderer()))
    structlog.configure(
        processors=[structlog.stdlib.add_log_level, structlog.stdlib.add_logger_name, last],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    logger = logging.getLogger("app.both")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    mt.instrument("structlog", "logging", window=0)
    log = structlog.get_logger("app.both")
    try:
        with mt.mission_run("m"):
            log.info("from structlog", n=1)
            logger.info("from logging")
            log.debug("below both")
            log.info("from structlog again")
            logger.info("from logging again")
    finally:
        logger.removeHandler(handler)
    assert [e[1] for e in events(journal())] == [
        "from structlog",
        "from logging",
        "from structlog again",
        "from logging again",
    ]
    assert bodies(journal())[0]["payload"]["records"][0]["values"] == {"n": 1}
    assert len(output.getvalue().splitlines()) == 4


def test_structlog_over_logging_is_recorded_by_logging_alone(journal: Journal) -> None:
    """Without our processor, what structlog hands to the standard library is recorded there, with its values."""
    mt.configure(strict=True)
    structlog.configure(
        processors=[structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    logger = logging.getLogger("app.alone")
    logger.setLevel(logging.INFO)
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    mt.instrument("logging", window=0)
    with mt.mission_run("m"):
        structlog.get_logger("app.alone").info("found", n=3)
    [body] = bodies(journal())
    assert body["summary"] == "found"
    assert body["payload"]["records"][0]["values"] == {"n": 3}


def test_foreign_records_are_recorded_once(journal: Journal) -> None:
    """A record that reaches the processor through a formatter's `foreign_pre_chain` is not recorded again."""
    mt.configure(strict=True)
    processor = MissionProcessor(window=0)
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_log_level, processor], processor=structlog.processors.JSONRenderer()
        )
    )
    logger = logging.getLogger("app.foreign")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        with mt.mission_run("m"):
            logger.info("by the processor")
            mt.instrument("logging", window=0)
            logger.info("by both")
    finally:
        logger.removeHandler(handler)
        processor.close()
    assert [e[1] for e in events(journal())] == ["by the processor", "by both"]


def test_instrument_reaches_loggers_that_exist(journal: Journal) -> None:
    """A logger that was made, and cached, before `instrument` is recorded; after `uninstrument` it is not."""
    mt.configure(strict=True)
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(io.StringIO()),
        cache_logger_on_first_use=True,
    )
    log = structlog.get_logger()
    log.info("first")
    with mt.mission_run("m"):
        mt.instrument("structlog", window=0)
        log.info("recorded")
        mt.uninstrument("structlog")
        log.info("not any more")
    assert [e[1] for e in events(journal())] == ["recorded"]
    assert len(structlog.get_config()["processors"]) == 2


def test_a_processor_that_the_program_placed_is_the_only_one(journal: Journal) -> None:
    """With `instrument` and a processor in the program's own configuration, a line is recorded once."""
    mt.configure(strict=True)
    mt.instrument("structlog", "logging", window=0)
    log = configured(MissionProcessor(window=0))
    with mt.mission_run("m"):
        log.info("once")
    assert events(journal()) == [("custom", "once", None)]


def test_instrument_outlives_a_later_configuration(journal: Journal) -> None:
    """`structlog.configure` after `instrument` keeps our processor, and the program's own list stays its own."""
    mt.configure(strict=True)
    mt.instrument("structlog", window=0)
    mine = [
        structlog.processors.add_log_level,
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ]
    structlog.configure(processors=mine, logger_factory=structlog.PrintLoggerFactory(io.StringIO()))
    with mt.mission_run("m"):
        structlog.get_logger().info("one")
        structlog.configure(mine)
        structlog.get_logger().info("two")
        structlog.configure(cache_logger_on_first_use=False)
        structlog.get_logger().info("three")
        structlog.reset_defaults()
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(io.StringIO()))
        structlog.get_logger().info("four")
    assert [e[1] for e in events(journal())] == ["one", "two", "three", "four"]
    assert len(mine) == 3


def test_a_configuration_by_a_name_that_was_imported_before_is_seen(journal: Journal) -> None:
    """`from structlog import configure` before `instrument` makes no difference."""
    from structlog import configure

    mt.configure(strict=True)
    mt.instrument("structlog", window=0)
    configure(
        processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(io.StringIO()),
    )
    with mt.mission_run("m"):
        structlog.get_logger().info("one")
    assert [e[1] for e in events(journal())] == ["one"]


def test_the_processor_stands_before_exceptions_are_formatted() -> None:
    """`instrument` puts it before what formats exceptions, or else right before the renderer."""
    for chain in (
        [structlog.processors.add_log_level, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        [structlog.processors.add_log_level, structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()],
        [structlog.processors.add_log_level, structlog.dev.ConsoleRenderer()],
    ):
        structlog.configure(processors=chain)
        mt.instrument("structlog")
        assert isinstance(structlog.get_config()["processors"][1], MissionProcessor)
        mt.uninstrument("structlog")
        assert structlog.get_config()["processors"] == chain


def test_switching_off_restores_everything() -> None:
    """After `uninstrument` structlog's functions are its own again."""
    before = structlog.configure, structlog.configure_once, structlog.reset_defaults
    mt.instrument("structlog")
    mt.uninstrument("structlog")
    assert are_the_same((structlog.configure, structlog.configure_once, structlog.reset_defaults), before)


def test_a_wrong_configuration_is_structlogs_to_refuse() -> None:
    """What structlog would say to wrong processors, it says with us in between."""
    mt.instrument("structlog")
    with pytest.raises(TypeError):
        structlog.configure(processors=3, nonsense=1)  # type: ignore[call-arg, arg-type]


def test_an_error_of_ours_does_not_reach_the_program(capfd: pytest.CaptureFixture[str]) -> None:
    """Values whose own code fails everywhere, and a broken event dictionary, are passed on unharmed."""
    mt.configure(log_level="error")

    class Broken(dict[str, Any]):
        def get(self, *args: Any) -> Any:
            raise RuntimeError("ours")

    processor = MissionProcessor(ids=True, window=0)
    event = Broken(event="x")
    with mt.mission_run("m"):
        assert processor(None, "info", event) is event
    processor.close()
    assert "an error of ours" in capfd.readouterr().err


def test_an_error_of_ours_does_not_reach_who_configures(capfd: pytest.CaptureFixture[str]) -> None:
    """A configuration that we cannot read is made as the program gave it."""
    mt.configure(log_level="error")
    mt.instrument("structlog")

    class Odd(list[Any]):
        def __iter__(self) -> Any:
            raise RuntimeError("not now")

    chain = Odd([structlog.processors.JSONRenderer()])
    structlog.configure(processors=chain)
    assert structlog.get_config()["processors"] is chain
    assert "an error of ours" in capfd.readouterr().err
    structlog.reset_defaults()


def test_our_own_lines_are_not_recorded(journal: Journal, capfd: pytest.CaptureFixture[str]) -> None:
    """Our notices go through structlog too, and are no lines of the program."""
    mt.configure(log_level="debug")
    mt.instrument("structlog", level="debug", window=0)
    mt.plan_step("outside of a run")(len)("x")
    with mt.mission_run("m"):
        mt.continue_run({"mission-run": "garbage"}).__enter__()
    assert "mission_tracer:" in capfd.readouterr().err
    assert events(journal()) == []
