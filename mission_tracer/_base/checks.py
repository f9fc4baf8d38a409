"""Check what a user gives: a wrong argument is an error that names it and says what is allowed. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from mission_tracer.models import ExecutionMode

T = TypeVar("T")

_KEPT = frozenset(("args", "result"))


def unless_none(check: Callable[[object, str], T], value: object, what: str) -> T | None:
    """Return `None` as it is, and anything else as the check does."""
    return None if value is None else check(value, what)


def check_name(value: object, what: str) -> str:
    """Return a name as it is.

    Raises:
        TypeError, ValueError: It is no string, or cannot stand in a URL.
    """
    name = check_text(value, what)
    if not name.strip() or name in {".", ".."}:
        raise ValueError(f"{what} must be a name, not {name!r}")
    return name


def check_text(value: object, what: str) -> str:
    """Return a text as it is.

    Raises:
        TypeError: It is no string.
    """
    if not isinstance(value, str):
        raise TypeError(f"{what} must be a string, not {type(value).__name__}")
    return value


def check_mapping(value: object, what: str) -> Mapping[str, Any]:
    """Return a mapping as it is.

    Raises:
        TypeError: It is something else.
    """
    if not isinstance(value, Mapping):
        raise TypeError(f"{what} must be a mapping such as a dict, not {type(value).__name__}")
    return value


def check_mode(value: object, what: str) -> str:
    """Return an execution mode as it is.

    Raises:
        TypeError, ValueError: It is something else.
    """
    mode, modes = check_text(value, what), [str(mode) for mode in ExecutionMode]
    if mode not in modes:
        raise ValueError(f"{what} must be one of {', '.join(modes)}, not {mode!r}")
    return mode


def check_seconds(value: Any, what: str) -> float:
    """Return a length of time in seconds as it is; infinity is one.

    Raises:
        TypeError, ValueError: It is no number, or less than 0.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{what} must be a number of seconds, not {value!r:.200}")
    if not value >= 0:
        raise ValueError(f"{what} must be 0 seconds or more, not {value!r}")
    return value


def check_callable(value: Any, what: str) -> Callable[..., Any]:
    """Return something that can be called as it is.

    Raises:
        TypeError: It is something else.
    """
    if not callable(value):
        raise TypeError(f"{what} must be callable, not {type(value).__name__}")
    return value  # type: ignore[no-any-return]  # it was looked at


def check_kept(capture: Iterable[str] | None) -> frozenset[str]:
    """Read what a decorator keeps of its calls; `None`: all.

    Raises:
        TypeError, ValueError: It is no list of `args` and `result`.
    """
    if capture is None:
        return _KEPT
    if isinstance(capture, str) or not isinstance(capture, Iterable):
        raise TypeError(f"capture must be a tuple of 'args' and 'result', not {capture!r:.200}")
    wanted = list(capture)
    wrong = [name for name in wanted if name not in ("args", "result")]
    if wrong:
        raise ValueError(f"capture may name 'args' and 'result', not {wrong!r:.200}")
    return frozenset(wanted)
