"""Take Celery's tasks into the run they are published in: `instrument("celery")`, in the producer and in the worker.

Each task is a step of that run, wherever its worker is; a retry is another attempt of the same step. A task published
outside of a run is left alone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mission_tracer import _context, recorder
from mission_tracer._context import HEADER
from mission_tracer._scopes.carrier import describe
from mission_tracer._scopes.share import Share, join
from mission_tracer.integrations._patches import ours, require
from mission_tracer.steps import Step

signals = require("celery.signals", "5.3")
Retry: type[Exception] = require("celery.exceptions", "5.3").Retry

_ID = 8  # characters of a task's id that tell its step from others of its name


def install(_name: str) -> Callable[[], None]:
    """Put the current run into every task that is published, and take up the run of every task that is executed."""
    tasks = _Tasks()
    hooks = [
        (signals.before_task_publish, tasks.publish),
        (signals.task_prerun, tasks.begin),
        (signals.task_retry, tasks.retry),
        (signals.task_failure, tasks.fail),
        (signals.task_postrun, tasks.end),
        (signals.worker_process_init, tasks.enter_process),
        (signals.worker_process_shutdown, tasks.leave_process),
    ]
    for signal, hook in hooks:
        signal.connect(hook, weak=False)

    def undo() -> None:
        for signal, hook in hooks:
            signal.disconnect(hook)

    return undo


@dataclass(slots=True)
class _Task:
    """One task under way."""

    step: Step
    inside: Share
    before: Any
    joined: Share | None
    began: float
    reason: str | BaseException | None = None


class _Tasks:
    """Know the tasks under way in this process by their ids, and do what Celery's signals call for."""

    def __init__(self) -> None:
        self._under_way: dict[str, _Task] = {}

    @ours
    def publish(self, *, headers: Any = None, **_more: Any) -> None:
        """Put the current run into a task's headers; a retry carries them on already."""
        if isinstance(headers, dict) and HEADER not in headers and not _context.quiet.get():
            text = describe(_context.current())
            if text is not None:
                headers[HEADER] = text

    @ours
    def begin(self, *, task_id: str, task: Any, args: Any = (), kwargs: Any = None, **_more: Any) -> None:
        """Enter the step of a task that begins."""
        carried = task.request.get(HEADER) or (task.request.headers or {}).get(HEADER)
        joined = join({HEADER: carried}) if isinstance(carried, str) else None
        scope = joined.scope if joined is not None else _context.current()  # that of a task called in place
        if scope is None:
            return
        run, parent = (scope.run, scope) if isinstance(scope, Step) else (scope, None)
        name = f"{task.name.rpartition('.')[2]}-{task_id[:_ID]}"
        about = run.recorder.capture.text(task.name)
        step = run.enter_step(name, about, parent, repeat=None, metadata=_about(task, task_id))
        arguments = run.recorder.capture.arguments(task.run, tuple(args or ()), dict(kwargs or {}))
        if arguments:
            step.metadata(arguments=arguments)
        inside = Share(step, _context.owner.get())
        self._under_way[task_id] = _Task(step, inside, inside.enter(), joined, time.perf_counter())

    @ours
    def retry(self, *, request: Any = None, reason: Any = None, **_more: Any) -> None:
        """Note that a task will be tried again."""
        found = self._under_way.get(request.id)
        if found is not None:
            found.reason = f"retrying: {found.step.run.reason(_cause(reason))}"

    @ours
    def fail(self, *, task_id: str, exception: Any = None, **_more: Any) -> None:
        """Note what a task raised."""
        found = self._under_way.get(task_id)
        if found is not None and isinstance(exception, BaseException):
            found.reason = exception
            found.step.run.note_error(exception, found.step.id, since=found.began)

    @ours
    def end(self, *, task_id: str, retval: Any = None, state: Any = None, **_more: Any) -> None:
        """Leave the step of a task that is over."""
        if state is None:
            self._take_passing(task_id, sys.exc_info()[1])
        found = self._under_way.pop(task_id, None)
        if found is None:
            return
        found.inside.leave(found.before)
        try:
            if found.reason is not None:
                found.step.fail(found.reason)
            else:
                if retval is not None and found.step.run.recorder.capture.mode == "full":
                    found.step.metadata(result=retval)
                found.step.end()
        finally:
            if found.joined is not None:
                found.joined.end()

    def _take_passing(self, task_id: str, error: BaseException | None) -> None:
        """Note what passes through a task that is executed in place and propagates: no signal tells it."""
        found = self._under_way.get(task_id)
        if found is None or found.reason is not None or error is None:
            return
        if isinstance(error, Retry):
            found.reason = f"retrying: {found.step.run.reason(_cause(error))}"
        else:
            self.fail(task_id=task_id, exception=error)

    @ours
    def enter_process(self, **_more: Any) -> None:
        """Begin to deliver before the first task: what that needs takes long to import."""
        recorder.default().start()

    @ours
    def leave_process(self, **_more: Any) -> None:
        """Deliver what can be delivered: a worker's process leaves past `atexit`."""
        recorder.default().exit()


def _about(task: Any, task_id: str) -> dict[str, Any]:
    request = task.request
    about = {"task": task.name, "id": task_id, "retries": request.retries or 0, "worker": request.hostname}
    return {"celery": {name: value for name, value in about.items() if value is not None}}


def _cause(reason: Any) -> Any:
    """Return what a retry was asked for with: the exception inside Celery's own, if it has one."""
    cause = getattr(reason, "exc", None)
    return cause if isinstance(cause, BaseException) else reason if isinstance(reason, BaseException) else str(reason)
