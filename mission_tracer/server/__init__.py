"""A local stand-in for the Telnyx AI Missions API, for development and tests.

Needs the extra `server`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mission_tracer.server.app import create_app
    from mission_tracer.server.behaviour import Behaviour
    from mission_tracer.server.serving import RunningServer, running_server, serve
    from mission_tracer.server.store import Store

# Imported when it is asked for: without the extra, `python -m` gets as far as to say what is missing.
_PLACES = {
    "app": ("create_app",),
    "behaviour": ("Behaviour",),
    "serving": ("RunningServer", "running_server", "serve"),
    "store": ("Store",),
}
_MODULES = {name: f"mission_tracer.server.{module}" for module, names in _PLACES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


__all__ = ["Behaviour", "RunningServer", "Store", "create_app", "running_server", "serve"]
