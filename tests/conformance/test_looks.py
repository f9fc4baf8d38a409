"""How a decorated callable looks to whoever inspects it."""

from __future__ import annotations

import abc
import asyncio
import doctest
import functools
import inspect
import sys
import types
import typing
import warnings
import weakref
from typing import Any

import pytest

from .conftest import Decorate, same
from .seeing import Make, agree, each
from .subjects import ALL, FUNCTIONS, METHODS, OBJECTS

NAMED = {**FUNCTIONS, **METHODS}


@each(NAMED)
@pytest.mark.parametrize("attribute", ["__name__", "__qualname__", "__module__", "__doc__", "__annotations__"])
def test_names(make: Make, dress: Decorate, attribute: str) -> None:
    """Name, qualified name, module, docstring and annotations are the bare callable's."""
    agree(make, dress, lambda target: getattr(target, attribute))


@each(OBJECTS)
@pytest.mark.parametrize("attribute", ["__name__", "__qualname__", "__module__", "__doc__", "__annotations__"])
def test_names_of_objects(make: Make, dress: Decorate, attribute: str) -> None:
    """What an object has of a name, a module and a docstring, it keeps; what it has not, it does not get."""
    agree(make, dress, lambda target: getattr(target, attribute, "none"))


@each(ALL)
def test_signature(make: Make, dress: Decorate) -> None:
    """`inspect.signature` tells the same parameters, defaults and annotations."""
    agree(make, dress, inspect.signature)


@each({name: make for name, make in ALL.items() if name not in {"wrapped function", "cached function"}})
def test_signature_of_its_own(make: Make, dress: Decorate) -> None:
    """The parameters are really there: they are the same without following `__wrapped__`."""
    agree(make, dress, lambda target: inspect.signature(target, follow_wrapped=False))


@each({**NAMED, **{name: OBJECTS[name] for name in ("partial", "bound method", "wrapped function")}})
def test_full_argument_specification(make: Make, dress: Decorate) -> None:
    """`inspect.getfullargspec`, which follows nothing, tells the same."""
    agree(make, dress, inspect.getfullargspec)


@each(FUNCTIONS)
def test_arguments_are_bound_as_before(make: Make, dress: Decorate) -> None:
    """`inspect.signature(...).bind` and `inspect.getcallargs` map arguments to the same parameters."""
    agree(make, dress, lambda target: inspect.signature(target).bind(1, three="x", other=5).arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        agree(make, dress, lambda target: inspect.getcallargs(target, 1, 2, "x", 4, other=5))


@each(FUNCTIONS)
@pytest.mark.parametrize("attribute", ["__defaults__", "__kwdefaults__"])
def test_defaults(make: Make, dress: Decorate, attribute: str) -> None:
    """Positional and keyword defaults are the function's own."""
    agree(make, dress, lambda target: getattr(target, attribute))


@each(FUNCTIONS)
def test_type_hints(make: Make, dress: Decorate) -> None:
    """`typing.get_type_hints` resolves the same annotations, though they are texts here."""
    hints = agree(make, dress, typing.get_type_hints)
    assert hints or make is FUNCTIONS["lambda"]


@each(FUNCTIONS)
def test_globals(make: Make, dress: Decorate) -> None:
    """The globals are those of the function's module, where frameworks resolve annotations."""
    assert agree(make, dress, lambda target: target.__globals__ is sys.modules[target.__module__].__dict__)


@each(FUNCTIONS)
def test_code(make: Make, dress: Decorate) -> None:
    """The code object tells the same arguments, kind, name, file and line."""

    def see(target: Any) -> Any:
        code = target.__code__
        count = code.co_argcount + code.co_kwonlyargcount
        kind = code.co_flags & (
            inspect.CO_VARARGS
            | inspect.CO_VARKEYWORDS
            | inspect.CO_COROUTINE
            | inspect.CO_GENERATOR
            | inspect.CO_ASYNC_GENERATOR
        )
        arguments = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_varnames[:count]
        return arguments, kind, code.co_name, code.co_filename, code.co_firstlineno

    agree(make, dress, see)


@each(FUNCTIONS)
def test_wrapped(make: Make, dress: Decorate) -> None:
    """`__wrapped__` leads to the bare function, and `inspect.unwrap` finds it."""
    bare: list[Any] = []

    def keeping(target: Any) -> Any:
        bare.append(target)
        return dress(target)

    ours = make(keeping)
    assert ours is not bare[0]
    assert inspect.unwrap(ours) is bare[0]
    assert isinstance(ours.__wrapped__, types.FunctionType)


@each(ALL)
def test_inspect_kinds(make: Make, dress: Decorate) -> None:
    """Every `inspect.is...` and `asyncio.iscoroutinefunction` says the same."""
    asks = [getattr(inspect, name) for name in dir(inspect) if name.startswith("is") and name != "iskeyword"]

    def see(target: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecated from Python 3.14 on
            found = {ask.__name__: ask(target) for ask in asks}
            return {**found, "asyncio": asyncio.iscoroutinefunction(target), "callable": callable(target)}

    agree(make, dress, see)


@each(FUNCTIONS)
def test_inspect_kinds_through_partial(make: Make, dress: Decorate) -> None:
    """A partial of a decorated coroutine function is still known as one."""
    agree(make, dress, lambda target: inspect.iscoroutinefunction(functools.partial(target, 1)))
    agree(make, dress, lambda target: inspect.isasyncgenfunction(functools.partial(target, 1)))


@each({name: OBJECTS[name] for name in OBJECTS if name.endswith("object")})
def test_the_kind_of_an_objects_call(make: Make, dress: Decorate) -> None:
    """Who asks what kind of function is found under `__call__`, as web frameworks do, gets the same answer."""
    asks = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction, inspect.ismethod)
    agree(make, dress, lambda target: [ask(target.__call__) for ask in asks])
    agree(make, dress, lambda target: str(inspect.signature(target.__call__)))


@each({**NAMED, "wrapped function": OBJECTS["wrapped function"]})
def test_type(make: Make, dress: Decorate) -> None:
    """A decorated function is of the very type of functions, a decorated method of that of methods."""
    agree(make, dress, type)


@each(OBJECTS)
def test_isinstance(make: Make, dress: Decorate) -> None:
    """A decorated object is still an instance of its class."""
    bare = make(same)
    assert isinstance(make(dress), type(bare))


@each(NAMED)
def test_source(make: Make, dress: Decorate) -> None:
    """`inspect.getsource`, `getfile`, `getsourcefile` and `getmodule` lead to the user's file."""
    agree(
        make,
        dress,
        lambda target: (
            inspect.getsource(target),
            inspect.getsourcelines(target)[1],
            inspect.getfile(target),
            inspect.getsourcefile(target),
            inspect.getmodule(target),
        ),
    )


@each({name: FUNCTIONS[name] for name in ("function", "coroutine", "generator", "async generator")})
def test_attributes(make: Make, dress: Decorate) -> None:
    """What a framework noted on the function is there, and more can be noted."""
    assert agree(make, dress, lambda target: target.mark) == ("kept", 1)
    ours = make(dress)
    ours.more = 2
    assert ours.more == 2


@each({name: FUNCTIONS[name] for name in ("function", "nested function")})
def test_doctests(make: Make, dress: Decorate) -> None:
    """The doctest finder finds the examples of a decorated function, at their line."""

    def see(target: Any) -> Any:
        module = types.ModuleType(target.__module__)
        module.__dict__.update(subject=target, __file__=inspect.getfile(target))
        found = doctest.DocTestFinder().find(target, "subject", module=inspect.getmodule(target))
        return [
            (test.name, test.lineno, test.filename, [example.source for example in test.examples]) for test in found
        ]

    agree(make, dress, see)


def test_doctests_of_a_module(dress: Decorate) -> None:
    """A decorated function counts as its module's own when a module's doctests are looked for."""
    module = sys.modules[__name__]

    def see(target: Any) -> Any:
        before = vars(module).get("subject")
        module.subject = target
        target.__module__ = __name__
        try:
            return [test.name for test in doctest.DocTestFinder().find(module, "m") if test.name == "m.subject"]
        finally:
            delattr(module, "subject")
            assert before is None

    assert agree(FUNCTIONS["function"], dress, see) == ["m.subject"]


@each(FUNCTIONS)
def test_identity(make: Make, dress: Decorate) -> None:
    """It equals itself only, is true, can be a key, and can be referred to weakly."""
    ours = make(dress)
    assert {ours: 1}[ours] == 1
    assert ours == ours  # noqa: PLR0124 - the check
    assert ours != make(dress)
    assert bool(ours)
    assert weakref.ref(ours)() is ours


@each({name: ALL[name] for name in ("function", "coroutine", "method", "class method, ours above", "callable object")})
def test_representation(make: Make, dress: Decorate) -> None:
    """Its representation is the bare one's, but for the address."""
    agree(make, dress, lambda target: repr(target).split(" at 0x")[0])


def test_overloads(dress: Decorate) -> None:
    """Overloads that were declared for a function are found under the decorated one."""
    if sys.version_info < (3, 11):
        pytest.skip("overloads are not kept before Python 3.11")

    def make(d: Decorate) -> Any:
        @typing.overload
        def subject(one: int) -> int: ...
        @typing.overload
        def subject(one: str) -> str: ...
        @d
        def subject(one: Any) -> Any:
            return one

        return subject

    assert agree(make, dress, lambda target: [inspect.signature(f) for f in typing.get_overloads(target)])


def test_abstract_mark(dress: Decorate) -> None:
    """`__isabstractmethod__` passes through, with our decorator below or above."""

    def make(d: Decorate) -> Any:
        class Base(abc.ABC):
            @d
            @abc.abstractmethod
            def above(self) -> None: ...

            @abc.abstractmethod
            @d
            def below(self) -> None: ...

            @d
            @classmethod
            @abc.abstractmethod
            def of_class(cls) -> None: ...

            @d
            @property
            @abc.abstractmethod
            def value(self) -> int: ...

        return Base

    assert agree(make, dress, inspect.isabstract)
    assert agree(make, dress, lambda base: base.__abstractmethods__) == {"above", "below", "of_class", "value"}


class NotCallable:
    pass


@pytest.mark.parametrize("target", [NotCallable, int, type, Exception])
def test_classes_are_refused(decorate: Decorate, target: Any) -> None:
    """A class is refused, where it is decorated, with an error that says what to do instead."""
    with pytest.raises(TypeError, match=r"a class cannot be decorated \(\w+\): decorate its methods"):
        decorate(target)
