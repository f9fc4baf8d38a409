"""Test an agent: record in memory, send nothing, and read back what the Missions API would hold.

With pytest the fixture `mission_recorder` does all of it; elsewhere `recording()` is a `with` block.
"""

from __future__ import annotations

import datetime as dt
import difflib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from mission_tracer import _context, facts, recorder
from mission_tracer._disk.journal import Journal
from mission_tracer._disk.stream import Stream, utc_now
from mission_tracer._planning.rehearsal import Rehearsal
from mission_tracer.opening import current_run
from mission_tracer.settings import Settings

_EPOCH = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event, with the API's fields."""

    type: str
    summary: str
    step_id: str | None = None
    agent_id: str | None = None
    payload: dict[str, Any] = field(default_factory=dict)
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class RecordedStep:
    """A step of a run's plan, with the API's fields."""

    step_id: str
    description: str
    sequence: int
    status: str
    parent_step_id: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def attempt(self) -> int:
        """Return how often the step was entered."""
        return int(self.metadata.get("attempt", 1))


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run, with the API's fields, its mission's name, its steps and its events."""

    key: str
    mission: str
    status: str
    input: dict[str, Any] | None
    metadata: dict[str, Any]
    result_summary: str | None
    result_payload: dict[str, Any] | None
    error: str | None
    steps: list[RecordedStep]
    events: list[RecordedEvent]
    agents: list[str]


class MissionRecorder:
    """Read back what was recorded.

    Args:
        settings: Settings that differ from the defaults, such as `capture="off"`.
        deterministic: True: keys and ids count up from 1, and each look at the clock is a second later, from 2026 on.
        clock: Returns the present moment, in UTC; `None`: the system's clock, or the deterministic one.

    Raises:
        ConfigurationError: A setting is wrong.
    """

    def __init__(
        self,
        settings: Mapping[str, Any] | None = None,
        *,
        deterministic: bool = False,
        clock: Callable[[], dt.datetime] | None = None,
    ) -> None:
        self._streams: list[Stream] = []
        number = itertools.count(1).__next__
        second = itertools.count().__next__
        self._clock = clock or ((lambda: _EPOCH + dt.timedelta(seconds=second())) if deterministic else utc_now)
        self._writer = (lambda: f"writer{number()}") if deterministic else facts.new_writer
        keys = itertools.count(1).__next__
        # Offline whatever the environment says: a test sends nothing.
        chosen = {"strict": True, **(settings or {}), "durability": "memory", "sender": "off"}
        self.recorder = recorder.Recorder(
            Settings.load(chosen),
            stream=self._make_stream,
            key=(lambda: f"run{keys()}") if deterministic else facts.new_key,
        )
        self.recorder.stays = True  # a program that configures itself would leave the test, and send

    def _make_stream(self, key: str, journal: Journal) -> Stream:
        stream = Stream(key, journal, writer=self._writer, clock=self._clock)
        self._streams.append(stream)
        return stream

    @property
    def facts(self) -> list[facts.Fact]:
        """List every fact, run by run."""
        return [fact for stream in self._streams for fact in _facts_of(stream)]

    @property
    def runs(self) -> list[RecordedRun]:
        """List the runs in the order they began."""
        return [_run_of(stream) for stream in self._streams]

    @property
    def steps(self) -> list[RecordedStep]:
        """List the steps of all runs, in the order of their plans."""
        return [step for run in self.runs for step in run.steps]

    @property
    def events(self) -> list[RecordedEvent]:
        """List the events of all runs, in the order they happened."""
        return [event for run in self.runs for event in run.events]

    def assert_run(
        self,
        *,
        mission: str | None = None,
        status: str | None = None,
        steps: Iterable[str | tuple[str, str]] | None = None,
        events: Iterable[str] | None = None,
        error: str | None = None,
    ) -> RecordedRun:
        """Check one run and return it; there must be exactly one, or one of that mission.

        Args:
            mission: The mission's name; `None`: any.
            status: The run's status; `None`: any.
            steps: Its steps in order, each an id, or a pair of id and status; `None`: any.
            events: The types of its events in order; `None`: any.
            error: A text its error contains; `None`: any.

        Raises:
            AssertionError: It is not so; the message shows how what was recorded differs.
        """
        runs = [run for run in self.runs if mission in {None, run.mission}]
        if len(runs) != 1:
            of = f" of mission {mission!r}" if mission else ""
            raise AssertionError(f"expected one run{of}, recorded {[run.mission for run in self.runs]}")
        run = runs[0]
        wanted: dict[str, Any] = {}
        found: dict[str, Any] = {}
        if status is not None:
            wanted["status"], found["status"] = status, run.status
        if steps is not None:
            wanted["steps"] = list(steps)
            pairs = [(step.step_id, step.status) for step in run.steps]
            named = [isinstance(step, str) for step in wanted["steps"]] + [False] * len(pairs)
            found["steps"] = [pair[0] if bare else pair for pair, bare in zip(pairs, named, strict=False)]
        if events is not None:
            wanted["events"], found["events"] = list(events), [event.type for event in run.events]
        if error is not None and error not in (run.error or ""):
            wanted["error"], found["error"] = error, run.error
        if wanted != found:
            raise AssertionError(_difference(wanted, found))
        return run

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return all runs as plain data without times, durations and drawn ids, fit to compare or to snapshot."""
        return [_plain(run, f"run-{number}") for number, run in enumerate(self.runs, start=1)]


@contextmanager
def recording(
    settings: Mapping[str, Any] | None = None,
    *,
    deterministic: bool = False,
    clock: Callable[[], dt.datetime] | None = None,
) -> Iterator[MissionRecorder]:
    """Record in memory what happens in the block; afterwards recording is as it was before.

    Args:
        settings: As for `MissionRecorder`.
        deterministic: As for `MissionRecorder`.
        clock: As for `MissionRecorder`.
    """
    made = MissionRecorder(settings, deterministic=deterministic, clock=clock)
    before, scope = recorder.swap(made.recorder), _context.scope.get()
    try:
        yield made
    finally:
        run = current_run()
        if run is not None and run.recorder is made.recorder:
            _context.scope.set(scope)  # a test left it open; the next one is not in it
        recorder.swap(before)
        made.recorder.forget()


def _facts_of(stream: Stream) -> list[facts.Fact]:
    return [facts.decode(line.content) for line in stream.journal.memory.read(0, most=1 << 60)]


def _run_of(stream: Stream) -> RecordedRun:
    held = Rehearsal().run(_facts_of(stream))
    return RecordedRun(
        key=stream.key,
        mission=held["mission"].get("name", ""),
        status=held["status"],
        input=held.get("input"),
        metadata=held.get("metadata", {}),
        result_summary=held.get("result_summary"),
        result_payload=held.get("result_payload"),
        error=held.get("error"),
        steps=[RecordedStep(**step) for step in held["steps"]],
        events=[RecordedEvent(**event) for event in held["events"]],
        agents=held["agents"],
    )


def _difference(wanted: dict[str, Any], found: dict[str, Any]) -> str:
    lines = [line.rstrip() for line in difflib.ndiff(_lines(wanted), _lines(found)) if not line.startswith("?")]
    return "the run is not as expected (- expected, + recorded):\n" + "\n".join(lines)


def _lines(data: dict[str, Any]) -> list[str]:
    """Say each value on a line of its own, and each item of a list."""
    lines = []
    for name, value in data.items():
        items = value if isinstance(value, list) else []
        lines += [f"{name}:", *(f"    {item!r}" for item in items)] if items else [f"{name}: {value!r}"]
    return lines


_DRAWN = {"mission_tracer", "duration_ms", "call_id", "host", "traceback"}


def _plain(run: RecordedRun, key: str) -> dict[str, Any]:
    return {
        "run": key,
        "mission": run.mission,
        "status": run.status,
        "input": run.input,
        "result_summary": run.result_summary if not (run.result_summary or "").startswith("finished in") else None,
        "result_payload": run.result_payload,
        "error": run.error,
        "steps": [
            {
                "step_id": step.step_id,
                "status": step.status,
                "parent_step_id": step.parent_step_id,
                "metadata": _steady(step.metadata),
            }
            for step in run.steps
        ],
        "events": [
            {"type": event.type, "summary": event.summary, "step_id": event.step_id, "payload": _steady(event.payload)}
            for event in run.events
        ],
    }


def _steady(value: Any) -> Any:
    """Leave out, at any depth, what differs from one time to the next."""
    if isinstance(value, dict):
        return {name: _steady(item) for name, item in value.items() if name not in _DRAWN}
    return [_steady(item) for item in value] if isinstance(value, list) else value
