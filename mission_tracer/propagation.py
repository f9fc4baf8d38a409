"""Carry the current run and step across threads, processes and machines.

A carrier is any mapping of texts: HTTP headers, a task's headers, an environment. On the machine where the run began,
whoever continues it appends to the same journal; elsewhere it keeps a journal of its own for the same run.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any, TypeVar, cast
from urllib.parse import parse_qsl, urlencode

from mission_tracer import _context, facts, recorder
from mission_tracer.opening import current_run, current_step
from mission_tracer.runs import Run
from mission_tracer.steps import Step

HEADER = "mission-run"
"""The key in headers."""

VARIABLE = "MISSION_TRACER_PARENT"
"""The key in an environment."""

F = TypeVar("F", bound=Callable[..., Any])


def inject(carrier: MutableMapping[str, str] | None = None) -> dict[str, str]:
    """Write the current run and step into a carrier, and return what was written; nothing outside of a run.

    Args:
        carrier: Headers get the key `mission-run`; `os.environ` gets `MISSION_TRACER_PARENT`; `None`: only return it.
    """
    run = current_run()
    if run is None or run.stream is None:
        return {}
    step = current_step()
    run.stream.shared = True
    values = {
        "key": run.key,
        "name": run.name,
        "mission_id": run.mission_id,
        "run_id": run.run_id,
        "step": step.id if step is not None else None,
    }
    text = urlencode({name: value for name, value in values.items() if value is not None})
    written = {VARIABLE if carrier is os.environ else HEADER: text}
    if carrier is not None:
        carrier.update(written)
    return written


@contextmanager
def continue_run(carrier: Mapping[Any, Any]) -> Iterator[Run | None]:
    """Take part in the run that a carrier names, for the length of the block.

    Args:
        carrier: What `inject` wrote to; the keys' case does not matter. Without a run in it, or with one that cannot be
            read, nothing is recorded inside.

    Yields:
        The run; `None` when the carrier names none.
    """
    scope = join(carrier)
    if scope is None:
        yield None
        return
    run = scope.run if isinstance(scope, Step) else scope
    before = _context.scope.get()
    _context.scope.set(scope)
    try:
        yield run
    finally:
        if _context.scope.get() is scope:
            _context.scope.set(before)
        leave(run)


def join(carrier: Mapping[Any, Any]) -> Run | Step | None:
    """Return the run or step that a carrier names, ready to record; `None` when it names none. Never raises."""
    recording = recorder.default()
    if not recording.enabled:
        return None
    try:
        named = _read(carrier)
        if named is None:
            return None
        run = recording.runs.get(named["key"]) or _open(recording, named)
    except Exception as error:  # noqa: BLE001 - our own errors stay ours
        recording.trouble(error, "continue_run")
        return None
    run.joins += 1
    return Step.elsewhere(run, named["step"]) if "step" in named else run


def leave(run: Run) -> None:
    """Stop taking part in a run; the last one to leave lets go of a journal that others began."""
    run.joins -= 1
    if run.joins == 0 and run.is_joined and run.stream is not None:
        run.stream.journal.close()


def _open(recording: recorder.Recorder, named: dict[str, str]) -> Run:
    key, name = named["key"], named.get("name", "")
    here = recording.directory is not None and recording.directory.find(key) is not None
    stream = recording.open_stream(key, create=not here)
    stream.shared = True
    run = Run(recording, stream, name=name)
    run.is_joined = True
    if here:
        stream.journal.open()
    else:
        recording.record(
            stream,
            facts.RunJoined,
            key=key,
            mission=facts.MissionSpec(name, id=named.get("mission_id")),
            base_url=recording.settings.base_url if recording.settings.api_key else None,
            run_id=named.get("run_id"),
        )
    recording.runs[key] = run
    return run


def _read(carrier: Mapping[Any, Any]) -> dict[str, str] | None:
    for name, value in carrier.items():
        word = (name.decode("latin-1") if isinstance(name, bytes) else str(name)).lower().replace("_", "-")
        if word in {HEADER, "http-mission-run", VARIABLE.lower().replace("_", "-")}:
            text = value.decode("latin-1") if isinstance(value, bytes) else value
            named = dict(parse_qsl(text)) if isinstance(text, str) else {}
            if not _is_key(named.get("key", "")):
                raise ValueError(f"the carrier's {name!r} names no run: {text!r:.200}")
            return named
    return None


def _is_key(text: str) -> bool:
    # It becomes a file's name: nothing but what `new_key` makes may pass.
    return 1 <= len(text) <= 64 and text.isascii() and text.isalnum()


def join_from_environment() -> None:
    """Let this whole process take part in the run its environment names, if it names one. Never raises."""
    if os.environ.get(VARIABLE):
        _context.process.scope = join({VARIABLE: os.environ[VARIABLE]})


def carry(function: F) -> F:
    """Bind the current run and step to a callable, for another thread, an executor or another process.

    Outside of a run the callable is returned as it is. What is returned can be pickled when the callable can.
    """
    scope = _context.current()
    return function if scope is None else cast("F", Carried(function, scope, inject()))


class Carried:
    """Call a function in the scope it was bound to; in another process, in the run that its carrier names.

    Args:
        function: What to call.
        scope: The run or step, in the process that has it; `None`: it is looked up in the carrier.
        carrier: What `inject` wrote.
    """

    def __init__(self, function: Callable[..., Any], scope: Run | Step | None, carrier: dict[str, str]) -> None:
        functools.update_wrapper(self, function)
        self.__wrapped__ = function
        self._scope = scope
        self._carrier = carrier
        if inspect.iscoroutinefunction(function):
            self._is_coroutine = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if inspect.iscoroutinefunction(self.__wrapped__):
            return self._await(args, kwargs)
        with self._bound():
            return self.__wrapped__(*args, **kwargs)

    async def _await(self, args: Any, kwargs: Any) -> Any:
        with self._bound():
            return await self.__wrapped__(*args, **kwargs)

    @contextmanager
    def _bound(self) -> Iterator[None]:
        if self._scope is None:
            with continue_run(self._carrier):
                yield
            return
        before = _context.scope.get()
        _context.scope.set(self._scope)
        try:
            yield
        finally:
            if _context.scope.get() is self._scope:
                _context.scope.set(before)

    def __reduce__(self) -> Any:
        return Carried, (self.__wrapped__, None, self._carrier)
