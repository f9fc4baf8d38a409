"""Take part in a run that was opened elsewhere: in another block, another thread, process or machine."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from mission_tracer import _context, facts, recorder
from mission_tracer._scopes.carrier import Carrier, UnreadableError, read
from mission_tracer.runs import Run
from mission_tracer.steps import Step

_KEPT = 64  # how many runs opened elsewhere are kept at hand


class _Shares:
    """Hold on to runs that were opened elsewhere, so that the next block of the same run finds it at hand."""

    def __init__(self) -> None:
        self.kept: deque[Run] = deque(maxlen=_KEPT)
        self.begin()

    def begin(self) -> None:
        # In a forked child too: another thread may have held it. The garbage collector may end a block in the middle.
        self.lock = threading.RLock()


_shares = _Shares()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_shares.begin)


class Share:
    """Make a run or step current for one call or block, wherever that runs.

    Args:
        scope: The run or step.
        owner: The rank of the integration that records the call under way (`_base.ownership`); `None`: none does.
        joined: The run that this takes part in until `end`; `None`: the scope ends elsewhere.
    """

    __slots__ = ("_owner", "joined", "scope")

    def __init__(self, scope: Run | Step, owner: int | None, *, joined: Run | None = None) -> None:
        self.scope = scope
        self._owner = owner
        self.joined = joined

    def enter(self) -> Any:
        """Make it the current scope; return what was before."""
        before = _context.scope.get(), _context.owner.get()
        _context.scope.set(self.scope)
        _context.owner.set(self._owner)
        return before

    def leave(self, before: Any) -> None:
        """Make current again what was before, as `Current.leave` does."""
        if _context.is_in(self.scope):
            _context.scope.set(before[0])
            _context.owner.set(before[1])

    def follow(self) -> None:
        """Want no items of a generator."""

    def end(self, result: Any = None, error: BaseException | None = None) -> None:
        """Stop taking part; the last one to stop lets go of a journal that others began."""
        run, self.joined = self.joined, None
        if run is None:
            return
        with _shares.lock:
            run.joins -= 1
            last = run.joins == 0
        if last and run.is_joined and run.stream is not None:
            run.recorder.leave(run.stream)

    @property
    def run(self) -> Run:
        """The run itself."""
        return self.scope.run if isinstance(self.scope, Step) else self.scope

    def begin(self, function: Callable[..., Any], args: Any, kwargs: Any, *, bound: bool) -> Share:
        """Be the scope of each call."""
        return self


def join(carrier: Carrier) -> Share | None:
    """Take part in the run that a carrier names, until `end`; `None` when it names none. Never raises."""
    recording = recorder.default()
    if not recording.enabled or carrier is None:
        return None
    try:
        named = read(carrier)
        if named is None:
            return None
        with _shares.lock:
            run = recording.runs.get(named["key"]) or _open(recording, named)
            run.joins += 1
        scope = Step.elsewhere(run, named["step"]) if "step" in named else run
        return Share(scope, _context.owner.get(), joined=run)
    except UnreadableError as error:
        recording.notices.say(
            "warning", "a carrier names no run that can be continued", cause="carrier", why=str(error)
        )
    except Exception as error:  # noqa: BLE001 - our own errors stay ours
        recording.trouble(error, "continue_run")
    return None


def _open(recording: recorder.Recorder, named: dict[str, str]) -> Run:
    key, name = named["key"], named.get("name", "")
    here = recording.directory is not None and recording.directory.find(key) is not None
    # Two streams of one run that live in memory only would hide each other.
    streams = recording.roster.streams() if recording.directory is None else []
    stream = next((stream for stream in streams if stream.key == key), None)
    known = here or stream is not None
    stream = stream or recording.open_stream(key, create=not here)
    stream.shared = True
    run = Run(recording, stream, name=name)
    run.is_joined = True
    if here:
        stream.journal.open()
    elif not known:
        recording.record(
            stream,
            facts.RunJoined,
            key=key,
            mission=facts.MissionSpec(name, id=named.get("mission_id")),
            base_url=recording.settings.base_url if recording.settings.api_key else None,
            sends=recording.sends,
            run_id=named.get("run_id"),
        )
    recording.runs[key] = run
    _shares.kept.append(run)
    return run
