"""Drain a recorder when its process ends, however it ends by itself."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from mission_tracer._base.notices import Notices
from mission_tracer._disk.journal import UnsyncedError
from mission_tracer.settings import why_offline

if TYPE_CHECKING:
    from mission_tracer._recording.delivery import Delivery

_UNTAKEN = "the journal cannot be written; facts are held in memory, and lost if this process dies"
_UNSYNCED = "facts are recorded, but a power cut may lose them"
_UNKEPT = "facts that are on no disk are lost with this process"
_PENDING = "not everything is delivered yet; it is kept, and sent by the next start or by `mission-tracer sync`"
_LOST = "not everything is delivered yet; what was held in memory is lost with this process"
_OFFLINE = (
    "offline, since {why}: {runs} run(s) recorded, nothing sent; "
    "see the last with `mission-tracer show {last}`, send all with `TELNYX_API_KEY=... mission-tracer sync`"
)
_OFFLINE_LOST = "offline, since {why}: {runs} run(s) recorded in memory, nothing sent, nothing kept"


def say_disk_trouble(notices: Notices, error: OSError) -> None:
    """Say why the disk does not take what is recorded."""
    said = _UNSYNCED if isinstance(error, UnsyncedError) else _UNTAKEN
    notices.say("warning", said, cause="disk", why=str(error))


def say_what_is_left(delivery: Delivery, notices: Notices, *, offline_runs: int, last_run: str) -> None:
    """Put on the disk what can be put there before the process ends, and say what becomes of the rest."""
    in_memory = delivery.directory is None
    lost = 0 if in_memory else delivery.rescue()
    if lost:
        notices.say("error", _UNKEPT, facts=lost)
    if delivery.is_offline and offline_runs:
        said = _OFFLINE_LOST if in_memory or lost else _OFFLINE
        notices.say("warning", said.format(why=why_offline(os.environ), runs=offline_runs, last=last_run))
    elif delivery.sends and (pending := delivery.roster.estimate_pending() - lost) > 0:
        notices.say("warning", _LOST if in_memory else _PENDING, facts=pending, dir=str(delivery.settings.dir))


def at_exit(drain: Callable[[], None]) -> None:
    """Have something called before this process ends: by `atexit`, or as a child of `multiprocessing`."""
    never_at_exit(drain)  # a forked child inherits its parent's
    atexit.register(drain)
    util = sys.modules.get("multiprocessing.util")
    process = sys.modules.get("multiprocessing.process")
    if util is not None and process is not None and process.parent_process() is not None:
        # Such a child leaves by `os._exit`, past atexit; its own finalizers run, the early ones by priority.
        util.Finalize(None, drain, exitpriority=10)


def never_at_exit(drain: Callable[[], None]) -> None:
    """Have something not called any more."""
    atexit.unregister(drain)


def keep_interrupt() -> None:
    """Have the interpreter end by SIGINT as it would without us, when Ctrl-C ended the program. Never raises.

    It remembers an uncaught KeyboardInterrupt only until it runs code from a string again, and many a module does that
    when it is imported: one that we need for the last flush, or to say something.
    """
    error = getattr(sys, "last_value", None)
    if not isinstance(error, KeyboardInterrupt) or sys.flags.interactive or hasattr(sys, "ps1"):
        return
    place = error.__traceback__
    if place is None or place.tb_frame.f_globals.get("__name__") not in {"__main__", "runpy"}:
        return  # somebody's own note of an exception that did not end the program
    try:
        exec("raise KeyboardInterrupt")  # noqa: S102 - a constant: what the interpreter remembers
    except KeyboardInterrupt:
        return


atexit.register(keep_interrupt)  # before anything of ours that ends with the process, so it is called after all of it
