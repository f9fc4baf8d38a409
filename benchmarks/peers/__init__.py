"""What is measured: one file a library, each with the same few functions (`Peer`)."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol, cast

Function = Callable[..., Any]


class Peer(Protocol):
    """What a file of this package offers; a library that has no such thing leaves the function out."""

    def start(self, url: str, variant: str) -> None:
        """Configure the library to send to a local sink."""

    def scope(self) -> AbstractContextManager[Any]:
        """Open what surrounds the measured calls: a run, a trace, or nothing."""

    def step(self, function: Function) -> Function:
        """Decorate a function so that each call is recorded with its begin and end."""

    def tool(self, function: Function) -> Function:
        """Decorate a function so that each call is recorded with its arguments and result."""

    def log(self, text: str) -> None:
        """Record that something happened now."""

    def record(self, name: str) -> None:
        """Record one thing under a name of its own, which the sink counts."""

    def finish(self) -> None:
        """Wait until all is sent."""


def load(module: str) -> Peer:
    """Import a peer; only its own interpreter has its library."""
    return cast("Peer", importlib.import_module(f"{__name__}.{module}"))


def around(open_span: Callable[[str], AbstractContextManager[Any]], function: Function) -> Function:
    """Decorate a function with a span, for libraries that have only a `with` block."""
    name = function.__name__
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def call_async(*args: Any, **kwargs: Any) -> Any:
            with open_span(name):
                return await function(*args, **kwargs)

        return call_async

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with open_span(name):
            return function(*args, **kwargs)

    return call
