"""Record what an agent does to the Telnyx AI Missions API: durably, once, and without changing the agent."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from mission_tracer import _context
from mission_tracer._version import VERSION as __version__
from mission_tracer.instrument import instrument, uninstrument  # now: the function hides the module of that name

if TYPE_CHECKING:
    from mission_tracer._disk.books import Stats
    from mission_tracer.client import AsyncMissionsClient, MissionsClient
    from mission_tracer.decorators import log_event, mission_run, plan_step, tool_call
    from mission_tracer.errors import ConfigurationError, MissionTracerError
    from mission_tracer.models import EventType, ExecutionMode, RunStatus, StepStatus
    from mission_tracer.opening import current_run, current_step
    from mission_tracer.propagation import carry, continue_run, inject
    from mission_tracer.recorder import configure
    from mission_tracer.runs import Run
    from mission_tracer.settings import Settings
    from mission_tracer.steps import Step
    from mission_tracer.tools import ToolCall

# Everything is imported when it is first asked for: the command line, which lives for a moment, needs little of it.
_PLACES = {
    "_disk.books": ("Stats",),
    "client": ("AsyncMissionsClient", "MissionsClient"),
    "decorators": ("log_event", "mission_run", "plan_step", "tool_call"),
    "errors": ("ConfigurationError", "MissionTracerError"),
    "models": ("EventType", "ExecutionMode", "RunStatus", "StepStatus"),
    "opening": ("current_run", "current_step"),
    "propagation": ("carry", "continue_run", "inject"),
    "recorder": ("configure",),
    "runs": ("Run",),
    "settings": ("Settings",),
    "steps": ("Step",),
    "tools": ("ToolCall",),
}
_MODULES = {name: f"mission_tracer.{module}" for module, names in _PLACES.items() for name in names}
_LAZY_MODULES = {"client", "integrations", "server", "testing"}


def flush(timeout: float | None = None) -> bool:
    """Wait until all that this process recorded so far is delivered; say whether it is.

    Args:
        timeout: The longest wait, in seconds; `None`: the setting `flush_timeout`.
    """
    return bool(_default().flush(timeout))


def shutdown(timeout: float | None = None) -> bool:
    """Flush, then end the background threads; recording again starts them again. Say whether all is delivered.

    Args:
        timeout: The longest wait, in seconds; `None`: the setting `flush_timeout`.
    """
    return bool(_default().shutdown(timeout))


def stats() -> Stats:
    """Balance the books: what became of the facts this process recorded.

    Raises:
        OSError: A journal cannot be read.
    """
    books: Stats = _default().stats()
    return books


def _default() -> Any:
    return importlib.import_module("mission_tracer.recorder").default()


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        # Kept, so that the next look finds it at once.
        found = globals()[name] = getattr(importlib.import_module(_MODULES[name]), name)
        return found
    if name in _LAZY_MODULES:
        return importlib.import_module(f"mission_tracer.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_LAZY_MODULES, *(name for name in globals() if name.startswith("__"))})


_context.take_part(os.environ, lambda carrier: importlib.import_module("mission_tracer.propagation").Parent(carrier))

__all__ = [
    "AsyncMissionsClient",
    "ConfigurationError",
    "EventType",
    "ExecutionMode",
    "MissionTracerError",
    "MissionsClient",
    "Run",
    "RunStatus",
    "Settings",
    "Stats",
    "Step",
    "StepStatus",
    "ToolCall",
    "__version__",
    "carry",
    "configure",
    "continue_run",
    "current_run",
    "current_step",
    "flush",
    "inject",
    "instrument",
    "log_event",
    "mission_run",
    "plan_step",
    "shutdown",
    "stats",
    "tool_call",
    "uninstrument",
]
