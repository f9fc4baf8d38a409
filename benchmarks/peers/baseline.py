"""The least a decorator costs: `functools.wraps` around a call, or wrapt's wrapper, and nothing recorded."""

from __future__ import annotations

import functools
import inspect
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from benchmarks.peers import Function

_made: dict[str, str] = {}


def start(_url: str, variant: str) -> None:
    _made["by"] = variant


def scope() -> AbstractContextManager[Any]:
    return nullcontext()


def step(function: Function) -> Function:
    if _made["by"] == "wrapt":
        import wrapt

        @wrapt.decorator
        def passed(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
            return wrapped(*args, **kwargs)

        return passed(function)
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def call_async(*args: Any, **kwargs: Any) -> Any:
            return await function(*args, **kwargs)

        return call_async

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return call


tool = step


def _nothing(_text: str) -> None:
    pass


@functools.wraps(_nothing)
def log(*args: Any, **kwargs: Any) -> None:
    _nothing(*args, **kwargs)


record = log


def finish() -> None:
    pass
