"""The official `telnyx` SDK, called in line: what an author writes who uses no tracer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import telnyx

from benchmarks.peers import Function, around

_ids: dict[str, str] = {}


def start(url: str, _variant: str) -> None:
    globals()["_api"] = telnyx.Telnyx(api_key="KEY_benchmark", base_url=f"{url}/v2").ai.missions


def scope() -> Any:
    return _run()


@contextmanager
def _run() -> Iterator[None]:
    api: Any = globals()["_api"]
    mission = api.create(name="benchmark").data.mission_id
    run = api.runs.create(mission).data.run_id
    _ids.update(mission_id=mission, run_id=run)
    api.runs.update(run, mission_id=mission, status="running")
    yield
    api.runs.update(run, mission_id=mission, status="succeeded")


@contextmanager
def _step(name: str) -> Iterator[None]:
    plan: Any = globals()["_api"].runs.plan
    plan.update_step(name, **_ids, status="in_progress")
    yield
    plan.update_step(name, **_ids, status="completed")


def step(function: Function) -> Any:
    return around(_step, function)


def tool(function: Function) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        _event("tool_call", "tool", {"args": args, "kwargs": kwargs})
        result = function(*args, **kwargs)
        _event("tool_result", "tool", {"result": result})
        return result

    return call


def _event(kind: str, text: str, payload: Any = None) -> None:
    more = {"payload": payload} if payload else {}
    globals()["_api"].runs.events.log(_ids["run_id"], mission_id=_ids["mission_id"], type=kind, summary=text, **more)


def log(text: str) -> None:
    _event("custom", text)


record = log


def finish() -> None:
    pass
