"""Reach the part that shows facts elsewhere as they are recorded, when a setting asks for it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Protocol

from mission_tracer import facts

if TYPE_CHECKING:
    from mission_tracer.recorder import Recorder

_MODULES = {"otel": "mission_tracer.integrations.otel_export"}
"""Value of the setting `export` -> the module that has an `Export`."""


class Export(Protocol):
    """What is told every fact of this process, on the thread that recorded it, after it is kept."""

    def observe(self, key: str, fact: facts.WrittenFact) -> None:
        """Take in a fact of a run. Never raises, unless the setting `strict` is on."""


def load_export(recorder: Recorder) -> Export | None:
    """Return the export that a recorder's settings ask for; `None`: none, or its library is missing, which is said."""
    name = recorder.settings.export
    if name is None or not recorder.settings.enabled:
        return None
    try:
        # By name: it stands above the recorder, and needs a library that not everybody has.
        module: Any = importlib.import_module(_MODULES[name])
    except ImportError as error:
        recorder.notices.say("error", f"nothing is exported: {error}", cause="export")
        return None
    export: Export = module.Export(recorder)
    return export
