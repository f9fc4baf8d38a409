"""Say where something was recorded."""

from __future__ import annotations

import os
import platform
from typing import Any

from mission_tracer._version import VERSION


def about_this_process() -> dict[str, Any]:
    """Say what a run's metadata tells of where it was recorded."""
    return {
        "version": VERSION,
        "python": platform.python_version(),
        "host": platform.node(),
        "pid": os.getpid(),
    }
