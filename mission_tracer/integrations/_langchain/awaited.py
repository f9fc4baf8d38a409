"""Notice that a coroutine of LangChain is gone, though nobody told that it ended.

What holds on longest to a cancelled call are the frames in its exception's traceback, often until the collector runs.
The coroutine itself is gone at once, so it is the coroutine that is watched; a hook is not told which one it is, but
finds it among those that its task waits for, as soon as the task waits.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any

_NO_CALL = ("langchain_core.callbacks", "mission_tracer.")


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs in this thread; `None`: none does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def watch_awaited(loop: asyncio.AbstractEventLoop, gone: Callable[[Any], None], watches: list[Any]) -> None:
    """Watch the coroutine that called our hook, from the moment it waits for something.

    Args:
        loop: The loop that runs it.
        gone: Called when the coroutine is gone; it must not do much, and may be called by the collector.
        watches: Holds the watch; when it is cleared nothing is called any more.
    """
    task, frame = asyncio.current_task(loop), _calling_coroutine()
    if task is not None and frame is not None:
        # Not the frame itself: with it everything the call knows would live on.
        loop.call_soon(_attach, weakref.ref(task), id(frame), gone, watches)


def _attach(
    task: Callable[[], asyncio.Task[Any] | None], frame_id: int, gone: Callable[[Any], None], watches: list[Any]
) -> None:
    waiting = task()
    found: Any = None if waiting is None else waiting.get_coro()
    while found is not None:
        if id(getattr(found, "cr_frame", None)) == frame_id:
            watches.append(weakref.ref(found, gone))
            return
        found = getattr(found, "cr_await", None)


def _calling_coroutine() -> FrameType | None:
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the documented way to a caller's frame
    while frame is not None and str(frame.f_globals.get("__name__")).startswith(_NO_CALL):
        frame = frame.f_back
    return frame if frame is not None and frame.f_code.co_flags & inspect.CO_COROUTINE else None
