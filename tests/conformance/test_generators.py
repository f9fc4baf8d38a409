"""Decorated generators: everything a consumer can do to one does what it does to the bare one."""

from __future__ import annotations

import gc
import inspect
import sys
import traceback
import types
import weakref
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import pytest

from .conftest import Decorate
from .seeing import agree

seen: ContextVar[str] = ContextVar("seen", default="unset")


def talking(d: Decorate) -> Any:
    """Make a generator that notes what is sent and thrown, and what happens at its end."""

    @d
    def subject(log: list[Any]) -> Any:
        try:
            for item in range(10):
                try:
                    log.append(("got", (yield item)))
                except ValueError as error:
                    log.append(("caught", error, error.__context__))
                    yield "after the error"
            return "whole"
        finally:
            log.append("closed")

    return subject


def see(use: Callable[[Any, list[Any]], Any]) -> Callable[[Any], Any]:
    """Use a generator in some way; say what came of it and what the generator noted."""

    def look(target: Any) -> Any:
        log: list[Any] = []
        try:
            came = use(target(log), log)
        except BaseException as error:
            came = type(error), error.args, type(error.__cause__), type(error.__context__)
        shown = [(entry[0], repr(entry[1])) if isinstance(entry, tuple) else entry for entry in log]
        return came, shown

    return look


def returned(generator: Any) -> Any:
    """Run a generator to its end and return what it returns."""
    return (yield from generator)


def test_next(decorate: Decorate) -> None:
    """Iterating gives all items, in order, and ends."""
    assert agree(talking, decorate, see(lambda g, _: list(g)))[0] == list(range(10))


def test_send(decorate: Decorate) -> None:
    """`send` hands a value in and takes the next item out."""

    def use(generator: Any, log: list[Any]) -> Any:
        return next(generator), generator.send("a"), generator.send(None), generator.send(["b"])

    assert agree(talking, decorate, see(use))[0] == (0, 1, 2, 3)


def test_send_before_the_start(decorate: Decorate) -> None:
    """Sending a value to a generator that has not begun is refused."""
    came, log = agree(talking, decorate, see(lambda g, _: g.send("early")))
    assert came[0] is TypeError
    assert log == []


def test_throw_that_is_handled(decorate: Decorate) -> None:
    """`throw` raises inside, without a context of ours; what the generator then yields comes back."""

    def use(generator: Any, log: list[Any]) -> Any:
        next(generator)
        came = generator.throw(ValueError("in"))
        return came, log[-1][2], next(generator)

    assert agree(talking, decorate, see(use))[0] == ("after the error", None, 1)


def test_throw_that_is_not_handled(decorate: Decorate) -> None:
    """`throw` of what the generator does not handle comes out as the very same exception, unchanged."""

    def use(generator: Any, log: list[Any]) -> Any:
        next(generator)
        error = KeyError("in")
        with pytest.raises(KeyError) as caught:
            generator.throw(error)
        last = traceback.extract_tb(caught.value.__traceback__)[-1]
        return caught.value is error, error.__context__, last.name, last.lineno, list(generator)

    agree(talking, decorate, see(use))


def test_throw_before_the_start(decorate: Decorate) -> None:
    """Throwing into a generator that has not begun runs none of its code."""
    came, log = agree(talking, decorate, see(lambda g, _: g.throw(KeyError("early"))))
    assert came[0] is KeyError
    assert log == []


def test_throw_of_a_class(decorate: Decorate) -> None:
    """`throw` takes a class as well."""

    def use(generator: Any, log: list[Any]) -> Any:
        next(generator)
        return generator.throw(ValueError)

    assert agree(talking, decorate, see(use))[0] == "after the error"


def test_errors_after_a_handled_one_have_no_context(decorate: Decorate) -> None:
    """An error raised after the thrown one was handled does not get it as its context."""

    def make(d: Decorate) -> Any:
        @d
        def subject() -> Any:
            with suppress(ValueError):
                yield 1
            raise KeyError("later")

        return subject

    def look(target: Any) -> Any:
        generator = target()
        next(generator)
        with pytest.raises(KeyError) as caught:
            generator.throw(ValueError("handled"))
        return caught.value.__context__

    assert agree(make, decorate, look) is None


def test_return_value(decorate: Decorate) -> None:
    """What the generator returns is the value of its `StopIteration`, and of `yield from`."""

    def use(generator: Any, log: list[Any]) -> Any:
        driver = returned(generator)
        while True:
            try:
                next(driver)
            except StopIteration as stop:
                return stop.value

    assert agree(talking, decorate, see(use))[0] == "whole"


def test_close(decorate: Decorate) -> None:
    """`close` runs the generator's clean-up, once, and ends it."""

    def use(generator: Any, log: list[Any]) -> Any:
        next(generator)
        generator.close()
        generator.close()
        return list(generator)

    assert agree(talking, decorate, see(use)) == ([], ["closed"])


def test_close_result(decorate: Decorate) -> None:
    """`close` returns what it returns for the bare generator: from Python 3.13 on, the generator's value."""

    def make(d: Decorate) -> Any:
        @d
        def subject() -> Any:
            try:
                yield 1
            except GeneratorExit:
                return "value"

        return subject

    def look(target: Any) -> Any:
        generator = target()
        next(generator)
        return generator.close()

    assert agree(make, decorate, look) == ("value" if sys.version_info >= (3, 13) else None)


def test_close_that_is_ignored(decorate: Decorate) -> None:
    """A generator that yields when it is closed is told so by a `RuntimeError`."""

    def make(d: Decorate) -> Any:
        @d
        def subject() -> Any:
            try:
                yield 1
            except GeneratorExit:
                yield 2

        return subject

    def look(target: Any) -> Any:
        generator = target()
        next(generator)
        with pytest.raises(RuntimeError, match="generator ignored GeneratorExit"):
            generator.close()
        other = target()
        next(other)
        return other.throw(GeneratorExit())

    assert agree(make, decorate, look) == 2


def test_stop_iteration_inside(decorate: Decorate) -> None:
    """`StopIteration` raised in a generator, or thrown into it, becomes a `RuntimeError`."""

    def make(d: Decorate) -> Any:
        @d
        def subject() -> Any:
            yield 1
            raise StopIteration("inside")  # noqa: PLR1708 - the check

        return subject

    def look(target: Any) -> Any:
        found = []
        for use in (next, lambda g: g.throw(StopIteration("thrown"))):
            generator = target()
            next(generator)
            with pytest.raises(RuntimeError, match="generator raised StopIteration") as caught:
                use(generator)
            found.append((repr(caught.value.__cause__), caught.value.__suppress_context__))
        return found

    agree(make, decorate, look)


def test_generator_object(decorate: Decorate) -> None:
    """A call returns a true generator with the function's name, in the states a generator goes through."""

    def use(generator: Any, log: list[Any]) -> Any:
        states = [inspect.getgeneratorstate(generator)]
        next(generator)
        states.append(inspect.getgeneratorstate(generator))
        generator.close()
        states.append(inspect.getgeneratorstate(generator))
        return type(generator), generator.__name__, generator.__qualname__, generator.gi_code.co_name, states

    assert agree(talking, decorate, see(use))[0][0] is types.GeneratorType


def test_nothing_runs_before_the_first_item(decorate: Decorate) -> None:
    """Calling runs none of the generator's code; one that is never begun records nothing and warns of nothing."""
    assert agree(talking, decorate, see(lambda g, log: len(log))) == (0, [])


def test_delegation(decorate: Decorate) -> None:
    """`yield from` a decorated generator hands everything through."""

    def use(generator: Any, log: list[Any]) -> Any:
        outer = returned(generator)
        return next(outer), outer.send("x"), outer.throw(ValueError("y")), outer.close()

    agree(talking, decorate, see(use))


def test_already_executing(decorate: Decorate) -> None:
    """A generator that resumes itself is refused."""

    def make(d: Decorate) -> Any:
        @d
        def subject() -> Any:
            yield next(me[0])

        return subject

    me: list[Any] = []

    def look(target: Any) -> Any:
        me[:] = [target()]
        with pytest.raises(ValueError, match="generator already executing"):
            next(me[0])
        me.clear()
        return True

    assert agree(make, decorate, look)


def test_items_are_not_kept_alive(decorate: Decorate) -> None:
    """Neither items nor sent values nor thrown errors are held on to."""

    class ThingError(Exception):
        pass

    @decorate
    def subject() -> Any:
        with suppress(ThingError):
            yield ThingError()
        yield 1

    gc.disable()
    try:
        generator = subject()
        alive = [weakref.ref(next(generator))]
        assert alive[0]() is None
        error = ThingError()
        alive.append(weakref.ref(error))
        assert generator.throw(error) == 1
        del error
        assert alive[1]() is None
        generator.close()
    finally:
        gc.enable()


def test_types_coroutine(decorate: Decorate) -> None:
    """A generator that `types.coroutine` made awaitable can still be awaited."""

    def make(d: Decorate) -> Any:
        @d
        @types.coroutine
        def subject() -> Any:
            got = yield "to the loop"
            return got

        return subject

    def look(target: Any) -> Any:
        async def main() -> Any:
            return await target()

        coroutine = main()
        first = coroutine.send(None)
        try:
            coroutine.send("from the loop")
        except StopIteration as stop:
            return first, stop.value, inspect.isawaitable(target())

    assert agree(make, decorate, look) == ("to the loop", "from the loop", True)
