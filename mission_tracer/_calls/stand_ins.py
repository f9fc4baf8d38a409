"""Stand in for callables that are no plain functions: partials, objects, bound methods, built-ins, cached functions.

A stand-in is a proxy of wrapt's: an instance of whatever it stands in for, with its attributes.
"""

from __future__ import annotations

import copy
import functools
import inspect
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from types import FunctionType, MethodType
from typing import Any

import wrapt

from mission_tracer._calls.drivers import AsyncGeneratorDriver, Block, GeneratorDriver, Scope
from mission_tracer._calls.twin import twin


def stand_in(target: Any, block: Block) -> Any:
    """Return a proxy of a callable, each call of which is recorded as the block says."""
    return (_Descriptor if hasattr(type(target), "__get__") else _Object)(target, block)


class _Proxy:
    """What the proxies have in common: how they are copied, pickled and shown."""

    def __reduce_ex__(self: Any, protocol: Any) -> Any:
        # By its name when it is found there, as functions are; else by value, as objects are.
        name = getattr(self.__wrapped__, "__qualname__", None)
        if isinstance(name, str) and _found(self.__wrapped__, name) is self:
            return name
        return stand_in, (self.__wrapped__, self._self_block)

    def __copy__(self: Any) -> Any:
        return stand_in(copy.copy(self.__wrapped__), self._self_block)

    def __deepcopy__(self: Any, memo: Any) -> Any:
        return stand_in(copy.deepcopy(self.__wrapped__, memo), self._self_block)

    def __repr__(self: Any) -> str:
        return repr(self.__wrapped__)

    @property
    def __signature__(self: Any) -> inspect.Signature:
        try:
            return inspect.signature(self.__wrapped__)
        except (TypeError, ValueError) as error:
            raise AttributeError("__signature__") from error


# Python puts annotations into every class as soon as somebody asks for them, and a proxy would show those.
_annotations: Any = property(
    lambda proxy: proxy.__wrapped__.__annotations__,
    lambda proxy, value: setattr(proxy.__wrapped__, "__annotations__", value),
)


class _Object(_Proxy, wrapt.ObjectProxy):  # type: ignore[type-arg]  # what it wraps is not said by a type
    """Stand in for what does not become a method in a class."""

    __annotations__ = _annotations

    def __init__(self, wrapped: Any, block: Block) -> None:
        super().__init__(wrapped)
        self._self_block = block
        self._self_call = _method(wrapped, block)

    @property
    def __call__(self) -> Any:
        # Whoever asks whether an object is asynchronous looks at what is found under this name.
        return self._self_call


class _Bound(_Proxy, wrapt.BoundFunctionWrapper):  # type: ignore[type-arg]
    """Stand in for what a `_Descriptor` becomes as a method."""

    __annotations__ = _annotations

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.__wrapped__.__reduce_ex__(protocol)

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        method: Any = self.__wrapped__
        return getattr(copy.deepcopy(method.__self__, memo), method.__name__)


class _Descriptor(_Proxy, wrapt.FunctionWrapper):  # type: ignore[type-arg]
    """Stand in for what becomes a method in a class."""

    __annotations__ = _annotations
    __bound_function_wrapper__ = _Bound

    def __init__(self, wrapped: Any, block: Block) -> None:
        call = _caller(wrapped)
        super().__init__(wrapped, lambda target, _instance, args, kwargs: call(target, args, kwargs, block))
        self._self_block = block


class _Of:
    """Be the block of an object's own method: what is called is the object.

    Args:
        target: The object.
        block: Records its calls.
    """

    def __init__(self, target: Any, block: Block) -> None:
        self._target = target
        self._block = block

    def begin(self, function: Any, args: Any, kwargs: Any, *, bound: bool) -> Scope | None:
        return self._block.begin(self._target, args[1:], kwargs, bound=False)


def _method(target: Any, block: Block) -> Callable[..., Any]:
    """Return what is called in an object's place: of its own method in Python the twin."""
    plain = inspect.getattr_static(type(target), "__call__", None)
    own: Any = MethodType(plain, target) if isinstance(plain, FunctionType) else None
    if type(target) is _Object:
        own = target.__call__  # what another decorator has made
    if isinstance(own, MethodType) and not any(ask(target) for ask in _KINDS):
        function: Any = own.__func__
        return MethodType(twin(function, _Of(target, block), bound=True), own.__self__)
    call = _caller(target)
    return lambda *args, **kwargs: call(target, args, kwargs, block)


def _found(target: Any, name: str) -> Any:
    found: Any = sys.modules.get(getattr(target, "__module__", None) or "")
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _caller(target: Any) -> Callable[[Any, Any, Any, Block], Any]:
    """Choose, once, how this callable is called."""
    inner = target
    while isinstance(inner, functools.partial):
        inner = inner.func
    plain = inner if inspect.isroutine(inner) else type(inner).__call__
    return next((kind for ask, kind in _KINDS.items() if ask(inner) or ask(plain)), _result)


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


_KINDS: dict[Callable[[Any], bool], Callable[[Any, Any, Any, Block], Any]] = {
    inspect.isasyncgenfunction: _async_generator,
    inspect.iscoroutinefunction: _coroutine,
    inspect.isgeneratorfunction: _generator,
}
