"""Carry the current run and step across threads, processes and machines.

A carrier is any mapping of texts: HTTP headers, a task's headers, an environment. On the machine where the run began,
whoever continues it appends to the same journal; elsewhere it keeps a journal of its own for the same run.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, TypeVar, cast, overload

from mission_tracer import _context, recorder
from mission_tracer._base.checks import check_callable
from mission_tracer._calls.callables import record_calls
from mission_tracer._context import HEADER, VARIABLE
from mission_tracer._scopes.carrier import Carrier, describe
from mission_tracer._scopes.share import Share, join
from mission_tracer.runs import Run
from mission_tracer.steps import Step

F = TypeVar("F", bound=Callable[..., Any])
M = TypeVar("M", bound=MutableMapping[str, str])


@overload
def inject(carrier: None = None) -> dict[str, str]: ...
@overload
def inject(carrier: M) -> M: ...
def inject(carrier: Any = None) -> Any:
    """Write the current run and step into a carrier, and return it; outside of a run nothing is written.

    Args:
        carrier: Headers get the key `mission-run`; `os.environ`, or a copy of it, gets `MISSION_TRACER_PARENT`; `None`:
            headers of its own.
    """
    recording = recorder.default()
    given = {} if carrier is None else carrier
    try:
        text = describe(_context.current())
        if text is not None:
            given.update({VARIABLE if _is_environment(carrier) else HEADER: text})
    except Exception as error:  # noqa: BLE001 - our own errors stay ours
        recording.trouble(error, "inject")
    return given


def _is_environment(carrier: Any) -> bool:
    if carrier is None or carrier is os.environ:
        return carrier is not None
    # Headers know no case: what tells `PATH` from `path` and has it is a copy of the environment.
    return VARIABLE in carrier or ("PATH" in carrier and "path" not in carrier)


@contextmanager
def continue_run(carrier: Carrier) -> Iterator[Run | None]:
    """Take part in the run that a carrier names, for the length of the block.

    Args:
        carrier: What `inject` wrote to; the keys' case does not matter. One that names no run, or one that cannot be
            read, changes nothing.

    Yields:
        The run; `None` when the carrier names none.
    """
    joined = join(carrier)
    if joined is None:
        yield None
        return
    before = joined.enter()
    try:
        yield joined.run
    finally:
        joined.leave(before)
        joined.end()


class Parent:
    """Be the scope of a process that its environment puts into a run.

    The run is joined when it is first asked for, and again after `configure`: a program sets its settings after it has
    imported us.
    """

    def __init__(self, carrier: dict[str, str]) -> None:
        """Name the run; nothing is joined yet."""
        self._carrier = carrier
        self._recorder: recorder.Recorder | None = None
        self._share: Share | None = None

    @property
    def scope(self) -> Run | Step | None:
        """The run or step; `None` while nothing is recorded."""
        recording = recorder.default()
        if recording is not self._recorder:
            before, self._share = self._share, join(self._carrier)
            self._recorder = recording
            if before is not None:
                before.end()
        return self._share.scope if self._share is not None else None


def carry(function: F) -> F:
    """Bind the current run and step to a callable, for another thread, an executor or another process.

    Outside of a run the callable is returned as it is. What is returned can be pickled when the callable can:
    in another process it takes part in the run as `continue_run` does.

    Raises:
        TypeError: It cannot be called.
    """
    check_callable(function, "what is carried")
    scope = _context.current()
    return function if scope is None else bind(function, scope, _context.owner.get())


def bind(function: F, scope: Run | Step, owner: int | None) -> F:
    """Bind a run or step to a callable. Never raises: what cannot be bound is returned as it is."""
    try:
        return cast("F", _kind_of(function)(function, Share(scope, owner)))
    except Exception as error:  # noqa: BLE001 - our own errors stay ours
        recorder.default().trouble(error, "carry")
        return function


class Carried:
    """Call a function in the scope it was bound to; in another process, in the run that its carrier names.

    Not one of wrapt's proxies: cloudpickle takes those for the plain function and forgets the binding.

    Args:
        function: What to call.
        block: Gives each call its scope.
    """

    def __init__(self, function: Callable[..., Any], block: Share | _Remote) -> None:
        functools.update_wrapper(self, function, updated=())
        self.__wrapped__ = function
        self._block = block
        # A class is called like any other callable here, but `record_calls` takes it for a mistake.
        self._call = record_calls(functools.partial(function) if isinstance(function, type) else function, block)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function in its scope."""
        return self._call(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name == "__wrapped__":  # while it is being made or unpickled
            raise AttributeError(name)
        return getattr(self.__wrapped__, name)

    def __reduce__(self) -> Any:
        block = self._block
        text = block.text if isinstance(block, _Remote) else describe(block.scope)
        return _rebuild, (self.__wrapped__, text)

    def __copy__(self) -> Carried:
        return self

    def __deepcopy__(self, memo: Any) -> Carried:
        return self


class CarriedCoroutine(Carried):
    """Call a coroutine function in its scope, and be known as one."""

    def __init__(self, function: Callable[..., Any], block: Share | _Remote) -> None:
        super().__init__(function, block)
        if sys.version_info >= (3, 12):
            inspect.markcoroutinefunction(self)
        else:
            import asyncio  # a coroutine function is carried: it will be imported in any case

            self._is_coroutine = getattr(asyncio.coroutines, "_is_coroutine", None)

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Await the function in its scope."""
        return await self._call(*args, **kwargs)


class _Remote:
    """Give each call the run that a text names: that of another process, or of this one."""

    __slots__ = ("text",)

    def __init__(self, text: str | None) -> None:
        self.text = text

    def begin(self, function: Callable[..., Any], args: Any, kwargs: Any, *, bound: bool) -> Share | None:
        return join({HEADER: self.text}) if self.text else None


def _kind_of(function: Callable[..., Any]) -> type[Carried]:
    return CarriedCoroutine if inspect.iscoroutinefunction(function) else Carried


def _rebuild(function: Callable[..., Any], text: str | None) -> Carried:
    return _kind_of(function)(function, _Remote(text))
