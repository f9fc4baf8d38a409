"""Wrap what `--step`, `--tool` and `--instrument` name, when its modules are imported, in an unmodified program."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import msgspec
import wrapt
from msgspec import Struct

from mission_tracer.decorators import plan_step, tool_call
from mission_tracer.instrument import instrument, library_of
from mission_tracer.recorder import default

_MAIN = {"__main__", "__mp_main__"}  # the second is what a spawned worker calls its parent's main module


class Target(Struct, frozen=True):
    """One function to be wrapped: `kind` is step or tool."""

    kind: str
    module: str
    path: str
    description: str | None = None

    @property
    def name(self) -> str:
        """What its step or tool is called: the function's own name."""
        return self.path.rpartition(".")[2]

    def __str__(self) -> str:
        return f"--{self.kind} {self.module}:{self.path}"


class Boot(Struct, frozen=True):
    """What a program is prepared with. `main` is the module that it runs as `__main__`."""

    targets: list[Target] = []
    instrument: list[str] = []
    log_level: str | None = None
    main: str | None = None


class _Found:
    """Remember which targets were met, and say at the program's end which were not; its forks end without a word."""

    def __init__(self, targets: list[Target]) -> None:
        self._missing = {target: f"{target.module} was never imported" for target in targets}
        self._pid = os.getpid()
        if targets and os.environ.get("MISSION_TRACER_PROGRAM") == str(self._pid):
            atexit.register(self._say)

    def met(self, target: Target) -> None:
        self._missing.pop(target, None)

    def lacks(self, target: Target, why: str) -> None:
        if target in self._missing:
            self._missing[target] = why

    def _say(self) -> None:
        if os.getpid() != self._pid:
            return
        for target, why in self._missing.items():
            default().notices.say("warning", f"{target}: {why}")


def install(text: str) -> None:
    """Prepare this process.

    Raises:
        msgspec.MsgspecError: The text is not what `run` writes.
    """
    boot = msgspec.json.decode(text, type=Boot)
    found = _Found(boot.targets)
    by_module: dict[str, list[Target]] = {}
    for target in boot.targets:
        by_module.setdefault(target.module, []).append(target)
    for module, targets in by_module.items():
        if module != "__main__":
            wrapt.register_post_import_hook(_importer(targets, found), module)
    mine = [target for target in boot.targets if target.module in {"__main__", boot.main}]
    for target in mine:
        found.lacks(target, f"{target.path} was not seen when it was defined")
    if mine:
        _MainModule(mine, found).watch()
    _instrument(boot)


def _instrument(boot: Boot) -> None:
    """Switch integrations on, each when its library is imported: who does not use it does not wait for it."""
    for name in boot.instrument:
        wrapt.register_post_import_hook(partial(_switch_on, name, f"--instrument {name}"), library_of(name))
    if boot.log_level is not None:
        _switch_on("logging", "--log-level", level=boot.log_level)


def _switch_on(name: str, wish: str, _library: Any = None, **options: Any) -> None:
    try:
        instrument(name, **options)
    except Exception as error:  # noqa: BLE001 - the program runs without it
        default().notices.say("warning", f"{wish}: {error}")


def _importer(targets: list[Target], found: _Found) -> Callable[[Any], None]:
    def imported(module: Any) -> None:
        # An exception here would be the program's import failing.
        for target in targets:
            _wrap(target, module, found)

    return imported


def _wrap(target: Target, place: Any, found: _Found) -> None:
    try:
        parent, attribute, original = wrapt.resolve_path(place, target.path)
        setattr(parent, attribute, _wrapped(target, original))
    except AttributeError:
        found.lacks(target, f"{target.module} has no {target.path}")
    except Exception as error:  # noqa: BLE001 - the program runs without it
        found.lacks(target, f"{type(error).__name__}: {error}")
    else:
        found.met(target)


def _wrapped(target: Target, original: Any) -> Any:
    if target.kind == "tool":
        return tool_call(target.name)(original)
    return plan_step(target.name, description=target.description)(original)


class _MainModule:
    """Wrap functions of the main module, which no import ever gives: right after the line that defines them.

    Its module-level code is followed line by line, and nothing else; that ends when every function is wrapped, or the
    code is through.
    """

    def __init__(self, targets: list[Target], found: _Found) -> None:
        self._targets = targets
        self._found = found

    def watch(self) -> None:
        """Begin with the next call in this thread."""
        if sys.gettrace() is None:
            sys.settrace(self._call)

    def _call(self, frame: FrameType, event: str, _argument: Any) -> Any:
        # A spawned worker has two such: what it is started with, and its parent's main module.
        is_main = frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__") in _MAIN
        return self._line if is_main else None

    def _line(self, frame: FrameType, event: str, _argument: Any) -> Any:
        left = []
        for target in self._targets:
            if self._is_there(target.path, frame.f_globals):
                _wrap(target, _Namespace(frame.f_globals), self._found)
            else:
                left.append(target)
        self._targets = left
        if left and event != "return":
            return self._line
        for target in left:
            self._found.lacks(target, f"the program has no {target.path}")
        if getattr(sys.gettrace(), "__self__", None) is self:
            sys.settrace(None)
        return None

    @staticmethod
    def _is_there(path: str, names: dict[str, Any]) -> bool:
        return path.partition(".")[0] in names


class _Namespace:
    """Let the names of a module be reached and set as attributes, while it is being executed."""

    def __init__(self, names: dict[str, Any]) -> None:
        self.__dict__ = names
