"""Follow what LangChain begins, and decide what it is to us: a run, a step, a call, or a chain that is none of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mission_tracer import recorder
from mission_tracer._base.endings import is_cancellation, is_pause
from mission_tracer.integrations._langchain.content import inputs_of
from mission_tracer.integrations._langchain.events import give_up
from mission_tracer.integrations._langchain.graph import calling, is_interrupt, node_path, plan_of
from mission_tracer.integrations._langchain.runs import Opening, OwnRuns
from mission_tracer.integrations._langchain.tracks import Kind, Track, Tracks, key_of
from mission_tracer.integrations._spans import Scope, split
from mission_tracer.steps import Step


class Following:
    """Follow what one handler is told.

    Args:
        runs: Opens and ends the runs of what is a part of none.
        lone_calls: True: a model or tool that is called outside of every run gets a run of its own.
    """

    def __init__(self, runs: OwnRuns, *, lone_calls: bool) -> None:
        self.is_closed = False
        self._runs = runs
        self._lone_calls = lone_calls
        self._tracks = Tracks(give_up)

    def __len__(self) -> int:
        return len(self._tracks)

    def get(self, run_id: Any) -> Track | None:
        """Return what is under way under an id; `None`: nothing that is followed."""
        return self._tracks.get(run_id)

    def take(self, run_id: Any, error: BaseException | None = None) -> Track | None:
        """Return a call that ends, and follow it no more; `None`: it was not followed."""
        return self._tracks.take(run_id, error)

    def end(self, track: Track, result: Any, error: BaseException | None) -> None:
        """End the run of what was taken, if it has one."""
        self._runs.end(track, result, error)

    # ---- chains, graphs and their nodes ----

    def begin_chain(self, run_id: Any, parent_run_id: Any, name: str, inputs: Any, told: Mapping[str, Any]) -> None:
        """Begin a run, enter a step, or only follow a chain that is neither.

        Args:
            run_id: The LangChain run's id.
            parent_run_id: The id of what it is a part of; `None`: nothing that the framework knows.
            name: What it is called.
            inputs: What it is given.
            told: The framework's metadata.
        """
        placed = self._tracks.place(run_id, parent_run_id)
        if placed is None or (placed[0] is None and self.is_closed):
            return
        parent, scope = placed
        namespace = str(told.get("langgraph_checkpoint_ns") or "")
        thread_id = told.get("thread_id")
        if parent is None or scope is None or (thread_id is not None and thread_id != parent.thread_above()):
            self._open(run_id, name, parent, scope, inputs, thread_id=thread_id)
        elif told.get("langgraph_node") == name and not name.startswith("__") and namespace != parent.namespace:
            self._enter(run_id, name, parent, scope, namespace)
        else:
            self._tracks.add(run_id, Track(key_of(run_id), "chain", name, parent, scope), scope=scope)

    def _open(
        self,
        run_id: Any,
        name: str,
        parent: Track | None,
        scope: Scope | None,
        inputs: Any,
        *,
        thread_id: Any,
    ) -> None:
        call = calling()
        nodes = None if call.graph is None else plan_of(call.graph)
        described: dict[str, Any] = {node.step_id: node.description for node in nodes or ()}
        is_stream = _is_placeholder(inputs)
        opening = Opening(
            name=name,
            inputs=call.given if is_stream and call.given is not None else inputs,
            nodes=nodes if parent is None else None,
            names=described,
            thread_id=thread_id,
        )
        found, run, resumed = self._runs.begin(opening, scope)
        track = Track(key_of(run_id), "chain", name, parent, found)
        track.run, track.resumed, track.thread = run, resumed, thread_id
        track.is_stream = is_stream
        track.about = described
        # What runs in a graph runs in its nodes, and those make themselves current: a graph's own caller may be in the
        # middle of a stream, and what it does between two parts of that is not the graph's.
        self._tracks.add(run_id, track, scope=found if nodes is None else None)

    def _enter(self, run_id: Any, name: str, parent: Track, scope: Scope, namespace: str) -> None:
        run, above = split(scope)
        resumed = parent.resumption()
        left = resumed.steps.pop(namespace, None) if resumed is not None else None
        if left is not None:
            step = Step(run, left, above)
        else:
            path = node_path(namespace, name)
            about = run.recorder.capture.text(parent.about[path], max_chars=1000) if path in parent.about else None
            step = run.enter_step(path, about, above, repeat=None, metadata={})
        track = Track(key_of(run_id), "node", name, parent, step)
        track.step, track.namespace = step, namespace
        if track.known is not None:
            track.known.begin(run, step.id, name, None)
        self._tracks.add(run_id, track, scope=step)

    def end_chain(self, run_id: Any, outputs: Any, error: BaseException | None) -> None:
        """End a chain or node: well, with an error, or because a graph stopped to wait for an answer."""
        track = self._tracks.get(run_id)
        if error is None and track is not None and track.is_stream and track.children:
            # Without asyncio the framework calls it a good end when nobody reads on.
            error = GeneratorExit()
        track = self._tracks.take(run_id, error)
        if track is None:
            return
        if error is not None and is_interrupt(error):
            _note_interrupt(track, error)
        elif error is not None and not is_pause(error) and not is_cancellation(error):
            track.note_error(error)
        if track.step is None:
            self._runs.end(track, outputs, error)
        elif error is None or is_pause(error):
            if error is None or not is_interrupt(error):
                track.step.end(outputs)
        else:
            track.step.end(None, error)

    # ---- tools and models ----

    def begin_call(
        self, run_id: Any, parent_run_id: Any, kind: Kind, name: str, given: Mapping[str, Any], *, batch: int = 1
    ) -> Track | None:
        """Follow a call of a tool or model; `None`: it is not recorded.

        Args:
            run_id: The LangChain run's id.
            parent_run_id: The id of what it is a part of; `None`: nothing that the framework knows.
            kind: `tool` or `model`.
            name: What it is called.
            given: What it is given.
            batch: How many calls of a model begin together.
        """
        placed = self._tracks.place(run_id, parent_run_id, batch=batch)
        if placed is None or (placed[0] is None and self.is_closed):
            return None
        parent, scope = placed
        run = None
        if scope is None:
            if not self._lone_calls:
                recorder.default().notices.say(
                    "debug", "a model or tool called outside of a run is not recorded", cause="langchain", once=True
                )
                return None
            scope, run, _ = self._runs.begin(Opening(name=name, inputs=inputs_of(given)), None)
        track = Track(key_of(run_id), kind, name, parent, scope)
        track.run = run
        is_tool = kind == "tool"
        self._tracks.add(run_id, track, scope=scope if is_tool else None, owns=True, inner=is_tool)
        return track


def _is_placeholder(inputs: Any) -> bool:
    """Say whether a chain that is streamed was given something that the framework does not tell at its beginning."""
    given = inputs.get("input") if type(inputs) is dict and len(inputs) == 1 else None
    return isinstance(given, str) and not given


def _note_interrupt(track: Track, error: BaseException) -> None:
    """Note where a graph stopped, and on the way up what it is a part of."""
    stop = track.stopped
    if track.step is not None:
        stop.steps[track.namespace] = track.step.id
    if not stop.questions and error.args:
        stop.questions = list(error.args[0])
    if track.parent is not None:
        track.parent.stopped.merge(stop)
