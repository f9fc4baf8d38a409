"""Read the commands that a script gives inside a run, without click: they are given often, and must be quick."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from mission_tracer.cli._inside.acts import ACTS, Act
from mission_tracer.cli._inside.pen import load_settings, take_up
from mission_tracer.errors import MissionTracerError

FAILED = 2


def quickly(words: Sequence[str]) -> int | None:
    """Do what plain words ask for; return the exit status, or `None` when click must explain what is meant."""
    for name in (tuple(words[:2]), tuple(words[:1])):
        if name in ACTS:
            read = _read(ACTS[name], words[len(name) :])
            return None if read is None else perform(ACTS[name], *read)
    return None


def perform(act: Act, words: Sequence[str], options: dict[str, str]) -> int:
    """Do an act in the run that the options or the environment name; return the exit status.

    Args:
        act: What to do.
        words: Its arguments.
        options: Its options by name; `run` names the run.
    """
    try:
        settings = load_settings(os.environ)
        if not settings.enabled:
            return 0
        given = {name.replace("-", "_"): text for name, text in options.items() if name != "run"}
        pen = take_up(settings, os.environ, options.get("run"))
        try:
            return act.do(pen, *words, **given) or 0
        finally:
            pen.close()
    except MissionTracerError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error))


def _read(act: Act, words: Sequence[str]) -> tuple[list[str], dict[str, str]] | None:
    """Sort words into arguments and options; `None` when they are not all understood."""
    known = {f"--{name}" for name in (*act.options, "run")}
    arguments: list[str] = []
    options: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            arguments += rest
            break
        if word.startswith("-") and word != "-":
            name, equals, text = word.partition("=")
            if name not in known or not (equals or rest):
                return None
            options[name[2:]] = text if equals else rest.pop(0)
        else:
            arguments.append(word)
    if len(arguments) < act.least or (act.most is not None and len(arguments) > act.most):
        return None
    return arguments, options


def _fail(message: str) -> int:
    sys.stderr.write(f"error: {' '.join(message.split())}\n")
    return FAILED
