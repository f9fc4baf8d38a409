"""Write down what happens in a run from a process that lives for a moment: no recorder, no thread, few imports."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec
from msgspec import UNSET

from mission_tracer import facts
from mission_tracer._base.harmless import is_harmless
from mission_tracer._disk.journal import Journal, MemoryFacts, iterate_lines
from mission_tracer._disk.stream import Stream, utc_now
from mission_tracer._handles.shared_steps import SharedSteps
from mission_tracer._handles.step_table import StepTable
from mission_tracer.cli._inside.place import directory, readable
from mission_tracer.errors import MissionTracerError
from mission_tracer.settings import Settings

if TYPE_CHECKING:
    from mission_tracer._capture import Capture

PARENT = "MISSION_TRACER_PARENT"
"""The variable that names the run a process belongs to."""

ENCLOSED = "MISSION_TRACER_EXEC"
"""The variable that names the run that ends when the program around this process ends."""

_STEPS = tuple(f'{{"fact":"{tag}"'.encode() for tag in ("plan_declared", "step_entered", "step_left", "run_closed"))


class NoRunError(MissionTracerError):
    """There is no run to write to."""


class Pen:
    """Append facts to the journal of one run.

    Args:
        settings: Where the journals are, and what may be kept.
        key: The run's key.
        step_id: The step this process belongs to; `None`: none.

    Raises:
        ConfigurationError: There is no state directory.
    """

    def __init__(self, settings: Settings, key: str, *, step_id: str | None = None) -> None:
        self.settings = settings
        self.key = key
        self.step_id = step_id
        self.directory = directory(settings)
        self._take_up(create=False)

    def _take_up(self, *, create: bool) -> None:
        self._journal = Journal(
            self.directory.journal(self.key),
            MemoryFacts(0),
            create=create,
            power=self.directory.power,
            patient=True,
            restore=lambda: self.directory.bring_back(self.key),
            on_trouble=_refuse,
        )
        self._stream = Stream(self.key, self._journal)

    @property
    def path(self) -> Path:
        """The run's journal, wherever it is."""
        place = self.directory.find(self.key)
        return place[0] if place is not None else self.directory.journal(self.key)

    def begin(self) -> None:
        """Make the journal of a run that begins here.

        Raises:
            OSError: It cannot be made.
        """
        self.directory.prepare()
        self._take_up(create=True)
        self._journal.open()  # until something is written, only the mark of a living writer keeps it from being deleted

    @cached_property
    def capture(self) -> Capture:
        """What turns values into what may be kept."""
        # Hiding secrets takes long to import, and most commands have nothing to hide.
        from mission_tracer._capture import Capture
        from mission_tracer._redact import Redaction

        settings = self.settings
        redaction = Redaction.build(settings.redact, secrets=self._secrets)
        return Capture(mode=settings.capture, max_bytes=settings.max_payload_bytes, redaction=redaction)

    @property
    def _secrets(self) -> tuple[str, ...]:
        return (self.settings.api_key,) if self.settings.api_key else ()

    def name(self, name: str) -> str:
        """Return a name or an id without the secrets in it."""
        return name if self._is_harmless(name) else self.capture.name(name)

    def key_of(self, key: str) -> str:
        """Return an idempotency key without the secrets in it; two that differ stay different."""
        return key if self._is_harmless(key) else self.capture.key(key)

    def text(self, text: str, *, most: int) -> str:
        """Return a text as one line of at most so many characters, without the secrets in it."""
        return text if self._is_harmless(text) and len(text) <= most else self.capture.text(text, max_chars=most)

    def _is_harmless(self, text: str) -> bool:
        return self.settings.redact is None and is_harmless(text, self._secrets)

    def write(self, kind: Callable[..., facts.WrittenFact], **fields: Any) -> None:
        """Put one fact down.

        Raises:
            OSError: The journal cannot be written.
        """
        fact_id, _, at = self._stream.stamp()
        self._journal.append(facts.encode(kind(id=fact_id, at=at, **fields)))

    def write_event(
        self,
        kind: str,
        summary: str,
        payload: Mapping[str, Any] | None = None,
        *,
        step_id: str | None = None,
        agent_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> None:
        """Put an event down whose values are captured already.

        Raises:
            OSError: The journal cannot be written.
        """
        fact_id, number, at = self._stream.stamp()
        body = facts.EventBody(
            kind,
            summary,
            step_id or UNSET,
            agent_id or self.settings.agent_id or UNSET,
            {**(payload or {}), "mission_tracer": {"id": fact_id, "seq": number, "at": at}},
            idempotency_key or f"{self.key}.{fact_id}",
        )
        self._journal.append(facts.encode(facts.EventWritten(id=fact_id, at=at, body=body)))

    def name_call(self) -> str:
        """Name one call of a tool."""
        return self._stream.name_call()

    def enter_step(self, name: str, description: str, parent: str | None) -> str:
        """Begin a step under a name; return its id. Processes that do so at once get steps of their own.

        Raises:
            OSError: The journal cannot be read or written.
        """
        self._journal.open()
        shared = SharedSteps(self._stream, StepTable())

        def record(step_id: str, attempt: int) -> None:
            self.write(
                facts.StepEntered,
                step_id=step_id,
                description=description,
                parent_step_id=parent,
                attempt=attempt,
                name=name if name != step_id else None,
                agent_id=self.settings.agent_id,
            )

        return shared.enter(name, None, record)[0]

    def steps(self) -> Steps:
        """Read how far the run's steps are.

        Raises:
            OSError: The journal cannot be read.
        """
        steps = Steps()
        for line in iterate_lines(self.path):
            if line.content.startswith(_STEPS):
                try:
                    steps.take(facts.decode(line.content))
                except msgspec.MsgspecError:
                    continue
        return steps

    def close(self) -> None:
        """Stop being one of the run's writers."""
        self._journal.close()


class Steps:
    """Know a run's steps: which are open since when, which a name means, and how the run that had them ended."""

    def __init__(self) -> None:
        """Begin with none."""
        self.known: set[str] = set()
        self.open: dict[str, dt.datetime] = {}
        self.ended: str | None = None
        self._entered: dict[str, list[str]] = {}

    def take(self, fact: facts.Fact) -> None:
        """Take in one fact about a step, or the run's end."""
        if isinstance(fact, facts.PlanDeclared):
            self.known.update(step.step_id for step in fact.steps)
        elif isinstance(fact, facts.StepEntered):
            self.known.add(fact.step_id)
            self.open[fact.step_id] = fact.at
            self._entered.setdefault(fact.name or fact.step_id, []).append(fact.step_id)
        elif isinstance(fact, facts.StepLeft):
            self.known.add(fact.step_id)
            self.open.pop(fact.step_id, None)
        elif isinstance(fact, facts.RunClosed):
            self.ended = fact.status

    def meant(self, name: str) -> str:
        """Return the id of the step a name means: the newest open one that was entered under it, else the newest."""
        entered = self._entered.get(name, [name])
        return next((step_id for step_id in reversed(entered) if step_id in self.open), entered[-1])

    def only_open(self) -> str | None:
        """Return the step that is open; `None` when there is none, or more than one."""
        return next(iter(self.open)) if len(self.open) == 1 else None

    def took(self, step_id: str) -> float | None:
        """Return how long an open step has taken so far, in milliseconds; `None` when it is not open."""
        since = self.open.get(step_id)
        return None if since is None else round((utc_now() - since).total_seconds() * 1000, 3)


def take_up(settings: Settings, environ: Mapping[str, str], word: str | None) -> Pen:
    """Take a pen to the run that a word names, or else the environment.

    Raises:
        NoRunError: Neither names a run of this machine.
        ConfigurationError: There is no state directory, or it cannot be read.
        OSError: The journals cannot be read.
    """
    if word is not None:
        return Pen(settings, _named(settings, word))
    carried = dict(parse_qsl(environ.get(PARENT, "")))
    key = carried.get("key", "")
    if not environ.get(PARENT, "").strip():
        raise NoRunError(
            "not inside a run: use `mission-tracer exec -- COMMAND`, or `mission-tracer start NAME` and --run"
        )
    if not (0 < len(key) <= 64 and key.isascii() and key.isalnum()):
        raise NoRunError(f"{PARENT} names no run: {environ[PARENT]!r:.200}")
    pen = Pen(settings, key, step_id=carried.get("step"))
    if pen.directory.find(key) is None:
        pen = _join(pen, carried)
    return pen


def _named(settings: Settings, word: str) -> str:
    if word.isalnum() and directory(settings).find(word) is not None:
        return word
    from mission_tracer.cli._reading.journals import find_key

    try:
        key = find_key(readable(settings), word)
    except LookupError as error:
        raise NoRunError(str(error)) from None
    if key is None:
        raise NoRunError(f"no run {word!r} in {settings.dir}: `mission-tracer status` lists them")
    return key


def _join(pen: Pen, carried: Mapping[str, str]) -> Pen:
    """Begin a journal for a run that another machine, or another state directory, opened."""
    pen.begin()
    pen.write(
        facts.RunJoined,
        key=pen.key,
        mission=facts.MissionSpec(carried.get("name", ""), id=carried.get("mission_id")),
        base_url=pen.settings.base_url if pen.settings.api_key else None,
        run_id=carried.get("run_id"),
    )
    return pen


def _refuse(error: OSError) -> None:
    raise error
