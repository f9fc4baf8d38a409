"""mission_tracer, with each durability, and switched off."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import AbstractContextManager
from typing import Any

import mission_tracer as mt
from benchmarks.peers import Function

tool: Any = mt.tool_call
log = mt.log_event
carry = mt.carry


def start(url: str, variant: str) -> None:
    given: dict[str, Any] = {"enabled": False} if variant == "disabled" else {"durability": variant}
    place = os.environ.get("MISSION_TRACER_DIR") or tempfile.mkdtemp(prefix="mission-tracer-benchmark-")
    mt.configure(api_key="KEY_benchmark", base_url=f"{url}/v2", dir=place, log_level="error", **given)


def scope() -> AbstractContextManager[Any]:
    return mt.mission_run("benchmark")


def step(function: Function) -> Function:
    return mt.plan_step(function)


def record(name: str) -> None:
    mt.log_event(name)


def finish() -> None:
    mt.flush(600)


def leave() -> None:
    """Delete what was recorded."""
    directory = mt.configure().directory
    if directory is not None:
        shutil.rmtree(directory.root, ignore_errors=True)
