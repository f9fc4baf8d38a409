"""Read how a block ended: as done, by being cancelled, or with an error. Pure."""

from __future__ import annotations

import sys


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


def is_good_exit(error: BaseException) -> bool:
    """Say whether an exception ends the program as done: `sys.exit()` with no code, or with 0."""
    return isinstance(error, SystemExit) and not error.code
