"""Drive a recorded callable: one driver for functions, coroutines, generators and async generators.

Which driver it is, is decided once, when the callable is decorated. No driver makes a task, a context or a thread; a
generator's scope is current only while its own code runs, never across a `yield`.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, Protocol, TypeVar

import wrapt

F = TypeVar("F", bound=Callable[..., Any])


class Scope(Protocol):
    """One entry of a block: a run, a step or a tool call that has begun."""

    def enter(self) -> Any:
        """Make it current; return what was current before."""

    def leave(self, before: Any) -> None:
        """Make current again what was current before it was entered."""

    def end(self, result: Any = None, error: BaseException | None = None) -> None:
        """Record how it ended."""


class Block(Protocol):
    """What a decorator made: begins a scope for each call."""

    def begin(self, function: Callable[..., Any], args: Any, kwargs: Any, *, bound: bool) -> Scope | None:
        """Begin a scope for a call; `None`: this call is not recorded."""


def record_calls(function: F, block: Block) -> F:
    """Return the callable with each call recorded as the block says.

    Raises:
        TypeError: It is a class, or cannot be called.
    """
    target = _innermost(function)
    if isinstance(target, type):
        raise TypeError(
            f"classes cannot be decorated ({target.__qualname__}): decorate a method, or use a `with` block"
        )
    if not callable(target):
        raise TypeError(f"only a callable can be decorated, not {target!r:.200}")
    return RecordedCallable(function, _driver(target)(block))  # type: ignore[return-value]  # it stands in for it


def _innermost(function: Any) -> Any:
    while isinstance(function, (classmethod, staticmethod)):
        function = function.__func__
    return function


def _driver(target: Any) -> Callable[[Block], Any]:
    plain = target if inspect.isroutine(target) or not hasattr(type(target), "__call__") else type(target).__call__
    for ask, driver in (
        (inspect.isasyncgenfunction, _async_generator),
        (inspect.iscoroutinefunction, _coroutine),
        (inspect.isgeneratorfunction, _generator),
    ):
        if ask(target) or ask(plain):
            return driver
    return _function


class RecordedCallable(wrapt.FunctionWrapper):  # type: ignore[type-arg]  # what it wraps is not said by a type
    """Stand in for a callable; it pickles by name, as a plain function does, and copies to itself."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.__wrapped__.__qualname__

    def __copy__(self) -> RecordedCallable:
        return self

    def __deepcopy__(self, memo: Any) -> RecordedCallable:
        return self


def _function(block: Block) -> Any:
    def call(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        scope = block.begin(wrapped, args, kwargs, bound=instance is not None)
        if scope is None:
            return wrapped(*args, **kwargs)
        before = scope.enter()
        try:
            result = wrapped(*args, **kwargs)
        except BaseException as error:
            scope.leave(before)
            scope.end(None, error)
            raise
        scope.leave(before)
        scope.end(result)
        return result

    return call


def _coroutine(block: Block) -> Any:
    async def call(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        scope = block.begin(wrapped, args, kwargs, bound=instance is not None)
        if scope is None:
            return await wrapped(*args, **kwargs)
        before = scope.enter()
        try:
            result = await wrapped(*args, **kwargs)
        except BaseException as error:
            scope.leave(before)
            scope.end(None, error)
            raise
        scope.leave(before)
        scope.end(result)
        return result

    return call


def _generator(block: Block) -> Any:
    def call(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Generator[Any, Any, Any]:
        inner = wrapped(*args, **kwargs)
        return _drive(inner, lambda: block.begin(wrapped, args, kwargs, bound=instance is not None))

    return call


def _drive(inner: Generator[Any, Any, Any], begin: Callable[[], Scope | None]) -> Generator[Any, Any, Any]:
    scope = begin()
    if scope is None:
        return (yield from inner)
    resume: Callable[[Any], Any] = inner.send
    given: Any = None
    while True:
        before = scope.enter()
        try:
            item = resume(given)
        except StopIteration as stop:
            scope.leave(before)
            scope.end(stop.value)
            return stop.value
        except BaseException as error:
            scope.leave(before)
            scope.end(None, error)
            raise
        scope.leave(before)
        try:
            given = yield item
            resume = inner.send
        except GeneratorExit as gone:
            _close(inner, scope, gone)
            raise
        except BaseException as error:  # noqa: BLE001 - thrown in by the consumer: it is the generator's to handle
            given, resume = error, inner.throw


def _close(inner: Generator[Any, Any, Any], scope: Scope, gone: GeneratorExit) -> None:
    """Close the generator that its consumer abandoned, in its own scope."""
    before = scope.enter()
    try:
        inner.close()
    except BaseException as error:
        scope.leave(before)
        scope.end(None, error)
        raise
    scope.leave(before)
    scope.end(None, gone)


def _async_generator(block: Block) -> Any:
    def call(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> AsyncGenerator[Any, Any]:
        inner = wrapped(*args, **kwargs)
        return _drive_async(inner, lambda: block.begin(wrapped, args, kwargs, bound=instance is not None))

    return call


async def _drive_async(inner: AsyncGenerator[Any, Any], begin: Callable[[], Scope | None]) -> AsyncGenerator[Any, Any]:
    scope = begin()
    resume: Callable[[Any], Any] = inner.asend
    given: Any = None
    while True:
        before = scope.enter() if scope else None
        try:
            item = await resume(given)
        except StopAsyncIteration:
            if scope:
                scope.leave(before)
                scope.end(None)
            return
        except BaseException as error:
            if scope:
                scope.leave(before)
                scope.end(None, error)
            raise
        if scope:
            scope.leave(before)
        try:
            given = yield item
            resume = inner.asend
        except GeneratorExit as gone:
            await _aclose(inner, scope, gone)
            raise
        except BaseException as error:  # noqa: BLE001 - thrown in by the consumer: it is the generator's to handle
            given, resume = error, inner.athrow


async def _aclose(inner: AsyncGenerator[Any, Any], scope: Scope | None, gone: GeneratorExit) -> None:
    before = scope.enter() if scope else None
    try:
        await inner.aclose()
    except BaseException as error:
        if scope:
            scope.leave(before)
            scope.end(None, error)
        raise
    if scope:
        scope.leave(before)
        scope.end(None, gone)
