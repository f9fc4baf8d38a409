"""Follow what LangChain begins and ends: which chain, model or tool is part of which, and of which run or step of ours.

One `Track` is one LangChain run, from its first hook to its last. Tracks are kept by the id of the LangChain run and
never in one shared field, so that any number of them may be under way side by side.
"""

from __future__ import annotations

import contextlib
import sys
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from langchain_core.runnables.config import var_child_runnable_config

from mission_tracer import _context, recorder
from mission_tracer._base.endings import is_cancellation
from mission_tracer._base.ownership import Rank, may_record
from mission_tracer.integrations._langchain.awaited import running_loop, watch_awaited
from mission_tracer.integrations._langchain.paused import Paused
from mission_tracer.integrations._langchain.place import Mark, Place, here
from mission_tracer.integrations._model_streams import Pieces
from mission_tracer.integrations._spans import AbandonedError, Scope, is_within, split
from mission_tracer.runs import Run
from mission_tracer.steps import Step
from mission_tracer.tools import KnownCall

Kind: TypeAlias = Literal["chain", "node", "tool", "model"]


@dataclass(slots=True, eq=False)
class Stop:
    """Where a graph stopped: the steps left open by the names of their tasks, and the tool calls that had begun."""

    steps: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    questions: list[Any] = field(default_factory=list)
    reason: str = ""

    def merge(self, inner: Stop) -> None:
        """Take in where a part of it stopped."""
        self.steps.update(inner.steps)
        self.calls.extend(call for call in inner.calls if call not in self.calls)
        self.questions.extend(one for one in inner.questions if all(one is not known for known in self.questions))
        self.reason = self.reason or inner.reason


class Track:
    """One chain, node of a graph, tool or model that is under way.

    Args:
        key: Names it in its table.
        kind: What it is.
        name: What it is called.
        parent: What it is a part of; `None`: nothing that is known.
        scope: The run or step that its events belong to.
    """

    __slots__ = (
        "__weakref__",
        "about",
        "announced",
        "began",
        "children",
        "enclosing",
        "is_open",
        "is_stream",
        "key",
        "kind",
        "known",
        "name",
        "namespace",
        "parent",
        "place",
        "raised",
        "resumed",
        "run",
        "said",
        "scope",
        "step",
        "stop",
        "thread",
        "watches",
    )

    def __init__(self, key: int, kind: Kind, name: str, parent: Track | None, scope: Scope) -> None:
        self.key = key
        self.kind: Kind = kind
        self.name = name
        self.parent = parent
        self.scope = scope
        self.run: Run | None = None  # the run it opened
        self.step: Step | None = None  # the step it entered
        self.place: Place | None = None
        self.known = KnownCall() if kind in {"node", "tool"} else None  # for a decorated function that is the same call
        self.raised: BaseException | None = None  # and what that raised
        self.children: dict[int, Track] = {}
        self.about: dict[str, Any] = {}
        self.said = Pieces()  # the words of a model that streams its answer
        self.announced: list[tuple[str, str]] = []  # tools that a model called, with the ids it gave to the calls
        self.namespace: str = parent.namespace if parent is not None else ""
        self.thread: str | None = None
        self.stop: Stop | None = None  # a graph stopped inside it, to go on later
        self.resumed: Paused | None = None  # it goes on where a graph had stopped
        self.enclosing: int | None = None
        self.is_stream = False
        self.began = time.perf_counter()
        self.is_open = True
        self.watches: list[weakref.ref[Any]] = []  # on what lives as long as it does

    @property
    def duration_ms(self) -> float:
        """How long it is under way, in milliseconds."""
        return round((time.perf_counter() - self.began) * 1000, 3)

    @property
    def step_id(self) -> str | None:
        """The id of the step that its events are linked to."""
        return self.scope.id if isinstance(self.scope, Step) else None

    @property
    def stopped(self) -> Stop:
        """Where it stopped; asking says that it did."""
        self.stop = self.stop or Stop()
        return self.stop

    def resumption(self) -> Paused | None:
        """Return what it, or what it is a part of, goes on with; `None`: nothing."""
        track: Track | None = self
        while track is not None and track.resumed is None:
            track = track.parent
        return None if track is None else track.resumed

    def thread_above(self) -> str | None:
        """Return the thread of the graph that it is a part of, or is."""
        track: Track | None = self
        while track is not None and track.thread is None:
            track = track.parent
        return None if track is None else track.thread

    def write(self, kind: str, summary: str, payload: Mapping[str, Any]) -> None:
        """Log an event of it; the payload may be any values."""
        run, step = split(self.scope)
        run.log_event(summary, type=kind, payload=payload, step=step)

    def note_error(self, error: BaseException, **about: Any) -> None:
        """Log an error where it came up, and not again on its way up."""
        run, step = split(self.scope)
        # The error of another attempt often has the address, the type and the line of the one before: only what was
        # logged since this began is the same one on its way up.
        run.note_error(error, step.id if step is not None else None, since=self.began, **about)


class Tracks:
    """Keep the tracks of one handler.

    Args:
        abandon: Ends a track that will never be ended by a hook.
    """

    def __init__(self, abandon: Callable[[Track, BaseException], None]) -> None:
        self._abandon = abandon
        self._open: dict[int, Track] = {}
        self._lost: deque[int] = deque()

    def __len__(self) -> int:
        return len(self._open)

    def get(self, run_id: Any) -> Track | None:
        """Return the track of a LangChain run; `None`: it is not followed, or over."""
        return None if run_id is None else self._open.get(key_of(run_id))

    # ---- beginning ----

    def place(self, run_id: Any, parent_run_id: Any, *, batch: int = 1) -> tuple[Track | None, Scope | None] | None:
        """Say what a LangChain run that begins now is a part of: of which track, and of which run or step.

        Args:
            run_id: Its id.
            parent_run_id: The id of what it is a part of; `None`: the framework knows none.
            batch: How many calls of a model begin together.

        Returns:
            `None`: it is not ours to record.
        """
        self.sweep()
        key = key_of(run_id)
        if key in self._open or _is_held(key):
            return None
        parent = self.get(parent_run_id)
        if parent is None:
            if not _is_free(batch):
                return None
            # The framework may have lost it, for instance where a call brings its own callbacks.
            parent = self._open.get(_enclosing() or 0)
        if parent is None:
            return None, _scope_here()
        if parent.kind == "model":
            return None
        current = _context.current()
        return parent, current if current is not None and is_within(current, parent.scope) else parent.scope

    def add(self, run_id: Any, track: Track, *, scope: Scope | None, owns: bool = False, inner: bool = True) -> None:
        """Follow a track from now on.

        Args:
            run_id: The id of its LangChain run.
            track: The track.
            scope: The run or step that is current inside it; `None`: the one that is current already.
            owns: True: weaker integrations leave the calls inside it alone.
            inner: False: nothing that begins inside it is looked for in its context.
        """
        track.enclosing = _enclosing()
        if track.parent is not None:
            track.parent.children[track.key] = track
        self._watch(run_id, track)
        self._open[track.key] = track
        wanted = scope if scope is not None and _context.current() is not scope else None
        track.place = Place(track, wanted, owns=owns, inner=inner, call=track.known)

    def _watch(self, run_id: Any, track: Track) -> None:
        """Notice when a call is given up: a model or tool that is cancelled while it is awaited tells no handler."""
        lost, loop = self._lost, running_loop()

        def gone(_: Any, key: int = track.key) -> None:
            # No more than a note: it runs wherever the collector does, maybe in the middle of recording.
            lost.append(key)
            if loop is not None:
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(self.sweep)

        with contextlib.suppress(TypeError):
            track.watches.append(weakref.ref(run_id, gone))
        if loop is not None and track.kind in {"tool", "model"}:
            watch_awaited(loop, gone, track.watches)

    # ---- ending ----

    def take(self, run_id: Any, error: BaseException | None = None) -> Track | None:
        """Return a track that ends, and follow it no more; `None`: it was not followed.

        Args:
            run_id: The id of its LangChain run.
            error: What it ends with; `None`: nothing is wrong.
        """
        self.sweep()
        return self._take(key_of(run_id), error)

    def _take(self, key: int, error: BaseException | None) -> Track | None:
        track = self._open.pop(key, None)
        if track is None:
            return None
        above = track.parent
        if above is not None:
            above.children.pop(key, None)
        if track.run is not None or (error is not None and (above is None or is_cancellation(error))):
            self._give_up(track, error)
        elif above is not None:
            # What goes on in the background is recorded as long as its run is.
            above.children.update(track.children)
        track.is_open = False
        if track.known is not None:
            track.raised = track.known.end()
        track.watches.clear()
        if track.place is not None:
            track.place.leave()
        return track

    def _give_up(self, track: Track, error: BaseException | None) -> None:
        """End everything that is open inside a track."""
        for key in list(track.children):
            child = self._open.get(key)
            if child is not None:
                self._give_up(child, error)
                self._drop(key, error or AbandonedError("it did not end before what it is a part of"))

    def _drop(self, key: int, why: BaseException) -> None:
        track = self._take(key, None)
        if track is not None:
            try:
                self._abandon(track, why)
            except Exception as error:  # noqa: BLE001 - it happens in the middle of what has nothing to do with it
                recorder.default().trouble(error, "langchain.give_up")

    def sweep(self) -> None:
        """End the tracks that no hook will end any more."""
        while self._lost:
            with contextlib.suppress(IndexError):  # another thread may be quicker
                self._drop(self._lost.popleft(), AbandonedError("it was given up"))


def key_of(run_id: Any) -> int:
    """Return what a LangChain run is kept under."""
    # Never the id itself: that it is gone is how an abandoned call is noticed.
    number: int = run_id.int
    return number


def _enclosing() -> int | None:
    """Return the LangChain run whose body this context is, as the framework keeps it."""
    config = var_child_runnable_config.get()
    callbacks = config.get("callbacks") if config else None
    run_id = getattr(callbacks, "parent_run_id", None)
    return None if run_id is None else key_of(run_id)


def _is_held(key: int) -> bool:
    """Say whether another handler of ours records it already."""
    place, owner = here.get(), _context.owner.get()
    holder = owner.holder if isinstance(owner, Mark) else None
    return any(getattr(one, "key", None) == key for one in (place and place.holder, holder))


def _is_free(batch: int) -> bool:
    """Say whether a call that the framework knows no parent of is ours to record."""
    owner = _context.owner.get()
    holder = getattr(owner, "holder", None)
    if not owner or not isinstance(holder, Track) or _context.quiet.get():
        return may_record(Rank.FRAMEWORK)
    # What a tool of ours does is recorded; what a model does inside its call is not, but its siblings of a batch are.
    return holder.kind == "tool" or (batch > 1 and holder.about.get("batch") == batch)


def _scope_here() -> Scope | None:
    """Return the run or step that a call without a parent belongs to.

    Calls of a batch begin one after the other in the same context, before the body of any: what one of them made
    current there is nothing to the others.
    """
    enclosing, place, scope = _enclosing(), here.get(), _context.current()
    while isinstance(place, Place):
        holder: Any = place.holder
        if holder.is_open and (holder.enclosing != enclosing or _is_blind()):
            break
        scope, place = place.passed(scope), place.outer
    found: Scope | None = scope if scope is not None else _context.process.scope
    return found


def _is_blind() -> bool:
    """Say whether the framework does not tell which body this is: before 3.11 it cannot under asyncio."""
    return sys.version_info < (3, 11) and running_loop() is not None
