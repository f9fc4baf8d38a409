"""Let a program take part in a run that stays open when it ends."""

from __future__ import annotations

import os
from collections.abc import Sequence
from urllib.parse import urlencode

import click

from mission_tracer._disk.directory import Directory
from mission_tracer.cli._inside.pen import ENCLOSED, PARENT
from mission_tracer.cli._inside.place import load_settings, readable
from mission_tracer.cli._reading.journals import find_key, picture


def carrier(directory: Directory, word: str) -> tuple[str, str]:
    """Return the key of the run that a word means, and the text that lets a process take part in it.

    Raises:
        click.ClickException: There is no such run here.
    """
    try:
        key = find_key(directory, word)
    except LookupError as error:
        raise click.ClickException(str(error)) from None
    run = picture(directory, key) if key else None
    if run is None or key is None:
        raise click.ClickException(f"no run {word!r} in {directory.root}: `mission-tracer status` lists them")
    values = {"key": key, "name": run.mission, "mission_id": run.mission_id, "run_id": run.run_id}
    return key, urlencode({name: value for name, value in values.items() if value})


def take_part(word: str, words: Sequence[str]) -> int:
    """Become a program that takes part in a run.

    Raises:
        click.ClickException: There is no such run here.
        ConfigurationError: There is no state directory, or it cannot be read.
        OSError: The program cannot be run.
    """
    here = readable(load_settings())
    _, text = carrier(here, word)
    environ = {**os.environ, PARENT: text, "MISSION_TRACER_DIR": str(here.root)}
    environ.pop(ENCLOSED, None)
    os.execvpe(words[0], list(words), environ)  # noqa: S606 - the program that the user wrote
