"""Record what a program logs with the standard library: `MissionLogHandler`, `MissionIds`, `instrument("logging")`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any

from mission_tracer import _context
from mission_tracer.integrations._log_windows import Line, LogWindows
from mission_tracer.integrations._patches import Patches, ours
from mission_tracer.runs import Run
from mission_tracer.steps import Step

SKIPPED = frozenset({"httpcore", "httpcore2", "httpx", "httpx2", "mission_tracer", "urllib3"})
"""The loggers, with all below them, whose lines tell of requests: our own, or calls recorded better elsewhere."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {
    "asctime",
    "message",
    "mission_run",
    "mission_step",
    "taskName",
}

# Marks the record that was recorded last in this context: several handlers of ours may see one record, or copies of it.
# The mark is a number object that each record makes anew and its copies share, known again by its identity.
_last: ContextVar[float | None] = ContextVar("mission_tracer_last_record", default=None)

# The logger whose line a processor of structlog just recorded and passed on.
passed_on: ContextVar[str | None] = ContextVar("mission_tracer_passed_on", default=None)


class MissionLogHandler(logging.Handler):
    """Make events of log records, linked to the step they are logged in. Outside of a run it does nothing.

    Attach it to the root logger, not behind a `QueueListener`: that one's thread knows no run.

    Args:
        level: The least level.
        window: How long records are rolled up into one event, in seconds; 0: never.
        skip: Loggers that are left out beside those of HTTP libraries and ours, with all below them.
    """

    def __init__(self, level: int | str = logging.INFO, *, window: float = 2.0, skip: Iterable[str] = ()) -> None:
        super().__init__(level)
        self._tap = _Tap(window, skip)

    def emit(self, record: logging.LogRecord) -> None:
        """Record one record, now or with the next ones. Never raises."""
        self._tap.take(record)

    def flush(self) -> None:
        """Record what waits to be rolled up."""
        self._tap.settle()

    def close(self) -> None:
        """Record what waits, and let go."""
        self._tap.close()
        super().close()


class MissionIds(logging.Filter):
    """Put `mission_run` and `mission_step` on every record, for other handlers' formats; empty outside of a run."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Put the ids on one record; let it pass."""
        put_ids(record)
        return True


@ours
def put_ids(record: logging.LogRecord) -> None:
    """Put the run's key and the step's id on a record."""
    record.mission_run, record.mission_step = ids_of(_context.current())


def ids_of(scope: Run | Step | None) -> tuple[str, str]:
    """Return the run's key and the step's id; empty where there is none."""
    if isinstance(scope, Step):
        return scope.run.key, scope.id
    return (scope.key, "") if scope is not None else ("", "")


def severity_of(level: int | str) -> int:
    """Return the number of a level.

    Raises:
        ValueError: There is no level of that name.
    """
    if isinstance(level, int):
        return level
    number = logging.getLevelName(level.upper())
    if isinstance(number, int):
        return number
    raise ValueError(f"there is no log level {level!r}")


def install(
    _name: str,
    *,
    level: int | str = logging.INFO,
    window: float = 2.0,
    skip: Iterable[str] = (),
    ids: bool = False,
) -> Callable[[], None]:
    """Record the records of every logger, whatever handlers it has or gets.

    Args:
        level: The least level; a logger's own level decides before it.
        window: How long records are rolled up into one event, in seconds; 0: never.
        skip: Loggers that are left out.
        ids: True: every record gets `mission_run` and `mission_step`, for the program's own formats.
    """
    # No handler on the root logger: `basicConfig` would take logging for configured and do nothing.
    tap, patches = _Tap(window, skip), Patches()
    least = severity_of(level)

    def call_handlers(wrapped: Any, _logger: Any, args: Any, kwargs: Any) -> Any:
        if args and args[0].levelno >= least:
            tap.take(args[0])
        return wrapped(*args, **kwargs)

    patches.wrap(logging.Logger, "callHandlers", call_handlers)
    give_back = _make_records_with_ids() if ids else None

    def undo() -> None:
        patches.undo()
        if give_back is not None:
            give_back()
        tap.close()

    return undo


def _make_records_with_ids() -> Callable[[], None]:
    factory = logging.getLogRecordFactory()
    active = True

    def make(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = factory(*args, **kwargs)
        if active:
            put_ids(record)
        return record

    def give_back() -> None:
        nonlocal active
        active = False
        if logging.getLogRecordFactory() is make:
            logging.setLogRecordFactory(factory)

    logging.setLogRecordFactory(make)
    return give_back


class _Tap:
    """Read records and hand them to the windows, each once."""

    def __init__(self, window: float, skip: Iterable[str]) -> None:
        self._windows = LogWindows(window)
        self._skip = frozenset(SKIPPED.union([skip] if isinstance(skip, str) else skip))
        self.settle = ours(self._windows.settle)
        self.close = ours(self._windows.close)

    @ours
    def take(self, record: logging.LogRecord) -> None:
        """Record a record, unless it is not to be or was."""
        scope = _context.current()
        if scope is None or _context.quiet.get() or self._is_skipped(record.name) or is_recorded(record):
            return
        mark_recorded(record)
        with _context.silence():  # whatever making a line of it logs in turn is no line of the program
            self._windows.take(scope, line_of(record))

    def _is_skipped(self, name: str) -> bool:
        while name:
            if name in self._skip:
                return True
            name = name.rpartition(".")[0]
        return False


def mark_recorded(record: logging.LogRecord) -> None:
    """Note that a record was recorded."""
    _last.set(record.relativeCreated)


def is_recorded(record: logging.LogRecord) -> bool:
    """Say whether a record was recorded: as itself, or by structlog's processor before it became a record."""
    if record.relativeCreated is _last.get():
        return True
    if passed_on.get() is None or passed_on.get() != record.name or not _comes_from_structlog():
        return False
    passed_on.set(None)
    mark_recorded(record)
    return True


def _comes_from_structlog() -> bool:
    """Say whether it is structlog that logs: the first frame outside of logging and of ourselves is one of its own."""
    frame: Any = sys._getframe(1)  # noqa: SLF001 - the traceback module takes a hundred times as long
    while frame is not None:
        name = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if name not in {"logging", "mission_tracer", "wrapt"}:
            return name == "structlog"
        frame = frame.f_back
    return False


def line_of(record: logging.LogRecord) -> Line:
    """Read a record."""
    message, values = _said(record)
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    return Line(
        at=record.created,
        severity=record.levelno,
        level=record.levelname.lower(),
        logger=record.name,
        message=message,
        values=values,
        error=error,
    )


def _said(record: logging.LogRecord) -> tuple[str, dict[str, Any]]:
    more = {k: v for k, v in vars(record).items() if k not in _STANDARD and not k.startswith("_")}
    if isinstance(record.msg, dict) and "event" in record.msg:  # structlog hands its event over whole
        told = dict(record.msg)
        return str(told.pop("event")), {**told, **more}
    try:
        return record.getMessage(), more
    except Exception:  # noqa: BLE001 - a wrong format, or arguments whose own code fails: other handlers complain
        return str(record.msg), {"args": record.args, **more}
