"""Make a run or step current from a hook that begins something, and undo that from the hook that ends it.

LangChain begins something in the context of its caller and copies that context for the body, which is how the body
sees what the first hook set. Under asyncio the last hook runs in a task of its own: what it sets back there, the caller
would never see. So a place remembers the task that it was taken in, and is given up in that task's context as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from contextvars import Context, ContextVar
from typing import Any, Protocol

from mission_tracer import _context
from mission_tracer._base.ownership import Rank


class Holder(Protocol):
    """Whose place it is."""

    is_open: bool
    """Whether it is still under way."""
    place: Place | None
    """The place it has."""


here: ContextVar[Any] = ContextVar("mission_tracer_langchain_here", default=None)
"""The innermost chain or tool that was begun in this context; it may be over."""


def is_within_chain() -> bool:
    """Say whether a chain or tool that is recorded is under way in this context."""
    place = here.get()
    while isinstance(place, Place) and not place.holder.is_open:
        place = place.outer
    return place is not None


class Mark(int):
    """Stand in `_context.owner` for the rank of a framework; false as soon as its holder needs it no more.

    A call that is cancelled may never be ended by its hook, and the mark then stays where nobody can set it back.
    """

    holder: Holder
    is_released: bool

    @classmethod
    def of(cls, holder: Holder) -> Mark:
        """Make the mark of a call."""
        mark = cls(Rank.FRAMEWORK)
        mark.holder = holder
        mark.is_released = False
        return mark

    def __bool__(self) -> bool:
        return self.holder.is_open and not self.is_released


class Place:
    """Hold what one chain, model or tool set in the context it began in.

    Args:
        holder: Who takes the place.
        scope: The run or step to make current; `None`: the current one stays.
        owns: True: integrations that know less of the call leave it alone.
        inner: True: it becomes the innermost chain or tool.
        call: The call of a tool that it is; `None`: it is none.
    """

    __slots__ = ("_before", "_call", "_mark", "_task", "holder", "is_inner", "outer", "scope")

    def __init__(self, holder: Holder, scope: Any, *, owns: bool, inner: bool, call: Any = None) -> None:
        self.holder = holder
        self._call = call
        self.is_inner = inner
        self.scope = scope
        self._task = _current_task()
        self._before: dict[ContextVar[Any], Any] = {}
        self._mark = Mark.of(holder) if owns else None
        self.outer: Place | None = here.get()
        if scope is not None:
            self._take(_context.scope, scope)
        if inner:
            self._take(here, self)
        if self._mark is not None:
            self._take(_context.owner, self._mark)
        if call is not None:
            self._take(_context.call, call)
        # What is over must not be held: a chain of it would grow for as long as the context lives.
        while self.outer is not None and not self.outer.holder.is_open:
            self.outer = self.outer.outer

    def _take(self, variable: ContextVar[Any], value: Any) -> None:
        self._before[variable] = variable.get()
        self._before[variable] = self._lasting(variable)
        variable.set(value)

    def passed(self, scope: Any) -> Any:
        """Return what was current before this place was taken, if it made `scope` current; else `scope`."""
        return self.before(_context.scope) if scope is not None and scope is self.scope else scope

    def disown(self) -> None:
        """Give the calls inside back: the request was made, and what follows may be anybody's."""
        if self._mark is not None and not self._mark.is_released:
            self._mark.is_released = True
            self._give(_context.owner, self._mark)

    def leave(self) -> None:
        """Set back what was set, here and in the task where it was set; call it when the holder is over."""
        self._restore()
        task, self._task = self._task, None
        if task is None or task.done() or task is _current_task():
            return
        context = _context_of(task)
        if context is not None:
            # A task that runs at this moment, in another thread, has its context to itself.
            with contextlib.suppress(RuntimeError):
                context.run(self._restore)

    def _restore(self) -> None:
        if self.scope is not None:
            self._give(_context.scope, self.scope)
        if self.is_inner:
            self._give(here, self)
        if self._mark is not None:
            self._give(_context.owner, self._mark)
        if self._call is not None:
            self._give(_context.call, self._call)

    def _give(self, variable: ContextVar[Any], value: Any) -> None:
        """Set a variable back, past everything that is over by now, unless something else is there."""
        if variable.get() is value:
            variable.set(self._lasting(variable))

    def _lasting(self, variable: ContextVar[Any]) -> Any:
        value = self._before[variable]
        while (setter := self._setter(value)) is not None and not setter.holder.is_open:
            value = setter.before(variable)
        return value

    def _setter(self, value: Any) -> Place | None:
        """Find the place that set a value in this context; `None`: none did."""
        if isinstance(value, Mark):
            return value.holder.place
        if isinstance(value, Place):
            return value
        outer = self.outer
        while outer is not None and outer.scope is not value:
            outer = outer.outer
        return outer if value is not None else None

    def before(self, variable: ContextVar[Any]) -> Any:
        """Return what a variable was before this place was taken."""
        return self._before.get(variable)


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def _context_of(task: asyncio.Task[Any]) -> Context | None:
    """Return the context that a task runs in."""
    if hasattr(task, "get_context"):
        return task.get_context()  # type: ignore[no-any-return]  # 3.12 and newer
    # Before 3.12 a task shows its context to the garbage collector alone.
    return next((found for found in gc.get_referents(task) if isinstance(found, Context)), None)
