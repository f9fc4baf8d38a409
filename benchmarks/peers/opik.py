"""Opik's SDK; it has no events, so nothing stands for `log`."""

from __future__ import annotations

import os
from typing import Any

from benchmarks.peers import Function

os.environ.update(OPIK_URL_OVERRIDE="http://127.0.0.1:1", OPIK_WORKSPACE="default", OPIK_TRACK_DISABLE="false")

import opik  # type: ignore[import-not-found,import-untyped,unused-ignore]


def start(url: str, _variant: str) -> None:
    os.environ["OPIK_URL_OVERRIDE"] = f"{url}/api/"


def scope() -> Any:
    return opik.start_as_current_trace("run")


def step(function: Function) -> Any:
    return opik.track(function)


def tool(function: Function) -> Any:
    return opik.track(type="tool")(function)


def record(name: str) -> None:
    with opik.start_as_current_span(name):
        pass


def finish() -> None:
    opik.flush_tracker(600)
