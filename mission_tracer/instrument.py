"""Switch integrations on and off by name."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from typing import Any, Protocol

from mission_tracer.errors import MissionTracerError

_MODULES = {
    "anthropic": "anthropic",
    "celery": "celery",
    "concurrent.futures": "threads",
    "httpx": "http",
    "httpx2": "http",
    "langchain": "langchain",
    "logging": "logging",
    "openai": "openai",
    "openai-agents": "openai_agents",
    "otel": "otel",
    "pydantic-ai": "pydantic_ai",
    "requests": "http",
    "structlog": "structlog",
    "subprocess": "subprocess",
    "threading": "threads",
}
"""Integration name -> its file in `mission_tracer/integrations`."""

_LIBRARIES = {
    "langchain": "langchain_core",
    "openai-agents": "agents",
    "otel": "opentelemetry.sdk.trace",
    "pydantic-ai": "pydantic_ai",
}
"""Integration name -> the module of the library it is for, where that has another name."""


class Integration(Protocol):
    """What a file in `integrations` offers."""

    def install(self, name: str, **options: Any) -> Callable[[], None]:
        """Switch it on under one of its names; return what switches it off again and restores everything.

        Args:
            name: Which of its names.
            options: Those that it takes are its keyword arguments.

        Raises:
            IntegrationError: The library is missing, or too old.
        """
        ...


class IntegrationError(MissionTracerError, ImportError):
    """A library that an integration needs is missing or too old; the message says what to install."""


class _Installed:
    """Hold what is switched on."""

    def __init__(self) -> None:
        self.lock = threading.RLock()  # a signal's handler may switch off in the middle of ours
        self.undo: dict[str, Callable[[], None]] = {}


_installed = _Installed()


def names() -> list[str]:
    """List the integrations there are."""
    return sorted(_MODULES)


def library_of(name: str) -> str:
    """Name the module without which an integration has nothing to record."""
    return _LIBRARIES.get(name, name)


def instrument(*which: str, **options: Any) -> None:
    """Switch integrations on; one that is on already stays as it is. If one cannot be, none of the call is.

    Args:
        which: Their names (`names()`).
        options: Each goes to those of them that take it; each integration's page says which those are.

    Raises:
        ValueError: There is no integration of a name.
        TypeError: None of them takes an option.
        IntegrationError: A library is missing or too old; the message says what to install.
    """
    for name in which:
        if name not in _MODULES:
            raise ValueError(f"there is no integration {name!r}: there are {', '.join(names())}")
    from mission_tracer import recorder  # when it is needed: the package imports this file at once

    if not recorder.default().enabled:
        return
    modules = {name: _load(name) for name in which}
    taken = {name: _taken(module) for name, module in modules.items()}
    for option in options:
        if not any(option in known for known in taken.values()):
            known = sorted(set().union(*taken.values()))
            raise TypeError(f"no option {option!r}: {', '.join(which)} take {', '.join(known) or 'none'}")
    done: list[str] = []
    try:
        for name, module in modules.items():
            with _installed.lock:
                if name not in _installed.undo:
                    given = {option: value for option, value in options.items() if option in taken[name]}
                    _installed.undo[name] = module.install(name, **given)
                    done.append(name)
    except BaseException:
        for name in done:
            uninstrument(name)
        raise


def _load(name: str) -> Integration:
    module: Any = importlib.import_module(f"mission_tracer.integrations.{_MODULES[name]}")
    return module  # type: ignore[no-any-return]  # tests see to it that each file has an `install`


def _taken(module: Integration) -> set[str]:
    import inspect  # like the recorder

    parameters = inspect.signature(module.install).parameters.values()
    return {each.name for each in parameters if each.kind is each.KEYWORD_ONLY}


def uninstrument(*which: str) -> None:
    """Switch integrations off and restore what they changed; what is under way is recorded to its end.

    Args:
        which: Their names; none: all. One that is not on is left alone.
    """
    for name in which or tuple(_installed.undo):
        with _installed.lock:
            undo = _installed.undo.pop(name, None)
        if undo is not None:
            undo()
