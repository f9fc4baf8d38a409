"""Hold every setting in one table: a field of `Settings` is a row with its variable, its default and its meaning."""

from __future__ import annotations

import dataclasses
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from mission_tracer.errors import ConfigurationError

DEFAULT_BASE_URL = "https://api.telnyx.com/v2"
_DAY = 86400.0


class Problem(NamedTuple):
    """A wrong value in the environment: what is wrong, and what is done instead."""

    wrong: str
    instead: str

    def __str__(self) -> str:
        return f"{self.wrong}; {self.instead}"


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text that is not empty")
    return value.strip()


def _url(value: object) -> str:
    text = _text(value).rstrip("/")
    try:
        parts = urlsplit(text)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        parts, port_is_fine = urlsplit(""), False
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_is_fine or re.search(r"\s", text):
        raise ValueError(f"an http or https URL such as {DEFAULT_BASE_URL}")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError(f"a URL without user, query or fragment, such as {DEFAULT_BASE_URL}")
    return text


def _key(value: object) -> str:
    text = _text(value)
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("an API key: printable ASCII without spaces")
    return text


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else ""
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off"}:
        return False
    raise ValueError("true or false")


def _seconds(most: float = math.inf, *, zero: bool = True) -> Callable[[object], float]:
    least = "0 or more" if zero else "more than 0"
    allowed = f"a number of seconds, {least}" + ("" if math.isinf(most) else f" and at most {most:.0f}")

    def parse(value: object) -> float:
        try:
            number = float(value)  # type: ignore[arg-type]  # float() itself refuses what is no number
        except (TypeError, ValueError):
            number = math.nan
        if isinstance(value, bool) or not 0 <= number <= most or not (number or zero):
            raise ValueError(allowed)
        return number

    return parse


def _count(least: int) -> Callable[[object], int]:
    def parse(value: object) -> int:
        try:
            number = int(value)  # type: ignore[call-overload]  # int() itself refuses what is no number
        except (TypeError, ValueError, OverflowError):
            number = least - 1
        if isinstance(value, (bool, float)) or number < least:
            raise ValueError(f"a whole number, {least} or more")
        return int(number)

    return parse


def _choice(*words: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        if not isinstance(value, str) or value.strip().lower() not in words:
            raise ValueError("one of " + ", ".join(words))
        return value.strip().lower()

    return parse


def _path(value: object) -> Path:
    if not isinstance(value, (str, os.PathLike)) or not str(value).strip():
        raise ValueError("a directory's path")
    try:
        return Path(value).expanduser().absolute()
    except (RuntimeError, ImportError, OSError) as error:  # there is no such user, or the working directory is gone
        raise ValueError(f"a directory's path that leads somewhere ({error})") from None


def _state_dir() -> Path | None:
    import platformdirs  # needed only when nobody names a directory; it takes a while to import

    try:
        place = Path(platformdirs.user_state_dir("mission_tracer", appauthor=False))
    except (RuntimeError, ImportError):
        return None  # there is no home directory; Python 3.10 says so by what it cannot import
    return place if place.is_absolute() else None


def _anything(value: object) -> object:
    return value


def _setting(
    parse: Callable[[Any], Any],
    default: object,
    doc: str,
    *,
    shown: str | None = None,
    variable: bool = True,
    instead: str = "the default is used",
) -> Any:
    """One row: how a value is read, what it is when nobody says, what it means, and what a wrong one leads to."""
    metadata = {"parse": parse, "doc": doc, "shown": shown, "variable": variable, "instead": instead}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting with its value; build one with `load`."""

    api_key: str | None = _setting(
        _key,
        None,
        "The Telnyx API key. Without it everything is recorded and nothing is sent.",
        shown="none: offline",
        instead="nothing is sent",
    )
    base_url: str = _setting(_url, DEFAULT_BASE_URL, "Where the Missions API is.", instead="nothing is sent")
    enabled: bool = _setting(_flag, True, "False: nothing is recorded, no file, no thread.")  # noqa: FBT003 - a row's default
    dir: Path | None = _setting(
        _path,
        _state_dir,
        "The directory of the journals. With none named and no home directory, facts are held in memory.",
        shown="the platform's state directory for `mission_tracer`",
    )
    durability: str = _setting(
        _choice("process", "power", "memory"),
        "process",
        "What a recorded fact survives: `process` the death of the process, `power` a power cut too "
        "(one fsync a fact), `memory` nothing.",
    )
    agent_id: str | None = _setting(_text, None, "The `agent_id` of every event that names none.", shown="none")
    capture: str = _setting(
        _choice("full", "names", "off"),
        "full",
        "What is kept of arguments and results: `full` their values, `names` the arguments' names and types, "
        "`off` nothing.",
    )
    redact: Any = _setting(
        _anything,
        None,
        "What is hidden besides the built-in rules: a list of names and patterns, a callable, or False for nothing.",
        shown="the built-in rules",
        variable=False,
    )
    max_payload_bytes: int = _setting(
        _count(256),
        32768,
        "The most that is kept of one payload, in bytes of JSON, 256 or more; what is larger is cut with a marker.",
    )
    flush_timeout: float = _setting(
        _seconds(), 30.0, "The longest wait at exit, in seconds; what is left stays in the journal."
    )
    flush_stall: float = _setting(
        _seconds(),
        2.0,
        "Give up at exit when nothing was acknowledged for so many seconds; what is left stays in the journal.",
    )
    sender: str = _setting(
        _choice("thread", "off"),
        "thread",
        "`thread`: this process delivers; `off`: it only records, another process delivers.",
    )
    handle_signals: bool = _setting(
        _flag,
        False,  # noqa: FBT003 - a row's default
        "True: SIGTERM closes the open runs as failed, then the program's own handler runs.",
    )
    strict: bool = _setting(_flag, False, "True: our own errors and wrong event types are raised (for tests).")  # noqa: FBT003 - a row's default
    request_timeout: float = _setting(
        _seconds(_DAY, zero=False), 30.0, "The longest time for one request and its answer, in seconds."
    )
    settle: float = _setting(
        _seconds(_DAY),
        5.0,
        "How long after a creation whose answer was lost the server is asked what became of it, in seconds.",
    )
    max_backoff: float = _setting(_seconds(_DAY), 60.0, "The longest pause between two attempts, in seconds.")
    retention: float = _setting(_seconds(), 7 * _DAY, "How long the journals of delivered runs are kept, in seconds.")
    max_delivered_bytes: int = _setting(
        _count(0), 256 * 1024 * 1024, "How many bytes of delivered journals are kept; the oldest go first."
    )
    max_memory_facts: int = _setting(
        _count(0), 100_000, "How many facts are held in memory when the disk takes none; more are dropped and counted."
    )
    export: str | None = _setting(
        _choice("otel"),
        None,
        "`otel`: runs, steps and tool calls are also shown as OpenTelemetry spans.",
        shown="none",
    )
    log_level: str = _setting(
        _choice("debug", "info", "warning", "error", "off"),
        "warning",
        "The least level of our own lines on standard error: `debug`, `info`, `warning`, `error` or `off`.",
    )

    @classmethod
    def load(cls, given: Mapping[str, object] | None = None, *, environ: Mapping[str, str] | None = None) -> Settings:
        """Read settings from what is given, then the environment, then the defaults.

        Args:
            given: Values by setting name; `None` as a value means the default.
            environ: The environment; `None`: none is read.

        Raises:
            ConfigurationError: A name or a value is wrong; the message names it, its place and what is allowed.
        """
        settings, problems = cls.tolerate(given, environ=environ)
        if problems:
            raise ConfigurationError("; ".join(problem.wrong for problem in problems))
        return settings

    @classmethod
    def tolerate(
        cls, given: Mapping[str, object] | None = None, *, environ: Mapping[str, str] | None = None
    ) -> tuple[Settings, list[Problem]]:
        """Read settings as `load` does, but do without what is wrong in the environment, and list it.

        Args:
            given: As for `load`.
            environ: As for `load`.

        Raises:
            ConfigurationError: A name or a value that was given is wrong.
        """
        values: dict[str, object] = {}
        rows = {row.name: row for row in dataclasses.fields(cls)}
        wrong = [
            f"unknown setting {name!r}: the settings are {', '.join(rows)}" for name in given or {} if name not in rows
        ]
        problems = []
        for name, row in rows.items():
            for place, raw in _places(row, given or {}, environ or {}):
                try:
                    values[name] = row.metadata["parse"](raw)
                except ValueError as error:
                    secret = name in {"api_key", "base_url"}  # a URL may hold a password
                    said = f"{place} must be {error}" + ("" if secret else f", not {raw!r:.200}")
                    if (given or {}).get(name) is not None:
                        wrong.append(said)
                    else:
                        problems.append(Problem(said, row.metadata["instead"]))
                    if name == "base_url":
                        values["api_key"] = None  # nobody meant it for the default address
                break
        if wrong:
            raise ConfigurationError("; ".join(wrong))
        settings = cls(**values)  # type: ignore[arg-type]  # each value was made by its own row
        if settings.dir is None and settings.enabled and settings.durability != "memory":
            problems.append(Problem(NO_DIRECTORY, "facts are held in memory"))
        return settings, problems


NO_DIRECTORY = "environment variable MISSION_TRACER_DIR must name a directory, since no home directory can be found"


def why_offline(environ: Mapping[str, str]) -> str:
    """Say why nothing can be sent."""
    if environ.get("TELNYX_API_KEY", "").strip():
        return "TELNYX_API_KEY or TELNYX_BASE_URL cannot be used"
    return "TELNYX_API_KEY is not set"


def variable(row: dataclasses.Field[Any]) -> str | None:
    """Name the environment variable of a row; `None` when it has none."""
    if not row.metadata["variable"]:
        return None
    prefix = "TELNYX_" if row.name in {"api_key", "base_url"} else "MISSION_TRACER_"
    return prefix + row.name.upper()


def _places(
    row: dataclasses.Field[Any], given: Mapping[str, object], environ: Mapping[str, str]
) -> Iterator[tuple[str, object]]:
    """Say where a row's value may come from, the strongest first; an empty variable says nothing."""
    if given.get(row.name) is not None:
        yield f"setting {row.name}", given[row.name]
    name = variable(row)
    if name and environ.get(name, "").strip():
        yield f"environment variable {name}", environ[name]


def table() -> str:
    """Write the table of `docs/settings.md`."""
    lines = ["| setting | variable | default | meaning |", "|---|---|---|---|"]
    for row in dataclasses.fields(Settings):
        name = variable(row)
        default = (
            row.metadata["shown"] or f"`{str(row.default).lower() if isinstance(row.default, bool) else row.default}`"
        )
        lines.append(f"| `{row.name}` | {f'`{name}`' if name else ''} | {default} | {row.metadata['doc']} |")
    return "\n".join(lines)
