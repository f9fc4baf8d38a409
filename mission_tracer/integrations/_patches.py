"""Wrap what other libraries define, and give it back as it was."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import inspect
import re
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any, TypeVar, cast

import wrapt
from typing_extensions import ParamSpec

from mission_tracer import recorder
from mission_tracer.instrument import IntegrationError

P = ParamSpec("P")
R = TypeVar("R")

Wrapper = Callable[[Any, Any, Any, Any], Any]
"""`(wrapped, instance, args, kwargs)`, as wrapt calls it."""


class Patches:
    """Remember what one integration wrapped.

    A wrapper that somebody else wrapped in turn cannot be taken from under it: it stays, and does nothing any more.
    """

    def __init__(self) -> None:
        self._active = True
        self._undo: list[Callable[[], None]] = []

    def wrap(self, owner: Any, name: str, wrapper: Wrapper) -> None:
        """Wrap an attribute of a class or module.

        Args:
            owner: The class or module; an attribute that a class inherits is wrapped for this class alone.
            name: The attribute.
            wrapper: What is called instead.

        Raises:
            AttributeError: There is no such attribute.
        """
        own = name in vars(owner)
        _, _, original = wrapt.resolve_path(owner, name)
        replacement: Any
        if (
            type(original) is not FunctionType
            or inspect.isgeneratorfunction(original)
            or inspect.isasyncgenfunction(original)
        ):
            replacement = wrapt.FunctionWrapper(original, wrapper, enabled=lambda: self._active)
        else:
            replacement = self._stand_in(original, wrapper, is_method=isinstance(owner, type))
        setattr(owner, name, replacement)

        def undo() -> None:
            if vars(owner).get(name) is not replacement:
                return
            if own:
                setattr(owner, name, original)
            else:
                delattr(owner, name)

        self._undo.append(undo)

    def _stand_in(self, original: FunctionType, wrapper: Wrapper, *, is_method: bool) -> FunctionType:
        """Make a plain function that calls a wrapper: pickle takes it, and its methods, by their names."""

        def call(*args: Any, **kwargs: Any) -> Any:
            if not self._active or (is_method and not args):
                return original(*args, **kwargs)
            if is_method:
                return wrapper(MethodType(original, args[0]), args[0], args[1:], kwargs)
            return wrapper(original, None, args, kwargs)

        async def call_later(*args: Any, **kwargs: Any) -> Any:
            return await call(*args, **kwargs)

        stand_in = functools.wraps(original)(call_later if inspect.iscoroutinefunction(original) else call)
        return cast("FunctionType", stand_in)

    def wrap_path(self, module: str, path: str, wrapper: Wrapper) -> bool:
        """Wrap an attribute named by text, such as `Class.method` of a module, if it is there; say whether it is."""
        owner_path, _, name = path.rpartition(".")
        try:
            owner = importlib.import_module(module)
            for part in owner_path.split(".") if owner_path else ():
                owner = getattr(owner, part)
            self.wrap(owner, name, wrapper)
        except (ImportError, AttributeError):
            return False
        return True

    def undo(self) -> None:
        """Give everything back, the last wrapped first."""
        self._active = False
        while self._undo:
            self._undo.pop()()


def ours(function: Callable[P, R]) -> Callable[P, R | None]:
    """Make a hook of ours return `None` instead of raising an error into the program."""

    @functools.wraps(function)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R | None:
        try:
            return function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - our own errors stay ours
            recorder.default().trouble(error, f"{function.__module__}.{function.__qualname__}")
            return None

    return inner


def require(module: str, least: str, *, distribution: str | None = None) -> Any:
    """Import a library that an integration needs.

    Args:
        module: What to import.
        least: The oldest version that will do, such as `1.40`.
        distribution: What to install for it; `None`: it has the module's name.

    Raises:
        IntegrationError: It is missing, too old, or cannot be imported.
    """
    name = distribution or module.partition(".")[0]
    try:
        found = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        raise IntegrationError(f"this integration needs {name}: pip install '{name}>={least}'") from None
    if _numbers(found) < _numbers(least):
        raise IntegrationError(f"this integration needs {name} {least} or newer, not {found}: pip install -U {name}")
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise IntegrationError(f"{name} {found} cannot be imported: {error}") from error


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:3])
