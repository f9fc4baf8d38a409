"""Carry the current scope (a run or a step) and the quiet mark in context variables: the one door to them."""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any

# Raw variables: a read through the registry's descriptors costs ten times as much, and this is the hot path.
scope: ContextVar[Any] = ContextVar("mission_tracer.scope", default=None)
"""The innermost open run or step of this context, or `None`."""

quiet: ContextVar[bool] = ContextVar("mission_tracer.quiet", default=False)
"""True while our own requests are made: no integration records them."""

owner: ContextVar[int | None] = ContextVar("mission_tracer.owner", default=None)
"""The rank of the integration that records the call under way; weaker ones leave it alone (`_ownership`)."""

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


class _Process:
    """Hold the scope of the whole process: that of a child which joined its parent's run."""

    scope: Any = None


process = _Process()


def current() -> Any:
    """Return the innermost open run or step: of this context, else of this process, else `None`."""
    found = scope.get()
    return process.scope if found is None else found


def silence() -> AbstractContextManager[Any]:
    """Keep every integration from recording what happens inside."""
    return _registry()(quiet=True)  # type: ignore[no-any-return]
