"""Give the user a handle on the step under way."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mission_tracer._base.endings import is_good_exit
from mission_tracer._base.forks import is_elsewhere, known
from mission_tracer._base.guard import guarded
from mission_tracer._context import Current

if TYPE_CHECKING:
    from mission_tracer.runs import Run


class Step(Current):
    """Record what belongs to one step of a run's plan.

    Args:
        run: The step's run.
        step_id: Its id as sent.
        parent: The step it is a part of; `None`: none.
        attempt: 1, or more when it failed before.
    """

    __slots__ = (
        "__weakref__",
        "_ended",
        "_metadata",
        "_process",
        "_started",
        "attempt",
        "id",
        "keeps_result",
        "parent",
        "run",
    )

    def __init__(self, run: Run, step_id: str, parent: Step | None, attempt: int = 1) -> None:
        self.run = run
        self.id = step_id
        self.parent = parent
        self.attempt = attempt
        self.keeps_result = False
        self._metadata: dict[str, Any] | None = None
        self._started = time.perf_counter()
        self._process = known[0]  # whoever recorded the entry has seen to it
        self._ended = False

    @classmethod
    def elsewhere(cls, run: Run, step_id: str) -> Step:
        """Return a handle on a step that another process entered and will leave."""
        step = cls(run, step_id, None)
        step._ended = True
        return step

    def log_event(
        self,
        summary: str,
        *,
        type: str = "custom",
        payload: Mapping[str, Any] | None = None,
        agent_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> None:
        """Log an event of this step.

        Args and errors are those of `Run.log_event`, but that the step is this one.
        """
        self.run.take_event(summary, type, payload, self.id, agent_id, idempotency_key)

    def metadata(self, /, **values: Any) -> None:
        """Note values that are sent with the step's next status; later ones of a name win."""
        if self._ended:
            said = "metadata of a step that has ended, or that another process entered, is not recorded"
            self.run.recorder.notices.say("warning", said, cause="late metadata", step=self.id)
        else:
            self._metadata = {**(self._metadata or {}), **values}

    @guarded()
    def complete(self) -> None:
        """End the step as completed, before its block ends; the first end of a step counts."""
        self._leave("completed")

    @guarded()
    def fail(self, reason: str | BaseException) -> None:
        """End the step as failed, before its block ends.

        Args:
            reason: Why, as text or as an exception, which the step's `step_failed` event then has with its traceback.
        """
        self._leave("failed", reason)

    @guarded()
    def skip(self, reason: str | None = None) -> None:
        """End the step as skipped, before its block ends.

        Args:
            reason: Why; `None`: nothing is said.
        """
        self._leave("skipped", reason)

    @property
    def outer(self) -> Run | Step:
        """What it was opened in: the step it is a part of, else its run."""
        return self.parent or self.run

    def end(self, result: Any = None, error: BaseException | None = None) -> None:
        """End the step with its block: completed, or failed with what was raised.

        A generator whose consumer stopped early has done what was wanted of it, and so has a step that ends the program
        with exit status 0. In a forked child that leaves the block, while its parent goes on in it, nothing ends.

        Args:
            result: What the block's function returned; it goes into the metadata if it is wanted (`keeps_result`).
            error: What it raised; `None`: nothing.
        """
        try:
            if self._process != known[0] and is_elsewhere(self._process):
                return
            if error is None and self.keeps_result and not self._ended and self.run.recorder.capture.mode != "off":
                self.metadata(result=self.run.recorder.capture.result(result))
            if error is None or isinstance(error, GeneratorExit) or is_good_exit(error):
                self._leave("completed")
            else:
                self._leave("failed", error)
        except Exception as trouble:  # noqa: BLE001 - the guard, without the cost of a wrapper
            self.trouble(trouble, "Step.end")

    def trouble(self, error: Exception, where: str) -> None:
        """Take an error of ours, as the recorder does."""
        self.run.recorder.trouble(error, where)

    def _leave(self, status: str, reason: str | BaseException | None = None) -> None:
        run = self.run
        if self._ended or run.stream is None:
            return
        self._ended = True
        duration = int((time.perf_counter() - self._started) * 1_000_000) / 1000
        if reason is None and self._metadata is None:
            run.leave_step(self.id, status, duration, None, None, {})
            return
        capture = run.recorder.capture
        run.leave_step(
            self.id,
            status,
            duration,
            None if reason is None else run.reason(reason),
            capture.exception(reason) if isinstance(reason, BaseException) else None,
            capture.value(self._metadata) if self._metadata else {},
        )

    def __repr__(self) -> str:
        return f"<Step {self.id!r} of {self.run!r}>"
