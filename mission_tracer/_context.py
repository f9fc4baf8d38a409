"""Carry the current scope (a run or a step) and the quiet mark in context variables: the one door to them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any

# Raw variables: a read through the registry's descriptors costs ten times as much, and this is the hot path.
scope: ContextVar[Any] = ContextVar("mission_tracer.scope", default=None)
"""The innermost open run or step of this context, or `None`."""

quiet: ContextVar[bool] = ContextVar("mission_tracer.quiet", default=False)
"""True while our own requests are made: no integration records them."""

owner: ContextVar[int | None] = ContextVar("mission_tracer.owner", default=None)
"""The rank of the integration that records the call under way; weaker ones leave it alone (`_base.ownership`)."""

call: ContextVar[Any] = ContextVar("mission_tracer.call", default=None)
"""The tool call that a framework makes in this context (`tools.KnownCall`), or `None`; it may be over."""

blocks: ContextVar[tuple[Any, ...]] = ContextVar("mission_tracer.blocks", default=())
"""The `with` blocks that are open in this context, the innermost last."""


@functools.cache
def _registry() -> Any:
    """Return the registry of these variables, which sets them for the length of a block.

    Reached at its first use: it imports asyncio, which takes as long as the whole recording side.
    """
    from contextvars_extras import ContextVarsRegistry
    from contextvars_extras.context_var_descriptor import ContextVarDescriptor

    class Current(ContextVarsRegistry):  # type: ignore[misc]  # the library ships no types
        # Setting an unknown attribute must be an error, not a new variable.
        _registry_allocate_on_setattr = False

    for name, variable in {"scope": scope, "quiet": quiet, "owner": owner, "blocks": blocks}.items():
        setattr(Current, name, ContextVarDescriptor.from_existing_var(variable))
    return Current()


HEADER = "mission-run"
"""The key in headers under which a run is carried."""

VARIABLE = "MISSION_TRACER_PARENT"
"""The key in an environment."""


def is_in(outer: Any) -> bool:
    """Say whether a run or step is the current scope of this context, or what that was opened in."""
    now = scope.get()
    while now is not None and now is not outer:
        now = now.outer
    return now is outer


class Current:
    """Be the current scope for a while: a run or a step."""

    __slots__ = ()

    def enter(self) -> Any:
        """Become current; return what was current before."""
        before = scope.get()
        scope.set(self)
        return before

    def leave(self, before: Any) -> None:
        """Make current again what was current before.

        In another context, where an abandoned coroutine may end, something else is current, and stays so; a block
        inside this one that was left open is left with it.
        """
        if scope.get() is self or is_in(self):  # the first is nearly always so, and quicker asked
            scope.set(before)

    def follow(self) -> Callable[[Any], None] | None:
        """Be told that a generator runs in it; return what takes in each of its items, `None`: they are not wanted."""
        return None


class _Process:
    """Hold the scope of the whole process: that of a child which joined its parent's run."""

    scope: Any = None


class _Child:
    """Be the scope of a process that its environment puts into a run; who knows it is made when it is asked for."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._parent: Any = None

    @property
    def scope(self) -> Any:
        """The run or step; `None` while nothing is recorded."""
        if self._parent is None:
            self._parent = self._make()
        return self._parent.scope


process: _Process | _Child = _Process()


def take_part(environ: Mapping[str, str], join: Callable[[dict[str, str]], Any]) -> None:
    """Let this whole process take part in the run its environment names, if it names one. Never raises.

    Args:
        environ: The environment.
        join: Makes of what names the run something that has a `scope`; called when it is first asked for.
    """
    global process  # noqa: PLW0603 - a process is one
    carrier = {name: environ[name] for name in (VARIABLE, HEADER) if environ.get(name)}
    if carrier:
        process = _Child(lambda: join(carrier))


def current() -> Any:
    """Return the innermost open run or step: of this context, else of this process, else `None`."""
    found = scope.get()
    return process.scope if found is None else found


def silence() -> AbstractContextManager[Any]:
    """Keep every integration from recording what happens inside."""
    return _registry()(quiet=True)  # type: ignore[no-any-return]
