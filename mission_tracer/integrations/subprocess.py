"""Record the programs that are started as calls of a tool: `instrument("subprocess")`."""

from __future__ import annotations

import asyncio.subprocess
import os
import subprocess
import sys
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mission_tracer import _context
from mission_tracer._base.ownership import Rank, may_record
from mission_tracer._context import VARIABLE
from mission_tracer.integrations._before_ends import before_ends
from mission_tracer.integrations._patches import Patches, ours
from mission_tracer.integrations._span_events import Call, split
from mission_tracer.propagation import inject
from mission_tracer.runs import Run

_MOST_ARGUMENTS = 100
_ENV = 10  # the place of `env` among the positional arguments
_LOOKS_AROUND = frozenset({"ctypes.util", "platform", "uuid"})
"""Modules of the language that start programs to learn about the machine, often while others are imported."""


def install(_name: str, *, join: bool = False) -> Callable[[], None]:
    """Record every program that is started through `subprocess`, or through asyncio.

    Args:
        join: True: programs get `MISSION_TRACER_PARENT`, so that those who record with us take part in the run.
    """
    programs, patches = _Programs(join=join), Patches()
    patches.wrap(subprocess.Popen, "__init__", programs.start)
    for name in ("poll", "wait"):
        patches.wrap(subprocess.Popen, name, programs.look)
    for name in ("wait", "communicate"):
        patches.wrap(asyncio.subprocess.Process, name, programs.look_async)
    before_ends.add(programs)

    def undo() -> None:
        patches.undo()
        programs.settle()
        before_ends.discard(programs)

    return undo


class _Programs:
    """Know the programs under way, from their start to the moment somebody learns how they ended."""

    def __init__(self, *, join: bool) -> None:
        self._join = join
        self._programs: dict[weakref.ref[Any], _Program] = {}
        self._dropped: deque[weakref.ref[Any]] = deque()

    # ---- as wrapt calls them ----

    def start(self, wrapped: Any, process: Any, args: Any, kwargs: Any) -> Any:
        """Start a program."""
        program = self._begin(args, kwargs)
        if program is not None and self._join:
            kwargs = self._with_parent(args, kwargs) or kwargs
        try:
            result = wrapped(*args, **kwargs)
        except BaseException as error:
            if program is not None:
                program.end(None, error)
            raise
        if program is not None:
            self._keep(process, program)
        return result

    def look(self, wrapped: Any, process: Any, args: Any, kwargs: Any) -> Any:
        """Wait for a program, or look whether it has ended."""
        try:
            return wrapped(*args, **kwargs)
        finally:
            self._look(process)

    async def look_async(self, wrapped: Any, process: Any, args: Any, kwargs: Any) -> Any:
        """Wait for a program of an event loop."""
        try:
            return await wrapped(*args, **kwargs)
        finally:
            self._look_behind(process)

    # ---- ours ----

    @ours
    def _begin(self, args: Any, kwargs: Any) -> _Program | None:
        scope = _context.current()
        # The module is used below by libraries that are recorded better above.
        if scope is None or not may_record(Rank.HTTP) or split(scope)[0].stream is None or _is_asked_by_the_language():
            return None
        asked = {"command": shown_command(args[0] if args else kwargs.get("args"))}
        if kwargs.get("shell"):
            asked["shell"] = True
        if kwargs.get("cwd"):
            asked["cwd"] = os.fsdecode(kwargs["cwd"])
        call = Call(scope, "subprocess", asked, call_id=None, began=time.perf_counter())
        return _Program(call, split(scope)[0])

    @ours
    def _with_parent(self, args: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        if len(args) > _ENV:
            return kwargs
        given = kwargs.get("env")
        environ: Mapping[Any, Any] = os.environ if given is None else given
        # The program's own choice counts.
        if any(os.fsdecode(name) == VARIABLE for name in environ):
            return kwargs
        return {**kwargs, "env": {**environ, VARIABLE: next(iter(inject().values()))}}

    @ours
    def _keep(self, process: Any, program: _Program) -> None:
        # No more than a note: it runs wherever the collector does, maybe in the middle of recording.
        self._programs[weakref.ref(process, self._dropped.append)] = program

    @ours
    def _look(self, process: Any) -> None:
        if process.returncode is not None:
            program = self._programs.pop(weakref.ref(process), None)
            if program is not None:
                program.end({"returncode": process.returncode}, None)

    @ours
    def _look_behind(self, process: Any) -> None:
        behind = process._transport.get_extra_info("subprocess")  # noqa: SLF001 - asyncio shows it nowhere else
        if behind is not None:
            self._look(behind)

    def settle(self, run: Run | None = None, step_id: str | None = None) -> None:
        """Record those that ended, or were dropped, without anybody asking; at the end of a run, all that it has."""
        while self._dropped:
            program = self._programs.pop(self._dropped.popleft(), None)
            if program is not None:
                program.end({"returncode": None}, None)
        run_ends = run is not None and step_id is None
        for reference, program in list(self._programs.items()):
            process = reference()
            if process is not None and (run is None or program.run is run):
                self._look(process)
                if run_ends and self._programs.pop(reference, None) is not None:
                    program.end({"returncode": None}, None)


class _Program:
    """One program under way."""

    def __init__(self, call: Call, run: Run) -> None:
        self.run = run
        self._call = call
        self._pid = os.getpid()

    @ours
    def end(self, result: dict[str, Any] | None, error: BaseException | None) -> None:
        """Record how it ended, unless this is a forked child's copy."""
        if self._pid == os.getpid():
            self._call.end(result, error)


def _is_asked_by_the_language() -> bool:
    frame: Any = sys._getframe(1)  # noqa: SLF001 - the documented way to a caller's frame
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name.partition(".")[0] not in {"mission_tracer", "subprocess", "wrapt"}:
            return name in _LOOKS_AROUND
        frame = frame.f_back
    return False


def shown_command(command: Any) -> Any:
    """Return a command as text or a list of texts."""
    if isinstance(command, (str, bytes, os.PathLike)):
        return os.fsdecode(command)
    if not isinstance(command, Sequence):
        return type(command).__name__  # an iterator is the program's own to go through
    return [os.fsdecode(argument) for argument in list(command)[:_MOST_ARGUMENTS]]
