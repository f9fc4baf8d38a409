"""Record the calls of any callable: what a decorator returns for it.

A function gets a twin (`_twin`). A method, class method, static method or property is rebuilt around the twin of its
function. Whatever else can be called (a partial, an object, a bound method, a built-in) is stood in for by a proxy.
No way of calling makes a task, a context or a thread.
"""

from __future__ import annotations

import copy
import functools
import inspect
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from types import FunctionType
from typing import Any, TypeVar

import wrapt

from mission_tracer._drivers import AsyncGeneratorDriver, Block, GeneratorDriver, Scope
from mission_tracer._twin import twin

__all__ = ["Block", "Scope", "is_decorable", "record_calls"]

F = TypeVar("F")

_DESCRIPTORS = (classmethod, staticmethod, property, functools.cached_property, functools.partialmethod)

# Objects that keep their function to themselves and are found by their type: the function inside is replaced.
_HOLDERS = {"click.core.Command": "callback", "_pytest.fixtures.FixtureFunctionDefinition": "_fixture_function"}


def is_decorable(target: object) -> bool:
    """Say whether a decorator's only argument is what it decorates; a class is, to be refused."""
    return callable(target) or isinstance(target, _DESCRIPTORS)


def record_calls(target: F, block: Block) -> F:
    """Return the callable, with each call recorded as the block says.

    Args:
        target: A callable of any kind, or a descriptor made of one (`classmethod`, `property`, ...).
        block: Begins a scope for each call.

    Raises:
        TypeError: It is a class, or cannot be called.
    """
    return _recorded(target, block)  # type: ignore[no-any-return]  # it is like what was given


def _recorded(target: Any, block: Block, *, bound: bool | None = None) -> Any:
    kind = type(target)
    if isinstance(target, type):
        raise TypeError(
            f"a class cannot be decorated ({target.__qualname__}): decorate its methods, or use a `with` block"
        )
    if kind is FunctionType:
        # A function that is only marked as a coroutine function returns an awaitable of another's making.
        marked = inspect.iscoroutinefunction(target) and not target.__code__.co_flags & inspect.CO_COROUTINE
        return RecordedCallable(target, block) if marked else twin(target, block, bound=bound)
    if isinstance(target, _DESCRIPTORS):
        return _rebuilt(target, block)
    inside = next((_HOLDERS[name] for name in map(_name, kind.__mro__) if name in _HOLDERS), None)
    if inside is not None and getattr(target, inside) is not None:
        setattr(target, inside, _recorded(getattr(target, inside), block))
        return target
    if not callable(target):
        raise TypeError(f"only a callable can be decorated, not {target!r:.200}")
    return RecordedCallable(target, block)


def _rebuilt(target: Any, block: Block) -> Any:
    """Make a descriptor like this one around its recorded function."""
    kind = type(target)
    if isinstance(target, property):
        return kind(_recorded(target.fget, block, bound=True), target.fset, target.fdel, target.__doc__)
    if isinstance(target, functools.cached_property):
        return kind(_recorded(target.func, block, bound=True))
    if isinstance(target, functools.partialmethod):
        return kind(_recorded(target.func, block, bound=True), *target.args, **target.keywords)
    return kind(_recorded(target.__func__, block, bound=isinstance(target, classmethod)))


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


class _BoundCallable(wrapt.BoundFunctionWrapper):  # type: ignore[type-arg]
    """Stand in for what a recorded callable becomes as a method."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.__wrapped__.__reduce_ex__(protocol)

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        method: Any = self.__wrapped__
        return getattr(copy.deepcopy(method.__self__, memo), method.__name__)


class RecordedCallable(wrapt.FunctionWrapper):  # type: ignore[type-arg]  # what it wraps is not said by a type
    """Stand in for a callable that is no plain function.

    Args:
        wrapped: The callable.
        block: Begins a scope for each call.
    """

    __bound_function_wrapper__ = _BoundCallable

    def __init__(self, wrapped: Any, block: Block) -> None:
        super().__init__(wrapped, _caller(wrapped, block))
        self._self_block = block

    def __reduce_ex__(self, protocol: Any) -> Any:
        # By its name when it is found there, as functions are; else by value, as objects are.
        name = getattr(self.__wrapped__, "__qualname__", None)
        if isinstance(name, str) and _found(self.__wrapped__, name) is self:
            return name
        return RecordedCallable, (self.__wrapped__, self._self_block)

    def __copy__(self) -> RecordedCallable:
        return RecordedCallable(copy.copy(self.__wrapped__), self._self_block)

    def __deepcopy__(self, memo: Any) -> RecordedCallable:
        return RecordedCallable(copy.deepcopy(self.__wrapped__, memo), self._self_block)


def _found(target: Any, name: str) -> Any:
    found: Any = sys.modules.get(getattr(target, "__module__", None) or "")
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _caller(target: Any, block: Block) -> Callable[..., Any]:
    """Choose, once, how this callable is called."""
    inner = target
    while isinstance(inner, functools.partial):
        inner = inner.func
    plain = inner if inspect.isroutine(inner) else type(inner).__call__
    kinds = {
        inspect.isasyncgenfunction: _async_generator,
        inspect.iscoroutinefunction: _coroutine,
        inspect.isgeneratorfunction: _generator,
    }
    drive = next((kind for ask, kind in kinds.items() if ask(inner) or ask(plain)), _result)

    def call(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        return drive(wrapped, args, kwargs, block)

    return call


def _result(function: Any, args: Any, kwargs: Any, block: Block) -> Any:
    scope = block.begin(function, args, kwargs, bound=False)
    if scope is None:
        return function(*args, **kwargs)
    before = scope.enter()
    try:
        result = function(*args, **kwargs)
    except BaseException as error:
        scope.leave(before)
        scope.end(None, error)
        raise
    scope.leave(before)
    scope.end(result)
    return result


# The others call at once, so that wrong arguments are refused where they are given, and begin when they are resumed.


def _coroutine(function: Any, args: Any, kwargs: Any, block: Block) -> Coroutine[Any, Any, Any]:
    inner = function(*args, **kwargs)
    return _awaited(inner, lambda: block.begin(function, args, kwargs, bound=False))


async def _awaited(inner: Coroutine[Any, Any, Any], begin: Callable[[], Scope | None]) -> Any:
    scope = begin()
    if scope is None:
        return await inner
    before = scope.enter()
    try:
        result = await inner
    except BaseException as error:
        scope.leave(before)
        scope.end(None, error)
        raise
    scope.leave(before)
    scope.end(result)
    return result


def _generator(function: Any, args: Any, kwargs: Any, block: Block) -> Generator[Any, Any, Any]:
    inner = function(*args, **kwargs)
    return _generated(inner, lambda: block.begin(function, args, kwargs, bound=False))


def _generated(inner: Generator[Any, Any, Any], begin: Callable[[], Scope | None]) -> Generator[Any, Any, Any]:
    driver = GeneratorDriver(inner, begin())
    while driver.resume():
        with driver:
            driver.given = yield driver.take()
    return driver.result


def _async_generator(function: Any, args: Any, kwargs: Any, block: Block) -> AsyncGenerator[Any, Any]:
    inner = function(*args, **kwargs)
    return _async_generated(inner, lambda: block.begin(function, args, kwargs, bound=False))


async def _async_generated(
    inner: AsyncGenerator[Any, Any], begin: Callable[[], Scope | None]
) -> AsyncGenerator[Any, Any]:
    driver = AsyncGeneratorDriver(inner, begin())
    while await driver.resume():
        with driver:
            driver.given = yield driver.take()
