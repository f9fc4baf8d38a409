"""Bind a call's arguments to the names of its function's parameters, without the cost of `Signature.bind`."""

from __future__ import annotations

import functools
import inspect
import itertools
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = ["Arguments"]

_VAR_POSITIONAL = 4
"""The flag of a code object that takes `*args` (`inspect.CO_VARARGS`)."""


class _Plan(NamedTuple):
    positional: tuple[str, ...]
    rest: str | None
    defaults: tuple[tuple[str, Any], ...]


class Arguments:
    """Name arguments; the signatures of callables that are no plain functions are remembered while those live."""

    __slots__ = ("_plans",)

    def __init__(self) -> None:
        self._plans: WeakKeyDictionary[Any, _Plan] = WeakKeyDictionary()

    def bound(
        self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], *, skip_first: bool
    ) -> dict[str, Any]:
        """Give each argument under its parameter's name, defaults too; `**kwargs` stand beside the rest.

        What a partial holds counts as given.

        Args:
            function: what is called.
            args: the positional arguments.
            kwargs: the keyword arguments.
            skip_first: leave out the first parameter (`self`, `cls`).

        Raises:
            TypeError: there are more arguments than the function takes.
            ValueError: the function tells no signature.
        """
        while isinstance(function, functools.partial):
            args, kwargs, function = (*function.args, *args), {**function.keywords, **kwargs}, function.func
        defaults: Iterable[tuple[str, Any]]
        if type(function) is FunctionType and "__wrapped__" not in function.__dict__:
            code = function.__code__
            names = code.co_varnames
            count = code.co_argcount
            first = 1 if skip_first else 0
            named = dict(zip(names[first:count], args[first:], strict=False))
            if len(args) > count:
                rest = names[count + code.co_kwonlyargcount] if code.co_flags & _VAR_POSITIONAL else None
                _add_rest(named, rest, args[max(count, first) :])
            own = names[0] if skip_first and count else None
            defaults = _defaults(function, names, count, len(args))
        else:
            plan = self._plan(function)
            first = 1 if skip_first else 0
            count = len(plan.positional)
            named = dict(zip(plan.positional[first:], args[first:], strict=False))
            if len(args) > count:
                _add_rest(named, plan.rest, args[max(count, first) :])
            own = plan.positional[0] if skip_first and count else None
            defaults = plan.defaults
        for name, value in kwargs.items():
            if name != own or args:
                # A positional-only parameter may have a namesake among the keywords.
                named[name if name not in named else f"{name} (keyword)"] = value
        for name, value in defaults:
            if name != own:
                named.setdefault(name, value)
        return named

    def _plan(self, function: Callable[..., Any]) -> _Plan:
        try:
            return self._plans[function]
        except (KeyError, TypeError):
            plan = _planned(function)
        try:
            self._plans[function] = plan
        except TypeError:
            # Not hashable or not weakly referable: it is inspected again at each call.
            return plan
        return plan


def _defaults(function: FunctionType, names: tuple[str, ...], count: int, given: int) -> Iterable[tuple[str, Any]]:
    positional, named = function.__defaults__, function.__kwdefaults__
    # A twin gives all of its function's arguments: there is then nothing to look for.
    found = zip(names[count - len(positional) : count], positional, strict=True) if positional and given < count else ()
    return itertools.chain(found, named.items()) if named else found


def _planned(function: Callable[..., Any]) -> _Plan:
    positional: list[str] = []
    rest = None
    defaults: list[tuple[str, Any]] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in {parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD}:
            positional.append(parameter.name)
        elif parameter.kind is parameter.VAR_POSITIONAL:
            rest = parameter.name
        if parameter.default is not parameter.empty:
            defaults.append((parameter.name, parameter.default))
    return _Plan(tuple(positional), rest, tuple(defaults))


def _add_rest(named: dict[str, Any], rest: str | None, values: Sequence[Any]) -> None:
    if rest is None:
        raise TypeError("more arguments than parameters")
    if values:
        named[rest] = tuple(values)
