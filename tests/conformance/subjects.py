"""What the checks are made on: each subject makes one kind of callable, decorated with what it is given."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from typing import Any

Decorate = Callable[[Any], Any]

seen: ContextVar[str] = ContextVar("seen", default="nothing")


def marked(function: Any) -> Any:
    """Note something on a function, as frameworks do."""
    function.mark = ("kept", 1)
    return function


# ---- functions ----


def function(d: Decorate) -> Any:
    @d
    @marked
    def subject(one: int, two: int = 2, /, three: str = "3", *rest: Any, four: float = 4.0, **more: Any) -> list[Any]:
        """Give back what it was given.

        >>> 1 + 1
        2
        """
        return [one, two, three, rest, four, more]

    return subject


def coroutine(d: Decorate) -> Any:
    @d
    @marked
    async def subject(one: int, two: int = 2, /, three: str = "3", *rest: Any, four: float = 4.0, **more: Any) -> Any:
        """Give back what it was given, later."""
        return [one, two, three, rest, four, more]

    return subject


def generator(d: Decorate) -> Any:
    @d
    @marked
    def subject(
        one: int, two: int = 2, /, three: str = "3", *rest: Any, four: float = 4.0, **more: Any
    ) -> Iterator[Any]:
        """Give back what it was given, one by one."""
        yield one
        yield two
        yield [three, rest, four, more]
        return "end"

    return subject


def async_generator(d: Decorate) -> Any:
    @d
    @marked
    async def subject(
        one: int, two: int = 2, /, three: str = "3", *rest: Any, four: float = 4.0, **more: Any
    ) -> AsyncIterator[Any]:
        """Give back what it was given, one by one, later."""
        yield one
        yield two
        yield [three, rest, four, more]

    return subject


def nested(d: Decorate) -> Any:
    outer = "from outside"

    def make() -> Any:
        @d
        def subject(one: int, two: int = 2, three: str = "3", *rest: Any, four: float = 4.0, **more: Any) -> Any:
            return [one, two, three, rest, four, more, outer]

        return subject

    return make()


def lambda_(d: Decorate) -> Any:
    return d(lambda one, two=2, three="3", *rest, four=4.0, **more: [one, two, three, rest, four, more])


def wrapped(d: Decorate) -> Any:
    @d
    @functools.wraps(nested(lambda target: target))
    def subject(*args: Any, **kwargs: Any) -> Any:
        return [*args, kwargs]

    return subject


# ---- methods: reached from an object ----


def _class(d: Decorate) -> Any:
    class Agent:
        """An agent."""

        @d
        def method(
            self, one: int, /, two: int = 2, three: str = "3", *rest: Any, four: float = 4.0, **more: Any
        ) -> Any:
            """Act."""
            return [type(self).__name__, one, two, three, rest, four, more]

        @d
        async def async_method(self, one: int, /, two: int = 2, three: str = "3", *rest: Any, **more: Any) -> Any:
            return [type(self).__name__, one, two, three, rest, more]

        @d
        @classmethod
        def class_above(
            cls, one: int, /, two: int = 2, three: str = "3", *rest: Any, four: float = 4.0, **more: Any
        ) -> Any:
            """Act for all."""
            return [cls.__name__, one, two, three, rest, four, more]

        @classmethod
        @d
        def class_below(
            cls, one: int, /, two: int = 2, three: str = "3", *rest: Any, four: float = 4.0, **more: Any
        ) -> Any:
            return [cls.__name__, one, two, three, rest, four, more]

        @d
        @staticmethod
        def static_above(one: int, two: int = 2, three: str = "3", *rest: Any, four: float = 4.0, **more: Any) -> Any:
            return [one, two, three, rest, four, more]

        @staticmethod
        @d
        def static_below(one: int, two: int = 2, three: str = "3", *rest: Any, four: float = 4.0, **more: Any) -> Any:
            return [one, two, three, rest, four, more]

    class Child(Agent):
        def method(self, /, *args: Any, **kwargs: Any) -> Any:
            return ["child", *super().method(*args, **kwargs)]

    return Agent, Child


def method(d: Decorate) -> Any:
    return _class(d)[0]().method


def unbound_method(d: Decorate) -> Any:
    return functools.partial(_class(d)[0].method, _class(d)[0]())


def async_method(d: Decorate) -> Any:
    return _class(d)[0]().async_method


def overridden_method(d: Decorate) -> Any:
    return _class(d)[1]().method


def class_above(d: Decorate) -> Any:
    return _class(d)[0].class_above


def class_below(d: Decorate) -> Any:
    return _class(d)[0].class_below


def class_of_child(d: Decorate) -> Any:
    return _class(d)[1]().class_above


def static_above(d: Decorate) -> Any:
    return _class(d)[0].static_above


def static_below(d: Decorate) -> Any:
    return _class(d)[0]().static_below


# ---- what is no function ----


class Tool:
    """A tool that can be called."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, one: int, /, two: int = 2, three: str = "3", *rest: Any, four: float = 4.0, **more: Any) -> Any:
        self.calls += 1
        return [one, two, three, rest, four, more, self.calls]

    def act(self, one: int, /, two: int = 2, three: str = "3", *rest: Any, four: float = 4.0, **more: Any) -> Any:
        return [one, two, three, rest, four, more]


class AsyncTool:
    async def __call__(self, one: int, /, two: int = 2, three: str = "3", *rest: Any, **more: Any) -> Any:
        return [one, two, three, rest, more]


class GeneratorTool:
    def __call__(self, one: int, /, two: int = 2, three: str = "3", *rest: Any, **more: Any) -> Iterator[Any]:
        yield one
        yield [two, three, rest, more]


class AsyncGeneratorTool:
    async def __call__(
        self, one: int, /, two: int = 2, three: str = "3", *rest: Any, **more: Any
    ) -> AsyncIterator[Any]:
        yield one
        yield [two, three, rest, more]


def _act(nothing: None, one: int, /, two: int = 2, three: str = "3", *rest: Any, four: float = 4.0, **more: Any) -> Any:
    return [nothing, one, two, three, rest, four, more]


def partial(d: Decorate) -> Any:
    return d(functools.partial(_act, None))


def callable_object(d: Decorate) -> Any:
    return d(Tool())


def async_callable_object(d: Decorate) -> Any:
    return d(AsyncTool())


def generator_object(d: Decorate) -> Any:
    return d(GeneratorTool())


def async_generator_object(d: Decorate) -> Any:
    return d(AsyncGeneratorTool())


def bound_method(d: Decorate) -> Any:
    return d(Tool().act)


def _look(one: int, two: int = 2, three: str = "3", *rest: Any, four: float = 4.0, **more: Any) -> Any:
    return [one, two, three, rest, four, more]


def cached(d: Decorate) -> Any:
    return d(functools.lru_cache(_look))


FUNCTIONS = {
    "function": function,
    "coroutine": coroutine,
    "generator": generator,
    "async generator": async_generator,
    "nested function": nested,
    "lambda": lambda_,
}
METHODS = {
    "method": method,
    "async method": async_method,
    "overridden method": overridden_method,
    "class method, ours above": class_above,
    "class method, ours below": class_below,
    "class method of a child": class_of_child,
    "static method, ours above": static_above,
    "static method, ours below": static_below,
}
OBJECTS = {
    "partial": partial,
    "callable object": callable_object,
    "async callable object": async_callable_object,
    "generator object": generator_object,
    "async generator object": async_generator_object,
    "bound method": bound_method,
    "cached function": cached,
    "wrapped function": wrapped,
}
ALL = {**FUNCTIONS, **METHODS, **OBJECTS}
