"""Say our own few lines on standard error, through a structlog logger of our own.

Quiet by default, never through the program's logging configuration, and a cause that persists is said once a minute.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from mission_tracer._base.forks import held_off

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "off": 100}
_MINUTE = 60.0


class Notices:
    """Write notices of a level and above.

    Args:
        level: The least level that is written: debug, info, warning, error or off.
        monotonic: Seconds that never go back.
        write: Takes one finished line; `None`: standard error as it is at that moment.
    """

    def __init__(
        self,
        level: str,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        write: Callable[[str], object] | None = None,
    ) -> None:
        self._least = LEVELS[level]
        self._monotonic = monotonic
        self._write = write or _to_stderr
        self._said: dict[str, float] = {}
        self.forked()

    def forked(self) -> None:
        """Begin again in a forked child, where another thread may have held the lock."""
        self._lock = threading.RLock()

    def say(self, level: str, message: str, /, *, cause: str | None = None, once: bool = False, **values: Any) -> None:
        """Write one line; with a cause at most once a minute for that cause, or once at all.

        Never raises: a notice that cannot be written is lost.
        """
        if LEVELS[level] < self._least or (cause is not None and not self._is_due(cause, once=once)):
            return
        with suppress(Exception):  # a closed or broken stderr must not hurt the program
            self._logger().log(LEVELS[level], message, **values)

    def _is_due(self, cause: str, *, once: bool) -> bool:
        now = self._monotonic()
        # A lock that a forked child may find taken for ever must not stop it: a notice is not worth a wait.
        if not self._lock.acquire(timeout=0.1):
            return False
        try:
            last = self._said.get(cause)
            if last is not None and (once or now - last < _MINUTE):
                return False
            if len(self._said) > 1000:
                self._said.clear()
            self._said[cause] = now
            return True
        finally:
            self._lock.release()

    def _logger(self) -> Any:
        # Imported at the first notice: structlog takes longer to import than all the rest, and most programs need none.
        with held_off():
            import structlog

        return structlog.wrap_logger(
            _Line(self._write),
            processors=[structlog.processors.add_log_level, structlog.processors.format_exc_info, _render],
            wrapper_class=structlog.make_filtering_bound_logger(self._least),
            context_class=dict,
            cache_logger_on_first_use=False,
        )


class _Line:
    """Take whatever level's method structlog calls."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write

    def msg(self, message: str) -> None:
        """Write one line."""
        self._write(message)

    log = debug = info = warning = error = critical = msg


def _render(_logger: Any, _method: str, event: Any) -> str:
    level, message = event.pop("level", "info"), event.pop("event", "")
    trace = event.pop("exception", None)
    values = "".join(f" {name}={value!r}" for name, value in event.items())
    return f"mission_tracer: {level}: {message}{values}" + (f"\n{trace}" if trace else "")


def _to_stderr(line: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(line + "\n")
