"""Note the exception that ended a program, for whoever closes its run."""

from __future__ import annotations

import os

from mission_tracer._disk.directory import Directory
from mission_tracer.cli._inside import outcomes
from mission_tracer.cli._inside.pen import ENCLOSED, Pen, load_settings


def note(error: BaseException) -> None:
    """Note an exception; a failure to do so is kept from the program. Never raises."""
    key = os.environ.get(ENCLOSED, "")
    if not key:
        return
    try:
        settings = load_settings(os.environ)
        capture = Pen(settings, key).capture
        outcomes.note(Directory(settings.dir), key, exception=capture.exception(error), traceback=capture.error(error))
    except Exception:  # noqa: BLE001, S110 - the run is closed as failed all the same
        pass
