"""An exception is logged once, however many blocks it passes through."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from mission_tracer._handles.seen_errors import SeenErrors


def raised(message: str) -> BaseException:
    try:
        raise ValueError(message)
    except ValueError as error:
        return error


def test_an_exception_is_known_again() -> None:
    """One exception is new once; another of the same type and text is another one."""
    errors, one = SeenErrors(), raised("x")
    assert [errors.take(one), errors.take(one), errors.take(raised("x"))] == [True, False, True]


def test_what_was_seen_before_a_block_began_did_not_pass_through_it() -> None:
    """An exception that looks like an earlier one is a new one, if what it leaves began since."""
    errors, error = SeenErrors(clock=iter([1.0, 2.0]).__next__), ValueError("x")
    assert errors.take(error)
    assert not errors.take(error, since=0.5)
    assert errors.take(error, since=1.5)
    assert not errors.take(error, since=1.5)


def test_the_oldest_is_forgotten() -> None:
    """As many as may be passing through at once are remembered; one that comes by again stays longer."""
    errors, all_of_them = SeenErrors(), [raised(str(number)) for number in range(17)]
    for error in all_of_them[:16]:
        errors.take(error)
    assert not errors.take(all_of_them[0])
    assert errors.take(all_of_them[16])
    assert not errors.take(all_of_them[0])
    assert errors.take(all_of_them[1])


class OwnError(Exception):
    """An exception that the program defines: it can be referred to weakly."""


@pytest.mark.parametrize("make", [lambda: ValueError("x"), lambda: OwnError("x"), OwnError])
def test_an_exception_is_told_from_one_at_its_address(make: Callable[[], BaseException]) -> None:
    """An exception that is gone is not taken for the next one, which may have its address; nor is it kept."""
    errors, first = SeenErrors(), make()
    references = sys.getrefcount(first)
    assert errors.take(first)
    assert sys.getrefcount(first) == references
    assert not errors.take(first)
    address = id(first)
    del first
    again = [make() for _ in range(100)]  # one of them, most likely
    assert address in map(id, again)
    assert all(map(errors.take, again))


def test_an_exception_that_said_nothing_is_told_from_one_that_does() -> None:
    """An exception without arguments that is gone is not the one with arguments that took its address."""
    errors = SeenErrors()
    first = ValueError()
    errors.take(first)
    address = id(first)
    del first
    again = [ValueError("another") for _ in range(100)]
    assert [errors.take(error) for error in again if id(error) == address] == [True]


@pytest.mark.parametrize("arguments", [(), (object(),), ("x" * 5000,)])
def test_of_some_exceptions_nobody_can_know(arguments: tuple[object, ...]) -> None:
    """Without arguments, and with those that are not to be held, an address and a type are all there is."""
    errors = SeenErrors()
    first = ValueError(*arguments)
    errors.take(first)
    address = id(first)
    del first
    again = [ValueError(*arguments) for _ in range(100)]
    assert [errors.take(error) for error in again if id(error) == address] == [False]


class SecretiveError(Exception):
    """An exception that answers nothing."""

    def __getattribute__(self, name: str) -> object:
        raise AttributeError(name)


def test_an_exception_is_not_asked() -> None:
    """What an exception's class has made of its attributes keeps nobody from knowing it again."""
    errors, error = SeenErrors(), SecretiveError("x")
    assert [errors.take(error), errors.take(error)] == [True, False]
