"""Put a run around a program: open it, let the program take part in it, and close it as the program ended."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from mission_tracer import facts, recorder
from mission_tracer._scopes.carrier import describe
from mission_tracer.cli._inside import outcomes
from mission_tracer.cli._inside.outcomes import Outcome
from mission_tracer.cli._inside.pen import ENCLOSED, PARENT
from mission_tracer.cli._program.program import Program, end_like, in_words
from mission_tracer.cli._program.tail import Taps
from mission_tracer.opening import open_run
from mission_tracer.recorder import Recorder
from mission_tracer.runs import Run

Environ = dict[str, str]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is asked of a run around a program."""

    mission: str
    plan: Sequence[facts.PlannedStep] = ()
    capture_output: bool = False


def enclose(words: Sequence[str], wishes: Wishes, dress: Callable[[Environ], Environ] = dict) -> int:
    """Run a program inside a run of its own; return its exit status, or end by the signal that ended it.

    Args:
        words: The program and its arguments.
        wishes: What the run is to be.
        dress: Adds to the program's environment.

    Raises:
        click.ClickException: There is no such program.
        OSError: It cannot be run.
    """
    if shutil.which(words[0]) is None:
        raise click.ClickException(f"{words[0]}: there is no such program, or it is not executable")
    program = Program(words, Taps() if wishes.capture_output else None)
    try:
        recording = _recorder()
        run = _open(recording, words, wishes) if recording.enabled else None
    except BaseException:
        program.give_up()
        raise
    try:
        program.begin(dress(_environment(recording, run)))
    except OSError as error:
        if run is not None:
            run.fail(f"{words[0]}: {error.strerror}")
            run.end()
        raise
    status = program.wait()
    if run is not None:
        _close(recording, run, status, program)
        if os.WIFSIGNALED(status):
            recording.exit()  # nothing of ours runs after the signal
    return end_like(status)


def _recorder() -> Recorder:
    recording = recorder.default()
    # What is only in our memory, the program could take no part in.
    by_choice = recording.settings.durability == "memory"
    return recorder.configure(durability="process") if by_choice else recording


def _open(recording: Recorder, words: Sequence[str], wishes: Wishes) -> Run:
    values = {"command": list(words), "directory": _working_directory()} if recording.capture.mode == "full" else {}
    mission = facts.MissionSpec(wishes.mission)
    return open_run(recording, mission, values=recording.capture.value(values), plan=wishes.plan)


def _working_directory() -> str | None:
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return None  # it was deleted, and a program runs in it all the same


def _environment(recording: Recorder, run: Run | None) -> Environ:
    environ = dict(os.environ)
    text = describe(run)
    if run is not None and text is not None and recording.directory is not None:
        # The directory by its full name: the program may change its own.
        environ |= {PARENT: text, ENCLOSED: run.key, "MISSION_TRACER_DIR": str(recording.directory.root)}
    return environ


def _close(recording: Recorder, run: Run, status: int, program: Program) -> None:
    """Close the run: what the program did counts, then what it said."""
    said = outcomes.take(recording.directory, run.key) if recording.directory is not None else Outcome()
    for name, total, text in program.taps.tails() if program.taps is not None else ():
        run.log_event(f"The last of {name}", payload={"stream": name, "bytes": total, "text": text})
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGINT:
        run.cancel()
    elif status or said.status == "failed":
        _fail(run, said, status)
    else:
        run.succeed(said.summary, said.payload)
    run.end()


def _fail(run: Run, said: Outcome, status: int) -> None:
    if status and said.exception is not None:
        run.write_event("error", said.traceback or in_words(status), {"error": said.exception}, None)
    run.fail((said.traceback if status else None) or said.error or in_words(status))
