"""Keep our own errors out of the user's program: one guard for every edge."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from typing_extensions import ParamSpec

P = ParamSpec("P")
R = TypeVar("R")


class Guarded(Protocol):
    """What a guarded method's object must know."""

    def trouble(self, error: Exception, where: str) -> None:
        """Take an error of ours: raise it again when strict, else say it and go on."""


def guarded(otherwise: Any = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a method return `otherwise` instead of raising an error of ours.

    The method's object says what happens to the error (`trouble`). What is no `Exception`, such as Ctrl-C, passes.
    """

    def decorate(method: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(method)
        def inner(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return method(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - this is the guard
                guard: Any = args[0]
                guard.trouble(error, method.__qualname__)
                return otherwise  # type: ignore[no-any-return]  # the caller chose it

        return inner

    return decorate
