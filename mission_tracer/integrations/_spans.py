"""Record the spans of a framework: one is a run, a step, a tool call or an answer of a model, or nothing of ours."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Mapping
from enum import Enum
from typing import Any

from mission_tracer import _context, facts, recorder
from mission_tracer._base.endings import is_cancellation
from mission_tracer.integrations._span_events import (
    Answer,
    Call,
    Scope,
    arguments_of,
    split,
    usage_of,
    write_answer,
)
from mission_tracer.opening import open_run
from mission_tracer.runs import Run
from mission_tracer.steps import Step
from mission_tracer.tools import KnownCall

__all__ = [
    "AbandonedError",
    "Answer",
    "Call",
    "Kind",
    "Node",
    "Scope",
    "Spans",
    "arguments_of",
    "is_within",
    "name_for",
    "record_answer",
    "split",
    "usage_of",
]

_LONGEST_NAME = 200  # characters


class Kind(Enum):
    """What a span is to us."""

    AGENT = "agent"
    CHAIN = "chain"
    TOOL = "tool"
    MODEL = "model"
    EVENT = "event"
    OTHER = "other"


class AbandonedError(asyncio.CancelledError):
    """A span was given up: it did not end before what it is a part of."""

    __module__ = "mission_tracer"  # a run's error shows the name, not where it is defined


class Node:
    """One span under way.

    Args:
        name: What it is called.
        parent: The span it is a part of; `None`: none that we know.
        here: The run or step of the context it began in.
        kind: What it is; `None`: not known yet.
    """

    __slots__ = (
        "__weakref__",
        "about",
        "announced",
        "answer",
        "began",
        "call",
        "children",
        "claimed",
        "ended",
        "family",
        "handled",
        "here",
        "is_late",
        "kind",
        "known",
        "logged",
        "name",
        "parent",
        "restore",
        "retold",
        "scope",
        "silent",
        "source",
    )

    def __init__(self, name: str, parent: Node | None, here: Scope | None, kind: Kind | None = None) -> None:
        self.name = name
        self.parent = parent
        self.here = here
        self.kind = kind
        self.scope: Scope | None = None  # the run or step it is
        self.call: Call | None = None  # the tool call it is
        self.known = KnownCall()  # for a decorated function that is the same call
        self.answer: str | None = None  # the last text a model answered inside it
        self.children: set[Node] = set()
        self.about: dict[str, Any] = {}  # what an error of it says beside itself
        self.announced: list[dict[str, Any]] = []  # the tool calls that its model asked for last
        self.logged: set[str] = set() if parent is None else parent.logged
        self.retold: dict[str, BaseException] = {} if parent is None else parent.retold
        self.claimed = 0  # the highest rank of who was told that the call is its own
        self.began = time.perf_counter()
        self.handled = id(sys.exc_info()[1])
        self.family = ""  # who makes spans like it
        self.is_late = False  # it was entered as a step some time after it began
        self.ended = False
        self.silent: bool = parent is not None and parent.silent
        self.restore: list[tuple[Any, Any, Any]] = []
        self.source: weakref.ref[Any] | None = None
        if parent is not None:
            parent.children.add(self)

    # ---- where it stands ----

    @property
    def place(self) -> Scope | None:
        """The run or step it belongs to; `None`: it stands outside of every run."""
        above = self.parent
        while above is not None and above.scope is None:
            above = above.parent
        if above is None or above.scope is None:
            return self.here
        return self.here if self.here is not None and is_within(self.here, above.scope) else above.scope

    @property
    def is_run(self) -> bool:
        """Whether it is a run of its own."""
        return isinstance(self.scope, Run)

    def raised(self) -> BaseException | None:
        """Return the exception that is ending it, if one is: not one that was being handled when it began."""
        error = sys.exc_info()[1]
        return None if error is None or id(error) == self.handled else error

    def failure(self, kind: str, message: str, trace: str | None = None) -> BaseException:
        """Return the exception that a framework reported in words; the same one when it reports it again."""
        return self.retold.setdefault(f"{kind}: {message}", _rebuilt(kind, message, trace))

    # ---- beginning ----

    def open_run(
        self, mission: str, *, values: Mapping[str, Any] | None = None, metadata: Mapping[str, Any] | None = None
    ) -> None:
        """Make it a run of its own."""
        recording = recorder.default()
        shown = arguments_of(recording.capture, values) if values else None
        spec = facts.MissionSpec(recording.capture.text(mission, max_chars=_LONGEST_NAME))
        self.scope = open_run(recording, spec, values=shown, metadata=metadata, detached=True)

    def enter_step(self, place: Scope) -> None:
        """Make it a step."""
        run, parent = split(place)
        name = run.recorder.capture.text(self.name, max_chars=_LONGEST_NAME)
        self.scope = run.enter_step(name, None, parent, repeat=None, metadata={})

    def call_tool(self, place: Scope, arguments: Mapping[str, Any], *, call_id: str | None = None) -> None:
        """Make it a tool call, unless it is one already."""
        if self.call is None and not self.ended:
            self.call = Call(place, self.name, arguments, call_id=call_id, began=self.began, known=self.known)

    def hold(self, variable: Any, value: Any) -> None:
        """Set a context variable until the span ends."""
        self.restore.append((variable, value, variable.get()))
        variable.set(value)

    def claim(self, rank: int) -> bool:
        """Say whether a call inside it is its own: the first one of a rank."""
        is_first = rank > self.claimed
        self.claimed = max(rank, self.claimed)
        return is_first

    # ---- ending ----

    def release(self) -> None:
        """Set the context variables back that are still as the span set them; in another context they are not."""
        for variable, value, before in reversed(self.restore):
            if variable.get() is value:
                variable.set(before)
        self.restore = []

    def end(self, result: Any = None, error: BaseException | None = None) -> None:
        """Record how it ended, and give up what is still open inside it if that cannot end any more."""
        if self.ended:
            return
        self.ended = True
        self.release()
        if self.parent is not None:
            self.parent.children.discard(self)
        if self.is_run or error is not None:
            self.abandon(error)
        if self.call is not None:
            self.call.end(result, error)
        if error is not None:
            self._note(error)
        if isinstance(self.scope, Step):
            self._leave(self.scope, error)
        elif self.scope is not None:
            self._close(self.scope, result, error)

    def dissolve(self) -> None:
        """Forget that it was there: what is open inside it belongs to what it was a part of."""
        self.ended = True
        self.release()
        if self.parent is not None:
            self.parent.children.discard(self)
            self.parent.children |= self.children

    def abandon(self, error: BaseException | None = None) -> None:
        """End everything that is open inside it."""
        why: BaseException = AbandonedError("it did not end before what it is a part of")
        if error is not None and is_cancellation(error):  # a failure is that of another one inside
            why = error
        for child in list(self.children):
            if child.kind is Kind.MODEL and not child.silent and is_cancellation(why):
                record_answer(child, Answer(model=child.about.get("model")), cancelled=True)
            child.end(None, why)

    def _note(self, error: BaseException) -> None:
        """Log an error where it came up, and not again on its way up."""
        place = self.scope or self.place
        if place is None or is_cancellation(error):
            return
        run, step = split(place)
        said = run.recorder.capture.error(error)
        is_new = self.kind is Kind.MODEL or said not in self.logged
        self.logged.add(said)
        if self.call is None and is_new:
            run.note_error(error, step.id if step is not None else None, since=self.began, **self.about)

    def _leave(self, step: Step, error: BaseException | None) -> None:
        if not self.is_late:
            step.end(None, error)
            return
        run, took = step.run, time.perf_counter() - self.began
        capture = run.recorder.capture
        run.leave_step(
            step.id,
            "completed" if error is None else "failed",
            round(took * 1000, 3),
            None if error is None else run.reason(error),
            None if error is None else capture.exception(error),
            {},
        )

    def _close(self, run: Run, result: Any, error: BaseException | None) -> None:
        if error is None:
            run.end(result)
        elif is_cancellation(error):
            run.end(None, error)
        else:
            # `_note` has logged it, here or where it came up.
            run.fail(run.reason(error))
            run.end()


class Spans:
    """Keep the spans under way of one processor.

    Span hooks run on every thread; each span's entry is touched by its own start and end, and dictionaries need no lock
    for that. A forked child begins with none: what its parent began, its parent ends.
    """

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._pid = os.getpid()
        self.lock = threading.RLock()
        """For those who decide what a span of another thread is."""
        self._nodes: dict[Any, Node] = {}
        self._over: weakref.WeakSet[Any] = weakref.WeakSet()
        self._dropped: deque[Any] = deque()

    def here(self) -> Scope | None:
        """Return the innermost run or step of this context that is not over."""
        self.sweep()
        current: Scope | None = _context.current()
        scope = current
        while scope is not None and scope in self._over:
            scope = scope.outer
        if scope is not current and _context.scope.get() is current:
            # A span that ended in another context could not set this one back.
            _context.scope.set(scope)
        return scope

    def get(self, key: Any) -> Node | None:
        """Return a span under way."""
        return self._own().get(key)

    def _own(self) -> dict[Any, Node]:
        if self._pid != os.getpid():
            self._forget()
        return self._nodes

    def add(self, key: Any, node: Node, source: Any) -> None:
        """Keep a span until it ends, or until nobody has it any more."""
        nodes, dropped = self._own(), self._dropped
        # No more than a note: it runs wherever the collector does, maybe in the middle of recording.
        node.source = weakref.ref(source, lambda _: dropped.append(key))
        nodes[key] = node

    def take(self, key: Any) -> Node | None:
        """Return a span that ends, and forget it."""
        return self._own().pop(key, None)

    def release(self, node: Node) -> None:
        """Set the context back as it was before a span, as far as that is not over by now."""
        node.release()
        self.here()

    def end(self, node: Node, result: Any = None, error: BaseException | None = None) -> None:
        """End a span."""
        if node.scope is not None:
            self._over.add(node.scope)
        node.end(result, error)

    def sweep(self) -> None:
        """End the spans that nobody has any more."""
        while self._dropped:
            node = self.take(self._dropped.popleft())
            if node is not None and not node.ended:
                self.end(node, None, AbandonedError("its span was dropped before it ended"))

    def close(self) -> None:
        """End every span that is still under way."""
        for key in list(self._own()):
            node = self.take(key)
            if node is not None and not node.ended:
                self.end(node, None, AbandonedError("its processor was shut down before it ended"))

    def __len__(self) -> int:
        return len(self._nodes)


def is_within(inner: Scope, outer: Scope) -> bool:
    """Say whether a scope is another one, or a part of it."""
    run, step = split(inner)
    outer_run, outer_step = split(outer)
    if run is not outer_run:
        above = run.parent
        while above is not None and above is not outer_run:
            above = above.parent
        return above is not None
    while step is not None and step is not outer_step:
        step = step.parent
    return outer_step is None or step is outer_step


def record_answer(node: Node, answer: Answer, *, cancelled: bool = False) -> None:
    """Log what a model answered where its span stands, and note it as the last word of all that the span is a part of.

    Args:
        node: The call of the model.
        answer: What it answered, or had answered when it was cancelled.
        cancelled: True: nobody waited for all of it.
    """
    place = node.place
    if place is not None:
        write_answer(place, answer, cancelled=cancelled)
    above: Node | None = node
    while above is not None and answer.text:
        above.answer = answer.text
        above = above.parent


def name_for(name: object, kind: str) -> str:
    """Return a name that can be a step's or a mission's."""
    text = name.strip() if isinstance(name, str) else ""
    return text if text not in {"", ".", ".."} else kind


def _rebuilt(kind: str, message: str, trace: str | None) -> BaseException:
    """Make an exception of which only words are left; it reads as the one it was."""
    name = kind.rpartition(".")[2] or "Error"
    if name in {"CancelledError", "KeyboardInterrupt", "GeneratorExit"}:
        return asyncio.CancelledError(message)
    error: Exception = type(name, (Exception,), {"__module__": "builtins"})(message)
    if trace:
        error.__notes__ = [trace]  # type: ignore[attr-defined]  # 3.10 has no add_note
    return error
