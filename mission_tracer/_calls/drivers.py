"""Resume a generator in a scope of its own: current while the generator's code runs, never across a `yield`."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable, Generator
from types import TracebackType
from typing import Any, Protocol

from mission_tracer import _context
from mission_tracer._base.endings import is_task_cancellation


class Scope(Protocol):
    """One entry of a block: a run, a step or a tool call that has begun."""

    def enter(self) -> Any:
        """Make it current; return what was current before."""

    def leave(self, before: Any) -> None:
        """Make current again what was current before it was entered."""

    def follow(self) -> Callable[[Any], None] | None:
        """Be told that a generator runs in it; return what takes in each of its items, `None`: they are not wanted."""

    def end(self, result: Any = None, error: BaseException | None = None) -> None:
        """Record how it ended; `GeneratorExit`: its consumer wanted no more."""


class Block(Protocol):
    """What a decorator made: begins a scope for each call."""

    def begin(self, function: Any, args: Any, kwargs: Any, *, bound: bool) -> Scope | None:
        """Begin a scope for a call; `None`: this call is not recorded.

        Args:
            function: What is called.
            args: Its positional arguments.
            kwargs: Its keyword arguments.
            bound: True: the first argument is the object or class of a method.
        """


class _Driver:
    """Hold what the consumer of a generator hands in, and what the generator hands out.

    Whoever drives writes `while driver.resume(): with driver: driver.given = yield driver.take()`, so that whatever is
    sent or thrown in reaches the generator, and whatever it does with that reaches the consumer.
    """

    __slots__ = ("_deeper", "_item", "_note", "_scope", "_thrown", "given", "result")

    def __init__(self, scope: Scope | None) -> None:
        self._scope = scope
        self._note: Callable[[Any], None] | None = None if scope is None else scope.follow()
        self._deeper: Any = None  # the scope of a block inside the generator that is open across a `yield`
        self._item: Any = None
        self._thrown: BaseException | None = None
        self.given: Any = None
        self.result: Any = None

    def take(self) -> Any:
        """Hand the item out; it is not kept, since a generator does not keep it either."""
        item, self._item = self._item, None
        return item

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> bool:
        # What is thrown in is thrown again inside the generator by the next `resume`: outside of this handler, which
        # would become its context, and without the line of ours that it has passed.
        if error is not None and trace is not None:
            error.__traceback__ = trace.tb_next
        self._thrown = error
        return True

    def _enter(self, scope: Scope) -> tuple[Any, Any]:
        before = scope.enter()
        mine = _context.scope.get()
        if self._deeper is not None:
            _context.scope.set(self._deeper)
        return before, mine

    def _pause(self, scope: Scope, before: Any, mine: Any) -> None:
        if self._note is not None:
            self._note(self._item)
        now = _context.scope.get()
        self._deeper = None if now is mine else now
        if now is not mine:
            _context.scope.set(mine)
        scope.leave(before)


class GeneratorDriver(_Driver):
    """Drive a generator that has not begun.

    Args:
        inner: The generator.
        scope: What its code runs in; `None`: nothing is recorded.
    """

    __slots__ = ("_inner",)

    def __init__(self, inner: Generator[Any, Any, Any], scope: Scope | None) -> None:
        super().__init__(scope)
        self._inner = inner

    def resume(self) -> bool:
        """Run the generator up to its next item; say whether there is one."""
        scope = self._scope
        if scope is None:
            return self._advance()
        closing = self._thrown
        before, mine = self._enter(scope)
        try:
            goes_on = self._advance()
        except BaseException as error:
            scope.leave(before)
            _end(scope, error, closing)
            raise
        finally:
            del closing
        if goes_on:
            self._pause(scope, before, mine)
        else:
            scope.leave(before)
            scope.end(self.result)
        return goes_on

    def _advance(self) -> bool:
        given, thrown = self.given, self._thrown
        self.given = self._thrown = None
        try:
            self._item = self._inner.send(given) if thrown is None else self._inner.throw(thrown)
        except StopIteration as stop:
            self.result = stop.value
            return False
        finally:
            del given, thrown  # or the traceback of what was thrown would hold it in a circle
        return True


class AsyncGeneratorDriver(_Driver):
    """Drive an asynchronous generator that has not begun.

    Args:
        inner: The generator.
        scope: What its code runs in; `None`: nothing is recorded.
    """

    __slots__ = ("_begun", "_inner")

    def __init__(self, inner: AsyncGenerator[Any, Any], scope: Scope | None) -> None:
        super().__init__(scope)
        self._inner = inner
        self._begun = False

    async def resume(self) -> bool:
        """Run the generator up to its next item; say whether there is one."""
        scope = self._scope
        if scope is None:
            return await self._advance()
        closing = self._thrown
        before, mine = self._enter(scope)
        try:
            goes_on = await self._advance()
        except BaseException as error:
            scope.leave(before)
            _end(scope, error, closing)
            raise
        finally:
            del closing
        if goes_on:
            self._pause(scope, before, mine)
        else:
            scope.leave(before)
            scope.end()
        return goes_on

    async def _advance(self) -> bool:
        given, thrown = self.given, self._thrown
        self.given = self._thrown = None
        try:
            if thrown is not None:
                self._item = await self._inner.athrow(thrown)
            elif self._begun:
                self._item = await self._inner.asend(given)
            else:
                self._begun = True
                self._item = await _begin(self._inner)
        except StopAsyncIteration:
            return False
        finally:
            del given, thrown
        return True


def _begin(inner: AsyncGenerator[Any, Any]) -> Any:
    """Ask for the first item without the event loop's notice.

    The loop closes what is left of every generator that it saw begin. It sees the outer one, which closes this one:
    were both closed at once, each would find the other running.
    """
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, _leave_alone)
    try:
        return inner.asend(None)
    finally:
        sys.set_asyncgen_hooks(*hooks)


def _leave_alone(_inner: object) -> None:
    """Do nothing when the garbage collector finds a generator together with its outer one."""


def _end(scope: Scope, error: BaseException, closing: BaseException | None) -> None:
    """End a scope with what its generator raised; being closed by its consumer is no failure of it."""
    # An event loop that ends closes abandoned generators by cancelling their `aclose()`.
    gone = closing is error and (isinstance(error, GeneratorExit) or is_task_cancellation(error))
    scope.end(None, GeneratorExit() if gone else error)
