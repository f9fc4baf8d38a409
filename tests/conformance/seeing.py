"""What anyone can see of a callable: called on the bare and on the decorated one, it must see the same."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from .conftest import Decorate, same

Make = Callable[[Decorate], Any]


def each(subjects: Mapping[str, Make]) -> Any:
    """Make a test of every subject."""
    return pytest.mark.parametrize("make", subjects.values(), ids=subjects.keys())


def agree(make: Make, decorate: Decorate, see: Callable[[Any], Any]) -> Any:
    """Hold the decorated subject against the bare one; return what was seen of both."""
    bare = see(make(same))
    ours = see(make(decorate))
    assert ours == bare
    return bare


def outcome(target: Any, *args: Any, **kwargs: Any) -> Any:
    """Call to the very end: say the result, the items, or the error."""
    try:
        called = target(*args, **kwargs)
    except Exception as error:
        return "refused at the call", type(error), str(error)
    try:
        if inspect.isawaitable(called):
            return "awaited", asyncio.run(_wait(called))
        if inspect.isasyncgen(called):
            return "items", asyncio.run(_collect(called))
        if inspect.isgenerator(called):
            return "items", list(_returning(called))
    except Exception as error:
        return "raised later", type(error), str(error)
    return "result", called


async def _wait(awaitable: Any) -> Any:
    return await awaitable


async def _collect(items: Any) -> list[Any]:
    return [item async for item in items]


def _returning(items: Any) -> Any:
    last = yield from items
    yield "returned", last
