"""Decorated members of classes, whatever kind of class and member."""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from mission_tracer import facts

from .conftest import Decorate, same
from .seeing import agree
from .subjects import _class


def test_binding(decorate: Decorate) -> None:
    """A bound method knows its object and its function, as a method does."""
    agent = _class(decorate)[0]()
    assert agent.method.__self__ is agent
    assert agent.method.__func__ is type(agent).method
    assert agent.method == agent.method
    assert agent.method is not agent.method
    assert hash(agent.method) == hash(agent.method)
    assert type(agent).method is type(agent).method
    assert agent.method.__func__(agent, 1) == agent.method(1)


def test_class_and_static_methods_are_themselves(decorate: Decorate) -> None:
    """In the class stand true class and static methods, in either order of decorators."""
    agent = _class(decorate)[0]

    def see(kind: str) -> Any:
        found = inspect.getattr_static(agent, kind)
        return type(found)

    assert (see("class_above"), see("class_below")) == (classmethod, classmethod)
    assert (see("static_above"), see("static_below")) == (staticmethod, staticmethod)
    assert (see("method"), see("async_method")) == (type(same), type(same))


@pytest.mark.parametrize("name", ["class_above", "class_below"])
def test_class_methods_get_the_class(decorate: Decorate, name: str) -> None:
    """A class method gets the class it is called on, through the class, a child and an object."""
    parent, child = _class(decorate)
    assert getattr(parent, name)(1)[0] == "Agent"
    assert getattr(child, name)(1)[0] == "Child"
    assert getattr(child(), name)(1)[0] == "Child"
    assert getattr(child, name).__self__ is child


@pytest.mark.parametrize("name", ["static_above", "static_below"])
def test_static_methods_get_nothing(decorate: Decorate, name: str) -> None:
    """A static method gets what it is given, through the class and through an object."""
    parent, child = _class(decorate)
    assert getattr(parent, name)(1) == getattr(child(), name)(1) == [1, 2, "3", (), 4.0, {}]


def test_marks_on_class_methods_are_kept(decorate: Decorate) -> None:
    """What was noted on a class or static method before ours stays."""

    def mark(target: Any) -> Any:
        target.mark = 1
        return target

    class Subject:
        @decorate
        @mark
        @classmethod
        def method(cls) -> None: ...

    assert inspect.getattr_static(Subject, "method").mark == 1


def test_super(decorate: Decorate) -> None:
    """`super()` works in decorated methods and reaches decorated ones; overriding replaces them."""

    class Parent:
        @decorate
        def method(self) -> list[str]:
            return ["parent"]

        @decorate
        @classmethod
        def of_class(cls) -> list[str]:
            return [cls.__name__]

    class Child(Parent):
        @decorate
        def method(self) -> list[str]:
            return ["child", *super().method()]

        @classmethod
        @decorate
        def of_class(cls) -> list[str]:
            return ["child", *super().of_class()]

    assert Child().method() == ["child", "parent"]
    assert Child.of_class() == ["child", "Child"]


def test_properties(decorate: Decorate) -> None:
    """A property may stand above or below, with its setter, deleter and docstring."""

    class Subject:
        kept = 1

        @property
        @decorate
        def below(self) -> int:
            """Below."""
            return self.kept

        @decorate
        @property
        def above(self) -> int:
            """Above."""
            return self.kept

        @above.setter
        @decorate
        def above(self, value: int) -> None:
            self.kept = value

        @above.deleter
        def above(self) -> None:
            self.kept = 0

        @functools.cached_property
        @decorate
        def cached_below(self) -> list[int]:
            return [self.kept]

        @decorate
        @functools.cached_property
        def cached_above(self) -> list[int]:
            return [self.kept]

    subject = Subject()
    assert (subject.below, subject.above) == (1, 1)
    subject.above = 5
    assert (subject.below, subject.above) == (5, 5)
    del subject.above
    assert subject.above == 0
    assert (Subject.below.__doc__, Subject.above.__doc__) == ("Below.", "Above.")
    assert subject.cached_below is subject.cached_below
    assert subject.cached_above is subject.cached_above


def test_partial_methods(decorate: Decorate) -> None:
    """`functools.partialmethod` takes decorated methods, and can be decorated."""

    class Subject:
        @decorate
        def method(self, one: int, *, two: int) -> tuple[int, int]:
            return one, two

        of_decorated = functools.partialmethod(method, two=2)
        decorated = decorate(functools.partialmethod(method, two=3))

    assert Subject().of_decorated(1) == (1, 2)
    assert Subject().decorated(1) == (1, 3)


def test_single_dispatch_methods(decorate: Decorate) -> None:
    """`functools.singledispatchmethod` dispatches to decorated methods."""

    class Subject:
        @functools.singledispatchmethod
        @decorate
        def method(self, one: Any) -> str:
            return "any"

        @method.register
        @decorate
        def _(self, one: int) -> str:
            return "int"

    assert (Subject().method("x"), Subject().method(1)) == ("any", "int")


def test_weak_methods(decorate: Decorate) -> None:
    """Signals that hold their receivers by `weakref.WeakMethod` can hold a decorated one."""
    agent = _class(decorate)[0]()
    weak = weakref.WeakMethod(agent.method)
    found = weak()
    assert found is not None
    assert found(1) == ["Agent", 1, 2, "3", (), 4.0, {}]
    del agent, found
    assert weak() is None


def test_functions_put_into_a_class(decorate: Decorate) -> None:
    """A decorated function or object that is put into a class later binds as the bare one would."""

    class Tool:
        def __call__(self, *args: Any) -> tuple[Any, ...]:
            return args

    def function(*args: Any) -> tuple[Any, ...]:
        return args

    def make(d: Decorate) -> Any:
        class Subject:
            function_ = d(function)
            tool = d(Tool())
            cached = d(functools.lru_cache(function))
            builtin = d(len)
            method = d(Tool().__call__)

        return Subject

    def see(subject: Any) -> Any:
        one = subject()
        found: list[Any] = [one.tool(1), one.builtin("ab"), one.method(1)]
        found += [one.function_(1)[0] is one, one.cached(1)[0] is one, one.cached.__self__ is one]
        return found, subject.function_(1), subject.cached(1), subject.tool(1)

    agree(make, decorate, see)


def test_methods_do_not_record_their_object(journal: Callable[[], list[facts.Fact]]) -> None:
    """Of a method's call the arguments are recorded, not the object or class, whichever way it is decorated."""
    import mission_tracer as mt

    class Subject:
        @mt.mission_run
        def method(self, one: int) -> None: ...

        @mt.mission_run
        @classmethod
        def above(klass, one: int) -> None: ...  # noqa: N804 - any name may be given to it

        @classmethod
        @mt.mission_run
        def below(cls, one: int) -> None: ...

        @mt.mission_run
        @staticmethod
        def static_above(one: int) -> None: ...

        @staticmethod
        @mt.mission_run
        def static_below(one: int) -> None: ...

        @mt.mission_run
        async def later(self, one: int) -> None: ...

        @mt.mission_run
        def items(self, one: int) -> Any:
            yield one

        @mt.mission_run
        @property
        def value(self) -> int:
            return 1

    subject = Subject()
    for call in (subject.method, Subject.above, Subject.below, Subject.static_above, subject.static_below):
        call(1)
    subject.later(1).close()
    with pytest.raises(StopIteration):
        subject.later(1).send(None)
    list(subject.items(1))
    assert subject.value == 1
    Subject.method(subject, one=1)
    mt.mission_run(subject.method.__wrapped__.__get__(subject))(1)
    opened = [fact.input for fact in journal() if isinstance(fact, facts.RunOpened)]
    assert opened == [{"one": 1}] * 7 + [None] + [{"one": 1}] * 2
