"""What calling a decorated callable does: what comes back, what is raised, and where."""

from __future__ import annotations

import asyncio
import threading
import traceback
from contextvars import ContextVar
from typing import Any

import pytest

from mission_tracer import current_run

from .conftest import Decorate
from .seeing import Make, agree, each, outcome
from .subjects import ALL, FUNCTIONS


@each(ALL)
def test_results(make: Make, decorate: Decorate) -> None:
    """The result, or the items, are those of the bare callable."""
    kind, _ = agree(make, decorate, lambda target: outcome(target, 1, 5, "x", 6, other=7))
    assert kind in {"result", "awaited", "items"}


@each(ALL)
def test_keywords_are_untouched(make: Make, decorate: Decorate) -> None:
    """Keywords of any name reach the callable's `**more`: those that a wrapper might take for its own."""
    names = ("self", "cls", "wrapped", "instance", "args", "kwargs", "function", "func", "fn", "name", "block", "scope")
    more = dict.fromkeys((*names, "bound", "driver", "result", "error", "step", "run", "config", "metadata"), 1)
    kind, _ = agree(make, decorate, lambda target: outcome(target, 1, **more))
    assert kind in {"result", "awaited", "items"}


def test_keywords_named_as_positional_only_parameters(decorate: Decorate) -> None:
    """A keyword may have the name of a positional-only parameter."""

    def make(d: Decorate) -> Any:
        @d
        def subject(self: Any, one: int = 1, /, **more: Any) -> Any:
            return self, one, more

        return subject

    agree(make, decorate, lambda target: target(0, 2, self=3, one=4))


def test_parameters_named_as_ours(decorate: Decorate) -> None:
    """A parameter may have any name, also one that our own code uses."""

    def make(d: Decorate) -> Any:
        @d
        def subject(block: Any, function: Any, scope: Any, mission_tracer_: Any, mission_tracer_block: Any) -> Any:
            return block, function, scope, mission_tracer_, mission_tracer_block

        return subject

    assert agree(make, decorate, lambda target: target(1, 2, 3, 4, mission_tracer_block=5)) == (1, 2, 3, 4, 5)


@each(ALL)
@pytest.mark.parametrize(
    ("args", "kwargs"), [((), {}), ((1,), {"one": 2, "two": 3, "three": 4, "four": 5}), ((1, 2, 3), {"three": 3})]
)
def test_wrong_arguments(make: Make, decorate: Decorate, args: Any, kwargs: Any) -> None:
    """Wrong arguments are refused when the bare callable refuses them, at the call, in the same words."""
    agree(make, decorate, lambda target: outcome(target, *args, **kwargs))


@each(FUNCTIONS)
def test_wrong_arguments_are_refused_at_once(make: Make, decorate: Decorate) -> None:
    """Not when it is awaited or iterated, but when it is called."""
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'one'"):
        make(decorate)()


def test_defaults_are_the_very_objects(decorate: Decorate) -> None:
    """A mutable default stays one object over all calls, and an argument arrives as the object it is."""

    def make(d: Decorate) -> Any:
        @d
        def subject(item: Any, kept: list[Any] = [], *, also: dict[str, Any] = {}) -> Any:  # noqa: B006 - the check
            kept.append(item)
            also[str(len(kept))] = item
            return kept, also

        return subject

    target = make(decorate)
    thing = object()
    target(thing)
    kept, also = target(thing)
    assert (kept, also) == ([thing, thing], {"1": thing, "2": thing})
    assert kept is target.__wrapped__.__defaults__[0]
    assert target(1)[0] is kept


class StrangeError(Exception):
    """An error that hurts whoever looks at it."""

    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparison")

    def __hash__(self) -> int:
        raise RuntimeError("no hash")

    def __bool__(self) -> bool:
        raise RuntimeError("no truth")


class SlottedError(Exception):
    __slots__ = ()


ERRORS = [
    ValueError("plain"),
    StrangeError(),
    SlottedError("no attributes"),
    KeyboardInterrupt(),
    SystemExit(3),
    GeneratorExit(),
    asyncio.CancelledError(),
    StopIteration("stop"),
    OSError(2, "gone", "file"),
    BaseException("base"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_pass_through(decorate: Decorate, error: BaseException) -> None:
    """The very exception that was raised arrives, whatever it is, with what it carries."""
    if hasattr(error, "add_note"):
        error.__dict__["__notes__"] = ["a note"]
    cause, context = LookupError("cause"), LookupError("context")
    error.__cause__, error.__context__, error.__suppress_context__ = cause, context, False

    @decorate
    def subject() -> None:
        raise error

    caught: list[BaseException] = []
    try:
        subject()
    except BaseException as raised:
        caught.append(raised)
    assert caught[0] is error
    assert error.__cause__ is cause
    assert error.__context__ is context
    assert error.__suppress_context__ is False
    assert getattr(error, "__notes__", ["a note"]) == ["a note"]


def test_tracebacks_lead_to_the_raise(decorate: Decorate) -> None:
    """The traceback has the caller's line first and the raising line last; between them stands the decorator's line."""

    @decorate
    def subject() -> None:
        raise ValueError("here")

    try:
        subject()
    except ValueError as error:
        frames = traceback.extract_tb(error.__traceback__)
        last = error.__traceback__
    assert {frame.filename for frame in frames} == {__file__}
    assert [frame.name for frame in (frames[0], frames[-1])] == ["test_tracebacks_lead_to_the_raise", "subject"]
    assert frames[0].line == "subject()"
    assert frames[-1].line == 'raise ValueError("here")'
    assert {frame.line for frame in frames[1:-1]} == {"@decorate"}
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    assert last is not None
    assert last.tb_frame.f_code is subject.__wrapped__.__code__ or hasattr(subject.__wrapped__, "__wrapped__")


def test_context_of_errors(decorate: Decorate) -> None:
    """An error raised while the caller handles another one gets that as its context, and no other."""

    def make(d: Decorate) -> Any:
        @d
        def subject() -> None:
            raise ValueError("inner")

        return subject

    def see(target: Any) -> Any:
        outer = KeyError("outer")
        try:
            raise outer
        except KeyError:
            with pytest.raises(ValueError, match="inner") as inner:
                target()
        with pytest.raises(ValueError, match="inner") as alone:
            target()
        return inner.value.__context__ is outer, alone.value.__context__

    assert agree(make, decorate, see) == (True, None)


def test_errors_are_not_kept_alive(decorate: Decorate) -> None:
    """Once it is handled, nothing of ours holds on to an exception."""
    import gc
    import weakref

    class HeavyError(Exception):
        pass

    @decorate
    def subject() -> None:
        raise HeavyError

    gc.disable()
    try:
        try:
            subject()
        except HeavyError as error:
            alive = weakref.ref(error)
        assert alive() is None
    finally:
        gc.enable()


def test_results_are_not_kept_alive(decorate: Decorate) -> None:
    """Nothing of ours holds on to an argument or a result."""
    import weakref

    class Thing:
        pass

    @decorate
    def subject(thing: Any) -> Any:
        return thing

    thing = Thing()
    alive = weakref.ref(thing)
    assert subject(thing) is thing
    del thing
    assert alive() is None


def test_recursion(decorate: Decorate) -> None:
    """A function may call itself, deeply, and each call is recorded."""

    def make(d: Decorate) -> Any:
        @d
        def subject(n: int) -> int:
            return n if n == 0 else 1 + subject(n - 1)

        return subject

    assert agree(make, decorate, lambda target: target(50)) == 50


def test_endless_recursion(decorate: Decorate) -> None:
    """Recursion without an end raises `RecursionError`, and afterwards all works as before."""

    @decorate
    def endless() -> None:
        endless()

    @decorate
    def fine() -> int:
        return 1

    with pytest.raises(RecursionError):
        endless()
    assert fine() == 1


inside: ContextVar[str] = ContextVar("inside", default="unset")


@each(FUNCTIONS)
def test_same_context(make: Make, decorate: Decorate) -> None:
    """Context variables set by the caller are seen inside; those set inside are seen by the caller."""
    del make  # the kinds below say what they set

    @decorate
    def function() -> str:
        before = inside.get()
        inside.set("by the function")
        return before

    @decorate
    async def coroutine() -> str:
        before = inside.get()
        inside.set("by the coroutine")
        return before

    async def main() -> None:
        inside.set("by the caller")
        assert function() == "by the caller"
        assert inside.get() == "by the function"
        assert await coroutine() == "by the function"
        assert inside.get() == "by the coroutine"

    asyncio.run(main())


def test_same_thread(decorate: Decorate) -> None:
    """It runs on the caller's thread, and no thread is started for it."""
    before = set(threading.enumerate())

    @decorate
    def subject() -> Any:
        return threading.current_thread(), set(threading.enumerate())

    thread, during = subject()
    assert thread is threading.current_thread()
    assert during == before


def test_the_scope_is_gone_afterwards(decorate: Decorate) -> None:
    """After the call the run and step are those of before, also when it raised or left a block open."""
    import mission_tracer as mt

    before = mt.current_run(), mt.current_step()

    @decorate
    def raises() -> None:
        raise ValueError

    @decorate
    def leaves_open() -> None:
        mt.plan_step("left open").__enter__()

    with pytest.raises(ValueError):  # noqa: PT011 - any
        raises()
    assert (mt.current_run(), mt.current_step()) == before
    if current_run() is not None:
        leaves_open()
    assert mt.current_run() is before[0]


def test_decorators_above_and_below(decorate: Decorate) -> None:
    """Other decorators may stand above and below ours."""
    import functools

    def doubling(function: Any) -> Any:
        @functools.wraps(function)
        def inner(*args: Any, **kwargs: Any) -> Any:
            return 2 * function(*args, **kwargs)

        return inner

    @doubling
    @decorate
    def below(one: int) -> int:
        return one

    @decorate
    @doubling
    def above(one: int) -> int:
        return one

    @functools.lru_cache
    @decorate
    def cached(one: int) -> list[int]:
        return [one]

    assert (below(2), above(2)) == (4, 4)
    assert above.__name__ == "above"
    assert cached(1) is cached(1)
    assert cached.cache_info().hits == 1


def test_single_dispatch(decorate: Decorate) -> None:
    """`functools.singledispatch` dispatches to decorated functions, and one that is decorated still takes functions."""
    import functools

    def make(d: Decorate) -> Any:
        @d
        @functools.singledispatch
        def subject(one: Any) -> str:
            return "any"

        @subject.register
        @d
        def of_int(one: int) -> str:
            return "int"

        return subject

    assert agree(make, decorate, lambda target: (target("x"), target(1))) == ("any", "int")
