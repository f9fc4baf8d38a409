"""Hold the one default recorder of this process: made from the environment, or configured."""

from __future__ import annotations

import os
import threading
from typing import Any

from mission_tracer._recording.about import about_this_process
from mission_tracer._recording.recorder import Recorder
from mission_tracer.settings import Settings

__all__ = ["Recorder", "about_this_process", "configure", "default", "discard", "handle_signals", "replace", "swap"]

_default: Recorder | None = None
_default_lock = threading.RLock()  # a signal's handler may record in the middle of ours


def default() -> Recorder:
    """Return this process's recorder; made from the environment when nobody configured one."""
    return _default if _default is not None else _make_default()


def _make_default() -> Recorder:
    global _default  # noqa: PLW0603 - the one piece of module state
    with _default_lock:
        if _default is None:
            made = _make({})
            _default = _default or made  # type: ignore[redundant-expr]  # of a signal's handler in the meantime
        return _default


def _make(given: dict[str, Any]) -> Recorder:
    """Make a recorder, and say what is wrong in the environment.

    Raises:
        ConfigurationError: What is given is wrong.
    """
    settings, problems = Settings.tolerate(given, environ=os.environ)
    recording = Recorder(settings)
    for problem in problems:
        recording.notices.say("error", str(problem))
    return recording


def configure(**given: Any) -> Recorder:
    """Set settings for this process; what is not given comes from the environment, then the defaults.

    They hold for the runs that begin from now on; those under way go on as they began. The recorder before this one
    flushes nothing and loses nothing: its journals are delivered by the new one. Under the test kit the settings are
    only checked: the test goes on recording in memory.

    Args:
        given: Values by the names of `Settings`; `None` as a value: as if not given.

    Raises:
        ConfigurationError: A name or a value is wrong; the message names it and what is allowed.
    """
    recording = _make(given)
    if recording.settings.redact is not None:
        _ = recording.capture  # it says what is wrong with the rules
    if recording.settings.handle_signals:
        handle_signals(recording)
    return replace(recording)


def handle_signals(recording: Recorder) -> None:
    """Close this process's runs at SIGTERM, if this is the main thread; see the setting `handle_signals`."""
    from mission_tracer._recording.signals import close_on_sigterm

    close_on_sigterm(recording)


def replace(recorder: Recorder) -> Recorder:
    """Make a recorder the default one and end the one before, unless a test reads that; return the default one."""
    global _default  # noqa: PLW0603 - the one piece of module state
    with _default_lock:
        old = _default
        if old is not None and old.stays:
            return old
        _default = recorder
    if old is not None and old is not recorder:
        old.retire(recorder)
    return recorder


def swap(recorder: Recorder | None) -> Recorder | None:
    """Make a recorder the default one and return the one before, which stays as it is (for tests)."""
    global _default
    with _default_lock:
        old, _default = _default, recorder
    return old


def discard() -> None:
    """Forget this process's recorder, delivered or not: the next use makes one from the environment (for tests)."""
    global _default
    with _default_lock:
        old, _default = _default, None
    if old is not None:
        old.forget()


def _after_fork_in_child() -> None:
    global _default_lock  # noqa: PLW0603 - another thread may have held it
    _default_lock = threading.RLock()
    if _default is not None:
        _default.forked()


def _after_fork_in_parent() -> None:
    if _default is not None:
        _default.has_forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child, after_in_parent=_after_fork_in_parent)
