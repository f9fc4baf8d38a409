"""Carry the run and step into every thread and executor: `instrument("threading", "concurrent.futures")`."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from typing import Any

from mission_tracer import _context
from mission_tracer._scopes.share import Share
from mission_tracer.integrations._patches import Patches, ours
from mission_tracer.propagation import Carried, bind

_SERVANTS = frozenset(
    {
        "concurrent.futures.process",
        "concurrent.futures.thread",
        "logging.handlers",
        "mission_tracer._sending.sender",
        "multiprocessing.pool",
        "multiprocessing.queues",
    }
)
"""Where threads come from that serve the whole process: whoever happens to start one does not own its work."""


def install(name: str) -> Callable[[], None]:
    """Carry the scope into threads, or into what executors are given."""
    patches = Patches()
    if name == "threading":
        patches.wrap(threading.Thread, "start", _start)
        for method in ("apply_async", "_map_async", "imap", "imap_unordered"):  # all the others go through these
            patches.wrap(ThreadPool, method, _submit_to_pool)
    else:
        patches.wrap(ThreadPoolExecutor, "submit", _submit)
        patches.wrap(ProcessPoolExecutor, "submit", _submit_to_process)
    return patches.undo


def _share() -> Share | None:
    scope = _context.scope.get()
    if scope is None or _context.quiet.get():
        return None
    return Share(scope, _context.owner.get())


@ours
def _enter(share: Share) -> Any:
    return share.enter()


@ours
def _leave(share: Share, before: Any) -> None:
    share.leave(before)


# ---- threads ----


class _Body:
    """Stand in for a thread's `run` once, in the scope it was started in."""

    def __init__(self, thread: threading.Thread, share: Share) -> None:
        self._thread = thread
        self._share = share
        self._before = vars(thread).get("run")

    def remove(self) -> None:
        """Give the thread its own `run` back."""
        if self._before is None:
            vars(self._thread).pop("run", None)
        else:
            vars(self._thread)["run"] = self._before

    def __call__(self) -> None:
        """Run the thread's own body."""
        self.remove()
        run, share = self._thread.run, self._share
        del self._thread  # or the thread would hold itself
        before = _enter(share)
        try:
            run()
        finally:
            _leave(share, before)


def _start(wrapped: Any, thread: threading.Thread, args: Any, kwargs: Any) -> Any:
    body = _prepare(thread)
    if body is None:
        return wrapped(*args, **kwargs)
    try:
        return wrapped(*args, **kwargs)
    except BaseException:
        body.remove()
        raise


@ours
def _prepare(thread: threading.Thread) -> _Body | None:
    share = _share()
    if share is None or thread.ident is not None or _serves_the_process(thread):
        return None
    body = _Body(thread, share)
    vars(thread)["run"] = body
    return body


def _serves_the_process(thread: threading.Thread) -> bool:
    target = getattr(thread, "_target", None)
    return type(thread).__module__ in _SERVANTS or getattr(target, "__module__", None) in _SERVANTS


# ---- executors ----


def _submit(wrapped: Any, executor: ThreadPoolExecutor, args: Any, kwargs: Any) -> Any:
    share = _share_for(executor, args)
    return wrapped(*args, **kwargs) if share is None else wrapped(_run, share, *args, **kwargs)


@ours
def _share_for(executor: ThreadPoolExecutor, args: Any) -> Share | None:
    if not args or isinstance(args[0], Carried) or _has_interpreters(executor):
        return None
    return _share()


def _has_interpreters(executor: ThreadPoolExecutor) -> bool:
    # What goes to another interpreter of this process is pickled, and the libraries below us cannot be imported there.
    return sys.version_info >= (3, 14) and type(executor).__name__ == "InterpreterPoolExecutor"


def _run(share: Share, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    before = _enter(share)
    try:
        return function(*args, **kwargs)
    finally:
        _leave(share, before)


def _submit_to_pool(wrapped: Any, _pool: ThreadPool, args: Any, kwargs: Any) -> Any:
    return wrapped(*(_bound(args, _context.owner.get()) or args), **kwargs)


def _submit_to_process(wrapped: Any, _executor: ProcessPoolExecutor, args: Any, kwargs: Any) -> Any:
    return wrapped(*(_bound(args, None) or args), **kwargs)


@ours
def _bound(args: Any, owner: int | None) -> Any:
    share = _share()
    if share is None or not args or isinstance(args[0], Carried):
        return None
    return bind(args[0], share.scope, owner), *args[1:]
