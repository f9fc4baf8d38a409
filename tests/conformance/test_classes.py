"""Classes of every kind with decorated members."""

from __future__ import annotations

import abc
import dataclasses
import enum
import typing
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Decorate


def test_abstract_methods(decorate: Decorate) -> None:
    """A class with decorated abstract methods cannot be made until they are there."""

    class Base(abc.ABC):
        @decorate
        @abc.abstractmethod
        def method(self) -> int: ...

        @abc.abstractmethod
        @decorate
        def other(self) -> int:
            return 1

    class Whole(Base):
        @decorate
        def method(self) -> int:
            return 1

        def other(self) -> int:
            return super().other() + 1

    with pytest.raises(TypeError, match="abstract"):
        Base()
    assert (Whole().method(), Whole().other()) == (1, 2)


@pytest.mark.parametrize("options", [{}, {"frozen": True}, {"slots": True}, {"order": True, "kw_only": True}])
def test_dataclasses(decorate: Decorate, options: dict[str, bool]) -> None:
    """Dataclasses have decorated methods, and decorated functions as fields."""

    @decorate
    def field_value(one: int) -> int:
        return one

    @dataclasses.dataclass(**options)
    class Subject:
        one: int = 1
        call: Callable[[int], int] = dataclasses.field(default=field_value)

        @decorate
        def method(self, *, more: int = 1) -> int:
            return self.one + more

        @decorate
        def __post_init__(self) -> None:
            assert self.one

        @decorate
        def __call__(self) -> type:
            return __class__  # type: ignore[name-defined]

    subject = Subject(one=2)
    assert [field.name for field in dataclasses.fields(Subject)] == ["one", "call"]
    assert (subject.method(), subject.call(3)) == (3, 3)
    assert dataclasses.replace(subject, one=5).method(more=2) == 7
    assert subject == Subject(one=2)


def test_protocols(decorate: Decorate) -> None:
    """A decorated method satisfies a protocol, and a protocol's members may be decorated."""

    @typing.runtime_checkable
    class Acts(typing.Protocol):
        @decorate
        def act(self, one: int) -> int: ...

    class Actor:
        @decorate
        def act(self, one: int) -> int:
            return one

    class Heir(Acts):
        def act(self, one: int) -> int:
            return 2 * one

    assert isinstance(Actor(), Acts)
    assert issubclass(Actor, Acts)
    assert not isinstance(object(), Acts)
    assert Heir().act(1) == 2


def test_enumerations(decorate: Decorate) -> None:
    """A decorated function in an enumeration is a method, not a member."""

    class Subject(enum.Enum):
        A = 1

        @decorate
        def method(self) -> int:
            return int(self.value)

        @decorate
        @classmethod
        def first(cls) -> Any:
            return next(iter(cls))

    assert [member.name for member in Subject] == ["A"]
    assert Subject.first().method() == 1


def test_named_tuples_and_slots(decorate: Decorate) -> None:
    """Named tuples and classes with slots have decorated methods."""

    class Pair(typing.NamedTuple):
        one: int

        @decorate
        def method(self) -> int:
            return self.one

    class Slotted:
        __slots__ = ("one",)

        @decorate
        def __init__(self, one: int) -> None:
            self.one = one

        @decorate
        def method(self) -> int:
            return self.one

    assert (Pair(1).method(), Slotted(2).method()) == (1, 2)


def test_special_methods(decorate: Decorate) -> None:
    """Special methods work for the operators and statements they are made for."""

    class Subject:
        @decorate
        def __call__(self, one: int) -> int:
            return one

        @decorate
        def __getitem__(self, key: int) -> int:
            return key

        @decorate
        def __iter__(self) -> Any:
            yield from (1, 2)

        @decorate
        def __enter__(self) -> str:
            return "entered"

        @decorate
        def __exit__(self, *about: object) -> bool:
            return True

        @decorate
        def __init_subclass__(cls, mark: int = 0) -> None:
            cls.mark = mark

        @decorate
        def __class_getitem__(cls, item: Any) -> Any:
            return item

    class Child(Subject, mark=3):
        pass

    subject = Subject()
    assert (subject(1), subject[2], list(subject), Subject["x"], Child.mark) == (1, 2, [1, 2], "x", 3)
    with subject as entered:
        raise ValueError
    assert entered == "entered"


def test_private_names(decorate: Decorate) -> None:
    """Parameters and methods with private names work."""

    class Subject:
        @decorate
        def __hidden(self, __one: int, *, __two: int = 2) -> tuple[int, int]:  # noqa: PYI063 - a private name
            return __one, __two

        @decorate
        def method(self) -> Any:
            return self.__hidden(1)

    assert Subject().method() == (1, 2)
