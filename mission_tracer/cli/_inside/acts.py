"""Do what a script asks for inside a run: the commands `step`, `event`, `tool`, `plan`, `agent`, `succeed` and `fail`.

Each act takes a pen and the words as they were given, so that it is the same whether click read them or `shell` did.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec

from mission_tracer import facts
from mission_tracer.cli._inside import outcomes
from mission_tracer.cli._inside.pen import ENCLOSED, Pen, Steps
from mission_tracer.cli._inside.place import TROUBLE, complain
from mission_tracer.errors import MissionTracerError

_SUMMARY = 500  # characters
_DESCRIPTION = 1000
_REASON = 2000
_NOWHERE = "-"  # the step of an event that belongs to none
_NO_COMMAND = 127


class WrongWordsError(MissionTracerError):
    """What was asked for cannot be done as it was put."""


def step_start(pen: Pen, name: str, *, description: str | None = None, parent: str | None = None) -> None:
    """Begin a step."""
    name, steps = _name(pen, name), _open_steps(pen)
    above = steps.meant(pen.name(parent)) if parent else pen.step_id
    step_id = pen.enter_step(name, pen.text(description, most=_DESCRIPTION) if description else name, above)
    if step_id != name:
        sys.stdout.write(f"{step_id}\n")


def step_done(pen: Pen, name: str, *, metadata: str | None = None) -> None:
    """End a step as completed."""
    values = _object("--metadata", metadata)
    _leave(pen, name, "completed", metadata=pen.capture.value(values) if values else {})


def step_fail(pen: Pen, name: str, reason: str | None = None) -> None:
    """End a step as failed."""
    _leave(pen, name, "failed", reason=_said(pen, reason))


def step_skip(pen: Pen, name: str, reason: str | None = None) -> None:
    """End a step as skipped."""
    _leave(pen, name, "skipped", reason=_said(pen, reason))


def _leave(pen: Pen, name: str, status: str, **fields: Any) -> None:
    name, steps = _name(pen, name), _open_steps(pen)
    step_id = steps.meant(name)
    if step_id not in steps.open and status != "skipped":
        # Ended without having begun: no server would take that.
        step_id = pen.enter_step(name, name, pen.step_id)
        steps = pen.steps()
    took = steps.took(step_id)
    pen.write(
        facts.StepLeft, step_id=step_id, status=status, duration_ms=took, agent_id=pen.settings.agent_id, **fields
    )


def event(
    pen: Pen,
    summary: str,
    *,
    type: str = "custom",
    payload: str | None = None,
    step: str | None = None,
    agent_id: str | None = None,
    key: str | None = None,
) -> None:
    """Log an event."""
    _check_type(type)
    values = _object("--payload", payload)
    pen.write_event(
        type,
        pen.text(summary, most=_SUMMARY),
        pen.capture.value(values) if values else None,
        step_id=_step(pen, step),
        agent_id=pen.name(agent_id) if agent_id else None,
        idempotency_key=pen.key_of(key) if key else None,
    )


def _check_type(kind: str) -> None:
    if kind == "custom":
        return
    from mission_tracer.models import EventType  # most events are custom

    types = [str(known) for known in EventType]
    if kind not in types:
        raise WrongWordsError(f"--type must be one of {', '.join(types)}, not {kind!r}")


def tool(
    pen: Pen,
    name: str,
    *command: str,
    arguments: str | None = None,
    result: str | None = None,
    error: str | None = None,
    step: str | None = None,
) -> int:
    """Log a call of a tool: the one that was made, or the command given, which is run whatever becomes of the log."""
    given: Any = _object("--arguments", arguments) or ({"command": list(command)} if command else {})
    name, capture, step_id = _name(pen, name, "NAME"), pen.capture, _step(pen, step)
    kept = capture.value(given) if capture.mode == "full" else {}
    about: dict[str, Any] = {"tool": name, "call_id": pen.name_call()}
    pen.write_event("tool_call", capture.call(name, kept), {**about, "arguments": kept}, step_id=step_id)
    status, value, interrupted = 0, _json(result), False
    if command:
        status, about["duration_ms"], interrupted = _run(command)
        value = {"exit_status": status}
        error = error or (f"exit status {status}" if status else None)
    with _beside(command):
        if error is not None:
            said = capture.text(error, max_chars=_REASON)
            pen.write_event("error", f"{name}: {said}", {**about, "error": {"message": said}}, step_id=step_id)
        else:
            if capture.mode == "full":
                about["result"] = capture.value(value)
            pen.write_event("tool_result", capture.text(f"{name} returned", max_chars=_SUMMARY), about, step_id=step_id)
    if interrupted:
        raise KeyboardInterrupt
    return status


def _only_run(words: Sequence[str], status: int) -> int:
    """Run the command of a tool whose call cannot be logged."""
    if words[1:]:
        status, _, interrupted = _run(words[1:])
        if interrupted:
            raise KeyboardInterrupt
    return status


@contextmanager
def _beside(command: Sequence[str]) -> Iterator[None]:
    """Log after a command has run, if one has: its exit status stays its own, and what goes wrong is only said."""
    try:
        yield
    except TROUBLE as error:
        if not command:
            raise
        complain(error)


def _run(command: Sequence[str]) -> tuple[int, float, bool]:
    """Run a command; return its exit status, how long it took in milliseconds, and whether Ctrl-C ended it."""
    import signal  # most commands need none of the two, and they take a tenth of their time
    import subprocess

    # Ctrl-C reaches the command as well, which may go on or end by it. A handler, unlike `SIG_IGN`, is not handed down.
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, lambda *_: None)
    started = time.perf_counter()
    try:
        status = subprocess.call(list(command))  # noqa: S603 - the command that the user wrote
    except OSError as problem:
        sys.stderr.write(f"error: {command[0]}: {problem.strerror}\n")
        status = _NO_COMMAND
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
    took = round((time.perf_counter() - started) * 1000, 3)
    return (128 - status if status < 0 else status), took, status == -signal.SIGINT


def plan(pen: Pen, *steps: str) -> None:
    """Declare steps, each ID or ID=DESCRIPTION, IDs also with commas between them; known ones are left alone."""
    known = _open_steps(pen).known
    fresh = {}
    for given, description in _planned(steps):
        step_id = _name(pen, given)
        if step_id not in known:
            fresh[step_id] = facts.PlannedStep(
                step_id, pen.text(description, most=_DESCRIPTION) if description else step_id
            )
    if fresh:
        pen.write(facts.PlanDeclared, steps=list(fresh.values()))


def _planned(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    for word in words:
        given, _, description = word.partition("=")
        *others, last = (step_id.strip() for step_id in given.split(","))
        yield from ((step_id, "") for step_id in others)
        yield last, description


def agent_link(pen: Pen, agent_id: str) -> None:
    """Link a Telnyx agent to the run."""
    pen.write(facts.AgentLinked, telnyx_agent_id=_name(pen, agent_id, "AGENT"))


def agent_unlink(pen: Pen, agent_id: str) -> None:
    """Take a Telnyx agent off the run."""
    pen.write(facts.AgentUnlinked, telnyx_agent_id=_name(pen, agent_id, "AGENT"))


def succeed(pen: Pen, summary: str | None = None, *, payload: str | None = None) -> None:
    """Say that the run succeeded, and with what."""
    values = _object("--payload", payload)
    kept = pen.capture.value(values) if values else None
    _end(pen, "succeeded", summary=_said(pen, summary), payload=kept)


def fail(pen: Pen, error: str | None = None) -> None:
    """Say that the run failed, and why."""
    _end(pen, "failed", error=_said(pen, error) or "failed")


def _end(pen: Pen, status: str, **said: Any) -> None:
    """End the run with the program around it; one that no program encloses ends now."""
    _open_steps(pen)
    if os.environ.get(ENCLOSED) == pen.key:
        outcomes.note(pen.directory, pen.key, status=status, **said)
    else:
        pen.write(facts.RunClosed, status=status, **said)


def _open_steps(pen: Pen) -> Steps:
    """Read the steps of a run that has not ended: nothing can be done about those of one that has."""
    steps = pen.steps()
    if steps.ended is not None:
        raise WrongWordsError(f"run {pen.key} has ended: it is {steps.ended}")
    return steps


def _step(pen: Pen, word: str | None) -> str | None:
    if word == _NOWHERE:
        return None
    steps = pen.steps()
    return steps.meant(pen.name(word)) if word else pen.step_id or steps.only_open()


def _said(pen: Pen, text: str | None) -> str | None:
    return pen.text(text, most=_REASON) if text else None


def _name(pen: Pen, word: str, what: str = "ID") -> str:
    if not word.strip() or word in {".", ".."}:
        raise WrongWordsError(f"{what} must be a name, not {word!r}")
    return pen.name(word)


def _json(text: str | None) -> Any:
    """Read a value: JSON, or else the text itself."""
    if text is None:
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return text


def _object(option: str, text: str | None) -> Mapping[str, Any] | None:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise WrongWordsError(f"{option} must be a JSON object such as '{{\"found\": 3}}': {error}") from None


def _nothing(_words: Sequence[str], status: int) -> int:
    return status


class Act(NamedTuple):
    """How a command inside a run is put, and what remains of it where nothing can be recorded.

    Args:
        do: Does it, with a pen and the words.
        least: The fewest words it takes.
        most: The most; `None`: any number.
        options: The options it takes.
        unrecorded: Does what is not for the record; given the words and the exit status, it returns the status.
    """

    do: Callable[..., int | None]
    least: int
    most: int | None
    options: tuple[str, ...] = ()
    unrecorded: Callable[[Sequence[str], int], int] = _nothing


ACTS: dict[tuple[str, ...], Act] = {
    ("step", "start"): Act(step_start, 1, 1, ("description", "parent")),
    ("step", "done"): Act(step_done, 1, 1, ("metadata",)),
    ("step", "fail"): Act(step_fail, 1, 2),
    ("step", "skip"): Act(step_skip, 1, 2),
    ("event",): Act(event, 1, 1, ("type", "payload", "step", "agent-id", "key")),
    ("tool",): Act(tool, 1, None, ("arguments", "result", "error", "step"), _only_run),
    ("plan",): Act(plan, 1, None),
    ("agent", "link"): Act(agent_link, 1, 1),
    ("agent", "unlink"): Act(agent_unlink, 1, 1),
    ("succeed",): Act(succeed, 0, 1, ("payload",)),
    ("fail",): Act(fail, 0, 1),
}
