"""Note the exception that ended a program, for whoever closes its run."""

from __future__ import annotations

import os

from mission_tracer.cli._inside import outcomes
from mission_tracer.cli._inside.pen import ENCLOSED, Pen
from mission_tracer.settings import Settings


def note(error: BaseException) -> None:
    """Note an exception; a failure to do so is kept from the program. Never raises."""
    key = os.environ.get(ENCLOSED, "")
    if not key:
        return
    try:
        settings, _ = Settings.tolerate(environ=os.environ)
        pen = Pen(settings, key)
        said = {"exception": pen.capture.exception(error), "traceback": pen.capture.error(error)}
        outcomes.note(pen.directory, key, **said)
    except Exception:  # noqa: BLE001, S110 - the run is closed as failed all the same
        pass
