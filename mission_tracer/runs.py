"""Give the user a handle on the run under way."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from mission_tracer import facts
from mission_tracer._base.checks import check_name
from mission_tracer._base.endings import is_cancellation, is_good_exit
from mission_tracer._base.forks import is_elsewhere, process_id
from mission_tracer._base.guard import guarded
from mission_tracer._disk.stream import Stream
from mission_tracer._handles.binding import Bound
from mission_tracer._handles.events import check_event, read_event
from mission_tracer._handles.outcome import Outcome, say
from mission_tracer._handles.seen_errors import SeenErrors
from mission_tracer._handles.shared_steps import SharedSteps
from mission_tracer._handles.step_table import Repeat, StepTable
from mission_tracer.facts import StepEntered, StepLeft
from mission_tracer.plans import PlanItem, planned_step, without_secrets
from mission_tracer.recorder import Recorder
from mission_tracer.steps import Step


class Run(Bound):
    """Record what belongs to one run of a mission.

    Made by `mission_run`, by `continue_run` and, for a run that records nothing, with no stream.

    Args:
        recorder: Takes the facts.
        stream: This process's share of the run; `None`: nothing is recorded.
        name: The mission's name.
        outer: The run or step this one was opened in; `None`: none.
    """

    __slots__ = (
        "__weakref__",
        "_agent_id",
        "_errors",
        "_is_ended",
        "_lock",
        "_outcome",
        "_process",
        "_sharing",
        "_table",
        "is_joined",
        "joins",
        "keeps_result",
        "name",
        "outer",
        "started",
    )

    def __init__(
        self, recorder: Recorder, stream: Stream | None, *, name: str, outer: Run | Step | None = None
    ) -> None:
        super().__init__(recorder, stream)
        self.name = name
        self.outer = outer
        self.is_joined = False
        self.keeps_result = True
        self.joins = 0  # how many blocks of this process take part in a run opened elsewhere
        self.started = time.perf_counter()
        self._process = process_id()
        self._agent_id = recorder.settings.agent_id
        self._table = StepTable()
        self._sharing: SharedSteps | None = None
        self._lock = threading.RLock()  # the garbage collector may end a generator's step in the middle of ours
        self._outcome = Outcome()
        self._is_ended = False
        self._errors = SeenErrors()

    # ---- identity ----

    @property
    def parent(self) -> Run | None:
        """The run this one was opened in; `None`: none."""
        return self.outer.run if isinstance(self.outer, Step) else self.outer

    # ---- recording ----

    def log_event(
        self,
        summary: str,
        *,
        type: str = "custom",
        payload: Mapping[str, Any] | None = None,
        step: Step | str | None = None,
        agent_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> None:
        """Log an event of the run.

        Args:
            summary: One line that says what happened.
            type: One of Telnyx's nine types (`EventType`); any other one is raised as an error when strict, and
                otherwise recorded as `custom` with `event_type` in the payload.
            payload: Details, any values; they are cut to the setting `max_payload_bytes` and redacted.
            step: The step it belongs to, or its id; `None`: none.
            agent_id: Who did it; `None`: the setting `agent_id`.
            idempotency_key: The event takes effect once per key; `None`: a key of its own.

        Raises:
            ValueError: `type` is not known, and the setting `strict` is on.
            TypeError: An argument has the wrong type, and the setting `strict` is on.
        """
        self.take_event(summary, type, payload, step, agent_id, idempotency_key)

    def take_event(self, summary: Any, type: Any, payload: Any, step: Any, agent_id: Any, idempotency_key: Any) -> None:
        """Log an event of the run as `log_event` does, which says what the arguments are."""
        stream = self.stream
        if stream is None:
            return
        recorder = self.recorder
        try:
            if isinstance(step, Step):
                step = step.id
            if recorder.settings.strict:
                check_event(type, summary, payload, step=step, agent_id=agent_id, idempotency_key=idempotency_key)
            kind, shown, details, step_id, agent, key = read_event(
                recorder.capture, type, summary, payload, step, agent_id or self._agent_id, idempotency_key
            )
            recorder.record_event(stream, kind, shown, details, step_id, agent, key)
        except Exception as error:  # noqa: BLE001 - the guard, without the cost of a wrapper
            recorder.trouble(error, "Run.log_event")

    def write_event(
        self,
        kind: str,
        summary: str,
        payload: dict[str, Any] | None,
        step_id: str | None,
        agent_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> None:
        """Record an event whose values are captured already."""
        stream = self.stream
        if stream is not None:
            self.recorder.record_event(
                stream, kind, summary, payload, step_id, agent_id or self._agent_id, idempotency_key
            )

    def _record(self, kind: Callable[..., facts.WrittenFact], **fields: Any) -> None:
        if self.stream is not None:
            self.recorder.record(self.stream, kind, **fields)

    @guarded()
    def plan(self, *steps: PlanItem) -> None:
        """Declare steps that are not entered yet; those of one call are sent in one request.

        Args:
            steps: Each an id, a pair of id and description, or a mapping (see `PlanItem`); known ones are left alone.

        Raises:
            TypeError, ValueError: A step has no usable id, and the setting `strict` is on.
        """
        fresh = []
        for step in steps:
            try:
                fresh.append(planned_step(step))
            except (TypeError, ValueError) as error:
                self.trouble(error, "Run.plan")  # the others are declared all the same
        self.plan_read(fresh)

    def plan_read(self, steps: list[facts.PlannedStep]) -> None:
        """Declare steps that were read already."""
        if self._is_over("a plan"):
            return
        shown = [without_secrets(step, self.recorder.capture) for step in steps]
        with self._lock:
            fresh = [step for step in shown if self._table.plan(step.step_id)]
        if fresh:
            self._record(facts.PlanDeclared, steps=fresh)

    @guarded()
    def add_agent(self, telnyx_agent_id: str) -> None:
        """Link a Telnyx agent to the run.

        Args:
            telnyx_agent_id: Telnyx's id of the agent.

        Raises:
            TypeError, ValueError: It is no usable id, and the setting `strict` is on.
        """
        self._record(facts.AgentLinked, telnyx_agent_id=self._agent(telnyx_agent_id))

    @guarded()
    def remove_agent(self, telnyx_agent_id: str) -> None:
        """Take a Telnyx agent off the run; one that is not linked is no error.

        Args:
            telnyx_agent_id: Telnyx's id of the agent.

        Raises:
            TypeError, ValueError: It is no usable id, and the setting `strict` is on.
        """
        self._record(facts.AgentUnlinked, telnyx_agent_id=self._agent(telnyx_agent_id))

    def _agent(self, telnyx_agent_id: str) -> str:
        return self.recorder.capture.name(check_name(telnyx_agent_id, "telnyx_agent_id"))

    @guarded()
    def pause(self) -> None:
        """Say that the run waits, for a person or another program; a paused run may outlive its process."""
        if not self._is_over("a pause"):
            self._record(facts.RunPaused)

    @guarded()
    def resume(self) -> None:
        """Say that the run goes on after `pause`."""
        if not self._is_over("a resumption"):
            self._record(facts.RunResumed)

    def _is_over(self, what: str) -> bool:
        """Say whether the run has ended here, and that what comes now comes too late."""
        if self._is_ended:
            said = f"{what} of a run that has ended is not recorded"
            self.recorder.notices.say("warning", said, cause=f"late {what}", run=self.key)
        return self._is_ended

    # ---- the end ----

    @guarded()
    def succeed(self, summary: str | None = None, payload: Mapping[str, Any] | None = None) -> None:
        """Let the run end as succeeded when its block ends.

        Args:
            summary: What came of it, for a person; `None`: made from the result.
            payload: What came of it, for a program; `None`: the result.
        """
        self._end_as(Outcome("succeeded", summary, payload))

    @guarded()
    def fail(self, error: str | BaseException) -> None:
        """Let the run end as failed when its block ends.

        Args:
            error: Why; an exception is also logged as an `error` event with its traceback, once.
        """
        self._end_as(Outcome("failed", error=self.reason(error)))
        if isinstance(error, BaseException):
            self.note_error(error, None)

    @guarded()
    def cancel(self) -> None:
        """Let the run end as cancelled when its block ends."""
        self._end_as(Outcome("cancelled"))

    def _end_as(self, outcome: Outcome) -> None:
        if self.is_joined:
            said = "how a run ends is up to the process that opened it: what is said of it here is not recorded"
            self.recorder.notices.say("warning", said, cause="foreign outcome", run=self.key)
        elif not self._is_over("an outcome"):
            self._outcome = outcome

    def reason(self, error: str | BaseException) -> str:
        """Say an error, or a reason given as text, in one line."""
        return say(error, self.recorder.capture)

    @guarded()
    def end(self, result: Any = None, error: BaseException | None = None) -> None:
        """Close the run, once: with what its block returned, or with what it raised.

        In a forked child that leaves the block, while its parent goes on in it, nothing ends.

        Args:
            result: What it returned; what was said by `succeed` counts more.
            error: What it raised; `None`: nothing.
        """
        if self.stream is None or self._is_ended or is_elsewhere(self._process):
            return
        self._is_ended = True
        capture = self.recorder.capture
        if error is not None and not is_good_exit(error):
            if not is_cancellation(error):
                self.note_error(error, None)
            ending = self._outcome.of_error(error, capture)
        else:
            kept = result if self.keeps_result else None
            ending = self._outcome.of_result(kept, time.perf_counter() - self.started, capture)
        self._record(facts.RunClosed, **ending)
        self.recorder.leave(self.stream)

    def note_error(self, error: BaseException, step_id: str | None, *, since: float = 0.0, **details: Any) -> bool:
        """Log an `error` event, unless this very error was logged where it came up; say whether it was logged now.

        Args:
            error: What was raised.
            step_id: The step it belongs to; `None`: none.
            since: When what it passes through began (`time.perf_counter()`): an error that was logged before that is
                another one, even if it looks the same. 0: it began before any error.
            details: More for the payload.
        """
        capture = self.recorder.capture
        is_new = self._errors.take(error, since=since)
        if is_new:
            self.write_event("error", capture.error(error), {**details, "error": capture.exception(error)}, step_id)
        return is_new

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until what this run recorded so far is delivered, or refused for good; say whether it is.

        Other runs are not waited for.

        Args:
            timeout: The longest wait, in seconds; `None`: the setting `flush_timeout`.
        """
        return self.recorder.flush(None if timeout is None else self.patience(timeout), keys={self.key})

    # ---- steps ----

    def enter_step(
        self,
        name: str,
        description: str | None,
        parent: Step | None,
        *,
        repeat: Repeat | None,
        metadata: Mapping[str, Any],
    ) -> Step:
        """Begin a step under a name.

        Args:
            name: The name.
            description: What it is about, captured already; `None`: its name.
            parent: The step it is a part of; `None`: none.
            repeat: See `plan_step`.
            metadata: Sent with the step's statuses; any values.
        """
        stream = self.stream
        name = self.recorder.capture.name(name)
        description = description or name
        if stream is not None and stream.shared and stream.journal.is_on_disk:
            record = functools.partial(self._record_entry, stream, name, description, parent)
            with self._lock:
                self._sharing = self._sharing or SharedSteps(stream, self._table)
                step_id, attempt = self._sharing.enter(name, repeat, record)
        else:
            with self._lock:
                step_id, attempt = self._table.enter(name, repeat)
            if stream is not None:
                self._record_entry(stream, name, description, parent, step_id, attempt)
        step = Step(self, step_id, parent, attempt)
        if metadata:
            step.metadata(**metadata)
        return step

    def _record_entry(
        self, stream: Stream, name: str, description: str, parent: Step | None, step_id: str, attempt: int
    ) -> None:
        fact_id, _, at = stream.stamp()
        above = parent.id if parent is not None else None
        known_as = name if name != step_id else None
        self.recorder.put(
            stream, StepEntered(step_id, description, above, attempt, known_as, self._agent_id, id=fact_id, at=at)
        )

    def leave_step(
        self,
        step_id: str,
        status: str,
        duration_ms: float,
        reason: str | None,
        error: dict[str, Any] | None,
        metadata: dict[str, Any],
    ) -> None:
        """End a step."""
        self._table.left(step_id, status)  # a single step of the interpreter: it needs no lock
        stream = self.stream
        if stream is not None:
            fact_id, _, at = stream.stamp()
            agent = self._agent_id
            self.recorder.put(
                stream, StepLeft(step_id, status, duration_ms, reason, error, metadata, agent, id=fact_id, at=at)
            )

    def forked(self) -> None:
        """Begin again in a forked child, where another thread may have held the lock."""
        self._lock = threading.RLock()  # the garbage collector may end a generator's step in the middle of ours
        self._sharing = None

    def __repr__(self) -> str:
        return f"<Run {self.key or 'not recorded'} of {self.name!r}>"
