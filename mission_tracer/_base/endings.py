"""Read how a block ended: as done, by being cancelled, or with an error. Pure."""

from __future__ import annotations

import sys


def is_cancellation(error: BaseException) -> bool:
    """Say whether an exception means that the run was cancelled, not that it failed; a group, if all of it does.

    Trio's nurseries raise groups: one cancellation of each task, or the Ctrl-C that one of them met.
    """
    together = members(error)
    if together:
        return all(map(is_cancellation, together))
    return isinstance(error, (KeyboardInterrupt, GeneratorExit)) or is_task_cancellation(error)


def members(error: BaseException) -> tuple[BaseException, ...]:
    """Take the members of an exception group: Python's own since 3.11, or the backport's."""
    if not any(kind.__name__ == "BaseExceptionGroup" for kind in type(error).__mro__):
        return ()
    found = getattr(error, "exceptions", ())
    return tuple(one for one in found if isinstance(one, BaseException)) if isinstance(found, (list, tuple)) else ()


def is_task_cancellation(error: BaseException) -> bool:
    """Say whether an exception is the word of asyncio or trio that a task is cancelled."""
    # Who raises it has imported the library; importing it for the comparison would take longer than all else here.
    # The error itself is not asked: trio's class asks it for its class, which may be an attribute that raises.
    return any(
        library in sys.modules and issubclass(type(error), getattr(sys.modules[library], name, ()))
        for library, name in (("asyncio", "CancelledError"), ("trio", "Cancelled"))
    )


def is_pause(error: BaseException) -> bool:
    """Say whether an exception is LangGraph's way to leave a node, to call it again later or to go on elsewhere."""
    errors = sys.modules.get("langgraph.errors")
    return errors is not None and isinstance(error, getattr(errors, "GraphBubbleUp", ()))


def is_good_exit(error: BaseException) -> bool:
    """Say whether an exception ends the program as done: `sys.exit()` with no code, or with 0.

    Of any other object, an empty one too, Python makes the exit status 1.
    """
    if not isinstance(error, SystemExit):
        return False
    try:
        code: object = error.code
        return code is None or (isinstance(code, int) and code == 0)
    except Exception:  # noqa: BLE001 - a class may have made something else of it
        return False
