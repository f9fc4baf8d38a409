"""Langfuse's SDK."""

from __future__ import annotations

import os
from typing import Any

from langfuse import Langfuse, observe  # type: ignore[import-not-found,import-untyped,unused-ignore]

from benchmarks.peers import Function


def start(url: str, _variant: str) -> None:
    os.environ.update(LANGFUSE_PUBLIC_KEY="pk-lf-b", LANGFUSE_SECRET_KEY="sk-lf-b", LANGFUSE_BASE_URL=url)
    globals()["_client"] = Langfuse()


def scope() -> Any:
    return _open("run")


def _open(name: str) -> Any:
    client: Any = globals()["_client"]
    return client.start_as_current_observation(name=name, as_type="span")


def step(function: Function) -> Any:
    return observe()(function)


def tool(function: Function) -> Any:
    return observe(as_type="tool")(function)


def log(text: str) -> None:
    globals()["_client"].create_event(name=text)


def record(name: str) -> None:
    with _open(name):
        pass


def finish() -> None:
    globals()["_client"].flush()
