"""Record the calls of any callable: what a decorator returns for it.

A function gets a twin (`twin`). A method, class method, static method or property is rebuilt around the twin of its
function. Whatever else can be called (a partial, an object, a bound method, a built-in) gets a stand-in (`stand_ins`).
No way of calling makes a task, a context or a thread.
"""

from __future__ import annotations

import functools
import inspect
from types import FunctionType
from typing import Any, TypeVar

from mission_tracer._calls.drivers import Block, Scope
from mission_tracer._calls.twin import twin

__all__ = ["Block", "Scope", "is_decorable", "record_calls"]

F = TypeVar("F")

_DESCRIPTORS = (classmethod, staticmethod, property, functools.cached_property, functools.partialmethod)

# Objects that keep their function to themselves and are found by their type: the function inside is replaced.
_HOLDERS = {"click.core.Command": "callback", "_pytest.fixtures.FixtureFunctionDefinition": "_fixture_function"}


def is_decorable(target: object) -> bool:
    """Say whether a decorator's only argument is what it decorates; a class is, to be refused."""
    return callable(target) or isinstance(target, _DESCRIPTORS)


def record_calls(target: F, block: Block) -> F:
    """Return the callable, with each call recorded as the block says.

    Args:
        target: A callable of any kind, or a descriptor made of one (`classmethod`, `property`, ...).
        block: Begins a scope for each call.

    Raises:
        TypeError: It is a class, or cannot be called.
    """
    return _recorded(target, block)  # type: ignore[no-any-return]  # it is like what was given


def _recorded(target: Any, block: Block, *, bound: bool | None = None) -> Any:
    kind = type(target)
    if isinstance(target, type):
        raise TypeError(
            f"a class cannot be decorated ({target.__qualname__}): decorate its methods, or use a `with` block"
        )
    if kind is FunctionType:
        # A function that is only marked as a coroutine function returns an awaitable of another's making.
        marked = inspect.iscoroutinefunction(target) and not target.__code__.co_flags & inspect.CO_COROUTINE
        return _stand_in(target, block) if marked else twin(target, block, bound=bound)
    if isinstance(target, _DESCRIPTORS):
        return _rebuilt(target, block)
    inside = next((_HOLDERS[name] for name in map(_name, kind.__mro__) if name in _HOLDERS), None)
    if inside is not None and getattr(target, inside) is not None:
        setattr(target, inside, _recorded(getattr(target, inside), block))
        return target
    if not callable(target):
        raise TypeError(f"only a callable can be decorated, not {target!r:.200}")
    return _stand_in(target, block)


def _rebuilt(target: Any, block: Block) -> Any:
    """Make a descriptor like this one around its recorded function."""
    kind = type(target)
    if isinstance(target, property):
        return kind(_recorded(target.fget, block, bound=True), target.fset, target.fdel, target.__doc__)
    if isinstance(target, functools.cached_property):
        return kind(_recorded(target.func, block, bound=True))
    if isinstance(target, functools.partialmethod):
        return kind(_recorded(target.func, block, bound=True), *target.args, **target.keywords)
    method = kind(_recorded(target.__func__, block, bound=isinstance(target, classmethod)))
    for name in vars(target).keys() - vars(method).keys():
        setattr(method, name, getattr(target, name))
    return method


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _stand_in(target: Any, block: Block) -> Any:
    # Reached when it is needed: importing wrapt takes longer than importing the recording side.
    from mission_tracer._calls.stand_ins import stand_in

    return stand_in(target, block)
