"""Carry the current scope (a run or a step) and the quiet mark in context variables: the one door to them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from contextvars_extras import ContextVarsRegistry
from contextvars_extras.context_var_descriptor import ContextVarDescriptor


class _Current(ContextVarsRegistry):  # type: ignore[misc]  # the library ships no types
    # Setting an unknown attribute must be an error, not a new variable.
    _registry_allocate_on_setattr = False

    scope: ContextVarDescriptor[Any] = ContextVarDescriptor(default=None)
    quiet: ContextVarDescriptor[Any] = ContextVarDescriptor(default=False)
    owner: ContextVarDescriptor[Any] = ContextVarDescriptor(default=None)
    blocks: ContextVarDescriptor[Any] = ContextVarDescriptor(default=())


# The raw variables: a read through the registry's descriptors costs ten times as much, and this is the hot path.
scope: ContextVar[Any] = _Current.scope.context_var
"""The innermost open run or step of this context, or `None`."""

quiet: ContextVar[bool] = _Current.quiet.context_var
"""True while our own requests are made: no integration records them."""

owner: ContextVar[int | None] = _Current.owner.context_var
"""The rank of the integration that records the call under way; weaker ones leave it alone (`_ownership`)."""


blocks: ContextVar[tuple[Any, ...]] = _Current.blocks.context_var
"""The `with` blocks that are open in this context, the innermost last."""


class _Process:
    """Hold the scope of the whole process: that of a child which joined its parent's run."""

    scope: Any = None


process = _Process()


def current() -> Any:
    """Return the innermost open run or step: of this context, else of this process, else `None`."""
    found = scope.get()
    return process.scope if found is None else found


@contextmanager
def silence() -> Iterator[None]:
    """Keep every integration from recording what happens inside."""
    token = quiet.set(True)
    try:
        yield
    finally:
        quiet.reset(token)
