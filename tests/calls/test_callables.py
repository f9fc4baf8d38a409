"""What a decorator returns for each kind of callable, and what it tells its block."""

from __future__ import annotations

import asyncio
import functools
import inspect
import types
from typing import Any

import pytest

from mission_tracer._calls.callables import is_decorable, record_calls


class Note:
    """A block and scope that notes what it is told."""

    def __init__(self, *, records: bool = True) -> None:
        self.records = records
        self.log: list[Any] = []

    def begin(self, function: Any, args: Any, kwargs: Any, *, bound: bool) -> Note | None:
        self.log.append(("begin", getattr(function, "__name__", "object"), args, kwargs, bound))
        return self if self.records else None

    def enter(self) -> str:
        self.log.append("enter")
        return "before"

    def leave(self, before: Any) -> None:
        self.log.append(("leave", before))

    def follow(self) -> None:
        pass

    def end(self, result: Any = None, error: BaseException | None = None) -> None:
        self.log.append(("end", result, error))


def function(one: int, *, two: int = 2) -> tuple[int, int]:
    return one, two


async def coroutine(one: int, *, two: int = 2) -> tuple[int, int]:
    await asyncio.sleep(0)
    return one, two


def generator(one: int, *, two: int = 2) -> Any:
    yield one
    return one, two


class Tool:
    """Called as a function, a coroutine function or a generator function."""

    def __init__(self, call: Any) -> None:
        self.call = call

    def __call__(self, one: int, *, two: int = 2) -> Any:
        return self.call(one, two=two)


class AsyncTool:
    async def __call__(self, one: int, *, two: int = 2) -> Any:
        return one, two


class GeneratorTool:
    def __call__(self, one: int, *, two: int = 2) -> Any:
        yield one
        return one, two


def finish(called: Any) -> Any:
    """Run what a call returned to its end; return its result."""
    if inspect.iscoroutine(called):
        return asyncio.run(called)
    while isinstance(called, types.GeneratorType):
        try:
            next(called)
        except StopIteration as stop:
            return stop.value
    return called


CALLABLES = {
    "function": function,
    "coroutine function": coroutine,
    "generator function": generator,
    "partial": functools.partial(function),
    "partial of a coroutine function": functools.partial(coroutine),
    "partial of a partial": functools.partial(functools.partial(generator)),
    "object": Tool(function),
    "asynchronous object": AsyncTool(),
    "generator object": GeneratorTool(),
    "partial of an asynchronous object": functools.partial(AsyncTool()),
    "partial of a generator object": functools.partial(GeneratorTool()),
    "partial of a bound coroutine method": functools.partial(AsyncTool().__call__),
    "bound method": Tool(function).__call__,
    "cached function": functools.lru_cache(function),
}


@pytest.mark.parametrize("target", CALLABLES.values(), ids=CALLABLES)
def test_a_call_begins_and_ends_a_scope(target: Any) -> None:
    """A call tells its arguments when it begins, is inside its scope while it runs, and tells its result at the end."""
    note = Note()
    recorded = record_calls(target, note)
    called = recorded(1, two=3)
    if isinstance(called, types.GeneratorType):
        next(called)
        assert note.log[1:] == ["enter", ("leave", "before")]
        del note.log[1:3]
    assert finish(called) == (1, 3)
    begin, *rest = note.log
    assert (begin[0], begin[2:]) == ("begin", ((1,), {"two": 3}, False))
    assert rest == ["enter", ("leave", "before"), ("end", (1, 3), None)]


@pytest.mark.parametrize("target", CALLABLES.values(), ids=CALLABLES)
def test_a_call_that_is_not_recorded_is_just_made(target: Any) -> None:
    """When the block begins no scope, the callable runs as if it were bare."""
    note = Note(records=False)
    assert finish(record_calls(target, note)(1)) == (1, 2)
    assert [entry[0] for entry in note.log] == ["begin"]


@pytest.mark.parametrize("kind", ["function", "coroutine", "generator", "object", "async object", "generator object"])
def test_a_raising_call_ends_its_scope_with_the_error(kind: str) -> None:
    """What is raised ends the scope, and is raised on as the object it is."""
    error = OSError("gone")

    def raises() -> None:
        raise error

    async def raises_later() -> None:
        raise error

    def raises_at_the_first_item() -> Any:
        raise error
        yield

    targets: dict[str, Any] = {
        "function": raises,
        "coroutine": raises_later,
        "generator": raises_at_the_first_item,
        "object": functools.partial(raises),
        "async object": functools.partial(raises_later),
        "generator object": functools.partial(raises_at_the_first_item),
    }
    note = Note()
    with pytest.raises(OSError, match="gone") as caught:
        finish(record_calls(targets[kind], note)())
    assert caught.value is error
    assert note.log[1:] == ["enter", ("leave", "before"), ("end", None, error)]


def test_the_first_argument_of_methods_is_told() -> None:
    """The block hears whether the first argument is the object or class of a method."""
    note = Note()

    class Agent:
        def method(self) -> None: ...
        def other(this) -> None: ...  # noqa: N805 - only the name tells
        @classmethod
        def of_class(klass) -> None: ...  # noqa: N804 - any name will do
        @staticmethod
        def static(self: int) -> None: ...  # noqa: PLW0211 - nothing of the kind
        def given(this, one: int) -> None: ...  # noqa: N805 - only the descriptor tells

        part = functools.partialmethod(given, 1)

    for name, member in list(vars(Agent).items()):
        if not name.startswith("_") and name != "given":
            setattr(Agent, name, record_calls(member, note))
    agent: Any = Agent()
    agent.method()
    agent.other()
    agent.of_class()
    agent.static(1)
    agent.part()
    assert [entry[4] for entry in note.log if entry[0] == "begin"] == [True, False, True, False, True]


@pytest.mark.parametrize("name", ["self", "cls", "mcs", "metacls"])
def test_the_object_or_class_of_a_method_is_known_by_its_name(name: str) -> None:
    """Whoever calls the first parameter as a method's is called has a method: a class's and a metaclass's too."""
    note = Note()
    space: dict[str, Any] = {}
    exec(f"def method({name}): ...", space)
    record_calls(space["method"], note)(note)
    assert note.log[0] == ("begin", "method", (note,), {}, True)


@pytest.mark.parametrize(
    "make",
    [classmethod, staticmethod, property, functools.cached_property, functools.partialmethod],
)
def test_descriptors_are_rebuilt(make: Any) -> None:
    """A descriptor gives one of its own kind around the recorded function."""

    class Own(make):  # type: ignore[misc]
        pass

    def call(*args: Any) -> int:
        return 5

    note = Note()

    class Agent:
        plain = record_calls(make(call), note)
        own = record_calls(Own(call), note)

    assert type(vars(Agent)["plain"]) is make
    assert type(vars(Agent)["own"]) is Own
    for found in (Agent().plain, Agent().own):  # type: ignore[attr-defined]
        assert (found() if callable(found) else found) == 5
    assert note.log.count(("end", 5, None)) == 2


@pytest.mark.parametrize("target", [None, 3, "text", [], object(), property()])
def test_what_cannot_be_called_is_refused(target: Any) -> None:
    """Decorating what cannot be called is a `TypeError` that shows it."""
    with pytest.raises(TypeError, match="only a callable can be decorated, not"):
        record_calls(target, Note())


@pytest.mark.parametrize("target", [int, Tool, type])
def test_classes_are_refused(target: Any) -> None:
    """Decorating a class is a `TypeError` that says what to do instead."""
    with pytest.raises(TypeError, match=r"a class cannot be decorated .*decorate its methods, or use a `with` block"):
        record_calls(target, Note())


def test_is_decorable() -> None:
    """Names and nothing are no targets; functions, descriptors and classes are."""
    assert not any(map(is_decorable, ("name", None, 3)))
    assert all(map(is_decorable, (function, property(function), classmethod(function), Tool, Tool(function))))


def test_wrong_arguments_begin_nothing() -> None:
    """A call that Python refuses never was one, except of a callable whose parameters only it knows itself."""
    note = Note()
    for target in (function, coroutine, generator):
        with pytest.raises(TypeError, match="missing 1 required positional argument"):
            record_calls(target, note)()  # type: ignore[operator]
    assert note.log == []
