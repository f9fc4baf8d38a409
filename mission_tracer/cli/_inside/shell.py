"""Read the commands that a script gives inside a run, without click: they are given often, and must be quick."""

from __future__ import annotations

import os
from collections.abc import Sequence

from mission_tracer.cli._inside.acts import ACTS, Act, WrongWordsError
from mission_tracer.cli._inside.pen import take_up
from mission_tracer.cli._inside.place import TROUBLE, complain, load_settings


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
    settings = load_settings()
    if not settings.enabled:
        return act.unrecorded(words, 0)
    try:
        pen = take_up(settings, os.environ, options.get("run"))
    except TROUBLE as error:
        return act.unrecorded(words, complain(error))
    given = {name.replace("-", "_"): text for name, text in options.items() if name != "run"}
    try:
        return act.do(pen, *words, **given) or 0
    except WrongWordsError as error:
        return complain(error)
    except TROUBLE as error:
        return act.unrecorded(words, complain(error))
    finally:
        pen.close()


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
