"""Read how a block ended: with a result, by being cancelled, or with an error that was seen before. Pure."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any


def is_cancellation(error: BaseException) -> bool:
    """Say whether an exception means that the run was cancelled, not that it failed."""
    return isinstance(error, (KeyboardInterrupt, GeneratorExit)) or is_task_cancellation(error)


def is_task_cancellation(error: BaseException) -> bool:
    """Say whether an exception is the word of asyncio or trio that a task is cancelled."""
    # Who raises it has imported the library; importing it for the comparison would take longer than all else here.
    return any(
        library in sys.modules and isinstance(error, getattr(sys.modules[library], name, ()))
        for library, name in (("asyncio", "CancelledError"), ("trio", "Cancelled"))
    )


def as_payload(result: Any) -> Mapping[str, Any] | None:
    """Make a result an object, as the API wants it."""
    if result is None or isinstance(result, Mapping):
        return result
    return {"result": result}


def mark_of(error: BaseException) -> tuple[object, ...]:
    """Know an exception again without keeping it alive: its address, its type and where it was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = (trace.tb_frame.f_code.co_filename, trace.tb_lineno) if trace is not None else None
    return (id(error), type(error).__name__, where)
