"""Begin the run of a chain or graph that is a part of none, let it wait for an answer, go on with it, and end it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from mission_tracer import facts, recorder
from mission_tracer._base.endings import is_pause
from mission_tracer.integrations._langchain.content import inputs_of, plain, result_of
from mission_tracer.integrations._langchain.graph import is_drain, is_resumption
from mission_tracer.integrations._langchain.paused import Paused, PausedRuns, leave_open, thread_of
from mission_tracer.integrations._langchain.tracks import Track
from mission_tracer.integrations._spans import AbandonedError, Scope, arguments_of, split
from mission_tracer.opening import open_run
from mission_tracer.runs import Run
from mission_tracer.steps import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What is known of a chain, model or tool that begins and is a part of nothing the framework knows.

    Args:
        name: What it is called.
        inputs: What it was given.
        nodes: The steps of a graph; `None`: it is no graph, or a part of one.
        names: The names of a graph's nodes.
        thread_id: LangGraph's id of the conversation; `None`: there is none.
    """

    name: str
    inputs: Any
    nodes: list[facts.PlannedStep] | None = None
    names: Iterable[str] = ()
    thread_id: Any = None


class OwnRuns:
    """Hold how the runs of one handler are opened.

    Args:
        mission: Their mission; `None`: what is run gives the name.
        spec: What else is said of the mission when it is created.
        metadata: Added to the metadata of every run.
    """

    def __init__(self, mission: str | None, spec: Mapping[str, Any], metadata: Mapping[str, Any] | None) -> None:
        self.mission = mission
        self._spec = dict(spec)
        self._metadata = dict(metadata or {})
        self._paused = PausedRuns()

    # ---- beginning ----

    def begin(self, opening: Opening, scope: Scope | None) -> tuple[Scope, Run | None, Paused | None]:
        """Say where something new belongs: the run or step, the run if it is its own, and what it goes on with."""
        recording = recorder.default()
        thread = self._thread(opening)
        waiting = self._recall(recording, thread) if thread is not None else None
        if waiting is not None:
            paused, run = waiting
            ours = paused.owned or (scope is not None and split(scope)[0] is run)
            if ours and is_resumption(opening.inputs):
                return self._go_on(opening, paused, run, scope)
            if ours:
                _give_up(paused, run)
        if scope is None:
            run = self._open(recording, opening)
            return run, run, None
        run, step = split(scope)
        if opening.nodes and step is not None:
            run.plan_read([msgspec.structs.replace(node, parent_step_id=step.id) for node in opening.nodes])
        elif opening.nodes:
            run.plan_read(opening.nodes)
        return scope, None, None

    def _recall(self, recording: recorder.Recorder, thread: str) -> tuple[Paused, Run] | None:
        try:
            return self._paused.take(recording, thread)
        except (OSError, msgspec.MsgspecError) as error:
            recording.trouble(error, "langchain.resume")
            return None

    def _thread(self, opening: Opening) -> str | None:
        thread_id = opening.thread_id
        return None if thread_id is None else thread_of(self.mission or "", opening.name, opening.names, thread_id)

    def _open(self, recording: recorder.Recorder, opening: Opening) -> Run:
        framework = "langchain" if opening.nodes is None else "langgraph"
        about = {"framework": framework, "thread_id": opening.thread_id}
        return open_run(
            recording,
            facts.MissionSpec(self.mission or opening.name, **self._spec),
            values=arguments_of(recording.capture, inputs_of(opening.inputs)),
            metadata={**{name: value for name, value in about.items() if value is not None}, **self._metadata},
            plan=opening.nodes or (),
            detached=True,
        )

    def _go_on(
        self, opening: Opening, paused: Paused, run: Run, scope: Scope | None
    ) -> tuple[Scope, Run | None, Paused]:
        if paused.owned:
            run.resume()
        answer = getattr(opening.inputs, "resume", None)
        capture = run.recorder.capture
        shown = answer is not None and capture.mode == "full"
        step_id = next(iter(paused.steps.values()), None)
        run.log_event(
            f"Resumed: {capture.text(plain(answer))}" if shown else "Resumed",
            payload={"answer": plain(answer)} if shown else None,
            step=step_id,
        )
        if paused.owned:
            return run, run, paused
        return scope or run, None, paused

    # ---- ending ----

    def end(self, track: Track, outputs: Any, error: BaseException | None) -> None:
        """End a chain: its run if it opened one; or let that wait, when a graph stopped inside it to go on later."""
        if track.stop is not None and error is not None and not is_pause(error):
            track.stop = None
        if error is not None and is_drain(error):
            track.stopped.reason = "after it was asked to stop"
        if track.stop is not None and track.thread is not None and (error is None or is_drain(error)):
            self._wait(track)
            return
        if track.resumed is not None:
            _skip(track.resumed, split(track.scope)[0], "the graph went on elsewhere")
        if track.run is not None:
            _close(track.run, outputs, error)

    def _wait(self, track: Track) -> None:
        stop, (run, _) = track.stopped, split(track.scope)
        left = {} if track.resumed is None else track.resumed.steps
        paused = Paused(
            key=run.key,
            name=run.name,
            owned=track.run is not None,
            steps={**left, **stop.steps},
            calls=[*stop.calls, *(() if track.resumed is None else track.resumed.calls)],
        )
        self._ask(track, next(iter(stop.steps.values()), None))
        if paused.owned:
            run.pause()
        thread = thread_of(self.mission or "", track.name, track.about, track.thread)
        try:
            self._paused.put(run.recorder, thread, paused, run)
        except OSError as error:
            run.trouble(error, "langchain.pause")
        if paused.owned:
            leave_open(run)

    def _ask(self, track: Track, step_id: str | None) -> None:
        stop, (run, _) = track.stopped, split(track.scope)
        capture = run.recorder.capture
        values = [plain(getattr(question, "value", question)) for question in stop.questions]
        shown = capture.mode == "full" and bool(values)
        said = capture.text(values[0] if len(values) == 1 else values) if shown else ""
        what = f"Waits {stop.reason or 'for an answer'}"
        run.log_event(
            f"{what}: {said}" if said else what,
            payload={"questions": values} if shown else None,
            step=step_id,
        )


def _close(run: Run, outputs: Any, error: BaseException | None) -> None:
    if error is None or is_pause(error):
        run.end(result_of(outputs))
    elif isinstance(error, AbandonedError):
        run.cancel()
        run.end()
    else:
        run.end(None, error)


def _give_up(paused: Paused, run: Run) -> None:
    """End what waited on a thread that was given something new instead of an answer."""
    _skip(paused, run, "the thread was given something new")
    if paused.owned:
        run.cancel()
        run.end()


def _skip(paused: Paused, run: Run, reason: str) -> None:
    for step_id in paused.steps.values():
        Step(run, step_id, None).skip(reason)
