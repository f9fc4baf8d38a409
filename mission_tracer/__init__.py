"""Record what an agent does to the Telnyx AI Missions API: durably, once, and without changing the agent."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mission_tracer._version import VERSION as __version__
from mission_tracer.decorators import log_event, mission_run, plan_step, tool_call
from mission_tracer.errors import ConfigurationError, MissionTracerError
from mission_tracer.instrument import instrument, uninstrument
from mission_tracer.models import EventType, ExecutionMode, RunStatus, StepStatus
from mission_tracer.opening import current_run, current_step
from mission_tracer.propagation import carry, continue_run, inject, join_from_environment
from mission_tracer.recorder import configure, default
from mission_tracer.runs import Run
from mission_tracer.settings import Settings
from mission_tracer.steps import Step
from mission_tracer.tools import ToolCall

if TYPE_CHECKING:
    from mission_tracer._books import Stats
    from mission_tracer.client import AsyncMissionsClient, MissionsClient

# What takes long to import is reached when it is first asked for.
_LAZY = {
    "AsyncMissionsClient": "mission_tracer.client",
    "MissionsClient": "mission_tracer.client",
    "Stats": "mission_tracer._books",
}
_LAZY_MODULES = {"client", "integrations", "server", "testing"}


def flush(timeout: float | None = None) -> bool:
    """Wait until all that this process recorded so far is delivered; say whether it is.

    Args:
        timeout: The longest wait, in seconds; `None`: the setting `flush_timeout`.
    """
    return default().flush(timeout)


def shutdown(timeout: float | None = None) -> bool:
    """Flush, then end the background threads; recording again starts them again. Say whether all is delivered.

    Args:
        timeout: The longest wait, in seconds; `None`: the setting `flush_timeout`.
    """
    return default().shutdown(timeout)


def stats() -> Stats:
    """Balance the books: what became of the facts this process recorded."""
    return default().stats()


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    if name in _LAZY_MODULES:
        return importlib.import_module(f"mission_tracer.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


join_from_environment()

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
