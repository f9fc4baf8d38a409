"""Record what a program logs with structlog: `MissionProcessor`, `instrument("structlog")`."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

from mission_tracer import _context
from mission_tracer.integrations._log_windows import Line, LogWindows
from mission_tracer.integrations._patches import Patches, ours, require
from mission_tracer.integrations.logging import (
    SKIPPED,
    ids_of,
    is_recorded,
    mark_recorded,
    passed_on,
    severity_of,
)

structlog = require("structlog", "24.1")

_LEVELS = {"warn": "warning", "exception": "error", "fatal": "critical", "msg": "info", "log": "info", "err": "error"}
_NOT_VALUES = frozenset(
    {
        "_from_structlog",
        "_logger",
        "_name",
        "_record",
        "event",
        "exc_info",
        "level",
        "level_number",
        "logger",
        "logger_name",
        "mission_run",
        "mission_step",
        "stack_info",
        "timestamp",
    }
)


class MissionProcessor:
    """Make events of what structlog logs, and pass it on unchanged. Outside of a run it does nothing.

    Put it after `merge_contextvars` and `add_log_level`, and before what formats exceptions and the renderer.

    Args:
        level: The least level.
        window: How long lines are rolled up into one event, in seconds; 0: never.
        skip: Loggers that are left out beside those of HTTP libraries and ours, with all below them.
        ids: True: every line inside of a run gets `mission_run` and `mission_step`.
    """

    def __init__(
        self, level: int | str = "info", *, window: float = 2.0, skip: Iterable[str] = (), ids: bool = False
    ) -> None:
        self._least = severity_of(level)
        self._windows = LogWindows(window)
        self._skip = SKIPPED.union([skip] if isinstance(skip, str) else skip)
        self._ids = ids
        self.active = True

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Record one line, now or with the next ones, and return it. Never raises."""
        if self.active:
            self._take(logger, method, event)
            if self._ids:
                self._put_ids(event)
        return event

    @ours
    def _take(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> None:
        scope = _context.current()
        if scope is None or _context.quiet.get():
            return
        line = _line_of(logger, method, event)
        record = event.get("_record")
        if line.severity < self._least or self._is_skipped(line.logger):
            return
        if isinstance(record, logging.LogRecord):
            if is_recorded(record):
                return
            mark_recorded(record)
        elif isinstance(logger, logging.Logger):
            passed_on.set(logger.name)
        with _context.silence():
            self._windows.take(scope, line)

    def _is_skipped(self, name: str) -> bool:
        return any(name == skipped or name.startswith(f"{skipped}.") for skipped in self._skip)

    @ours
    def _put_ids(self, event: MutableMapping[str, Any]) -> None:
        scope = _context.current()
        if scope is not None:
            event["mission_run"], event["mission_step"] = ids_of(scope)

    @ours
    def close(self) -> None:
        """Record what waits, and do nothing any more."""
        self.active = False
        self._windows.close()


def _line_of(logger: Any, method: str, event: MutableMapping[str, Any]) -> Line:
    level = str(event.get("level") or method).lower()
    level = _LEVELS.get(level, level)
    number = logging.getLevelName(level.upper())
    name = event.get("logger") or event.get("logger_name") or getattr(logger, "name", None)
    return Line(
        at=time.time(),
        severity=number if isinstance(number, int) else logging.INFO,
        level=level,
        logger=name if isinstance(name, str) else "",
        message=str(event.get("event", "")),
        values={key: value for key, value in event.items() if key not in _NOT_VALUES},
        error=_error_of(method, event.get("exc_info")),
    )


def _error_of(method: str, given: Any) -> BaseException | None:
    if isinstance(given, BaseException):
        return given
    if isinstance(given, tuple) and len(given) == 3:
        return given[1] if isinstance(given[1], BaseException) else None
    return sys.exc_info()[1] if given or (given is None and method == "exception") else None


# ---- into a configuration that is there ----


def install(
    _name: str, *, level: int | str = "info", window: float = 2.0, skip: Iterable[str] = (), ids: bool = False
) -> Callable[[], None]:
    """Put a processor into structlog's configuration, and into each that comes after it.

    The options are those of `MissionProcessor`.
    """
    processor = MissionProcessor(level, window=window, skip=skip, ids=ids)
    patches = Patches()
    # In place: loggers that were made before hold on to the list itself.
    _insert(processor, structlog.get_config()["processors"])

    def configure(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        args, kwargs = _given(processor, args, kwargs) or (args, kwargs)
        return wrapped(*args, **kwargs)

    def reset(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        done = wrapped(*args, **kwargs)
        _insert(processor, structlog.get_config()["processors"])
        return done

    def bind(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        _insert(processor, structlog.get_config()["processors"])
        return wrapped(*args, **kwargs)

    # Whatever configured structlog, each logger looks there when it is first used.
    patches.wrap_path("structlog._config", "BoundLoggerLazyProxy.bind", bind)
    for name in ("configure", "configure_once"):
        patches.wrap(structlog, name, configure)
    patches.wrap(structlog, "reset_defaults", reset)

    def undo() -> None:
        patches.undo()
        _remove(processor, structlog.get_config()["processors"])
        processor.close()

    return undo


@ours
def _given(processor: MissionProcessor, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the arguments of a configuration with our processor among those given."""
    if args:
        return (*_with(processor, args[:1]), *args[1:]), kwargs
    if kwargs.get("processors") is None:
        return args, kwargs
    return args, {**kwargs, "processors": _with(processor, (kwargs["processors"],))[0]}


def _with(processor: MissionProcessor, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a list of processors with ours among them; the program's own list stays its own."""
    if given[0] is None:
        return given
    try:
        chain = list(given[0])
    except TypeError:
        return given  # structlog says what is wrong with it
    _insert(processor, chain)
    return (chain,)


@ours
def _insert(processor: MissionProcessor, chain: Any) -> None:
    # One that the program placed itself counts.
    if isinstance(chain, list) and not any(isinstance(one, MissionProcessor) for one in chain):
        chain.insert(_place(chain), processor)


def _place(chain: list[Any]) -> int:
    """Return where exceptions are not formatted yet: before the first that does, at the latest before the renderer."""
    formats = (structlog.processors.ExceptionRenderer, structlog.processors.ExceptionPrettyPrinter)
    for index, one in enumerate(chain):
        if isinstance(one, formats) or one is structlog.processors.format_exc_info:
            return index
    return max(0, len(chain) - 1)


@ours
def _remove(processor: MissionProcessor, chain: Any) -> None:
    if isinstance(chain, list):
        chain[:] = [one for one in chain if one is not processor]
