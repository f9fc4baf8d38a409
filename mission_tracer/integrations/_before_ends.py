"""Tell whoever holds something back that a step, a run, a block or the process is about to end."""

from __future__ import annotations

import os
import weakref
from typing import Any, Protocol

from mission_tracer._recording.ends import at_exit, never_at_exit
from mission_tracer._scopes.share import Share
from mission_tracer.integrations._patches import Patches, ours
from mission_tracer.recorder import Recorder
from mission_tracer.runs import Run


class Holder(Protocol):
    """What holds something back."""

    def settle(self, run: Run | None = None, step_id: str | None = None) -> None:
        """Record what is held back: of one step, of a whole run, or of all."""


class BeforeEnds:
    """Know the holders, and hear of every end as long as there are any."""

    def __init__(self) -> None:
        self._holders: weakref.WeakSet[Any] = weakref.WeakSet()
        self._patches: Patches | None = None
        self._exit_pid = 0

    def add(self, holder: Holder) -> None:
        """Let a holder hear of the ends to come."""
        self._holders.add(holder)
        if self._patches is None:
            self._patches = Patches()
            self._patches.wrap(Run, "leave_step", self._step)
            self._patches.wrap(Run, "end", self._run)
            self._patches.wrap(Share, "end", self._block)
            for name in ("flush", "exit"):
                self._patches.wrap(Recorder, name, self._flush)

    def discard(self, holder: Holder) -> None:
        """Let a holder hear of them no more."""
        self._holders.discard(holder)
        if not self._holders and self._patches is not None:
            patches, self._patches = self._patches, None
            patches.undo()
            never_at_exit(self._settle_all)
            self._exit_pid = 0

    def expect_exit(self) -> None:
        """Hear of the end of this process, before the recorder does, which is to record something by now."""
        if self._exit_pid != os.getpid():
            self._exit_pid = os.getpid()
            # What is registered last is called first. The recorder's own call may have been registered before it was
            # wrapped.
            at_exit(self._settle_all)

    def _settle_all(self) -> None:
        self._settle(None)

    @ours
    def _settle(self, run: Run | None, step_id: str | None = None) -> None:
        for holder in list(self._holders):
            holder.settle(run, step_id)

    def _step(self, wrapped: Any, run: Run, args: Any, kwargs: Any) -> Any:
        self._settle(run, args[0] if args else kwargs.get("step_id"))
        return wrapped(*args, **kwargs)

    def _run(self, wrapped: Any, run: Run, args: Any, kwargs: Any) -> Any:
        self._settle(run)
        return wrapped(*args, **kwargs)

    def _block(self, wrapped: Any, share: Share, args: Any, kwargs: Any) -> Any:
        if share.joined is not None:
            self._settle(share.joined)
        return wrapped(*args, **kwargs)

    def _flush(self, wrapped: Any, _recorder: Recorder, args: Any, kwargs: Any) -> Any:
        self._settle(None)
        return wrapped(*args, **kwargs)


before_ends = BeforeEnds()
