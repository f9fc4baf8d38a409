"""LangSmith's SDK."""

from __future__ import annotations

import os
from typing import Any

from benchmarks.peers import Function

os.environ.update(LANGSMITH_TRACING="true", LANGSMITH_API_KEY="lsv2_b", LANGSMITH_DISABLE_RUN_COMPRESSION="true")

import langsmith  # type: ignore[import-not-found,import-untyped,unused-ignore]
from langsmith.run_trees import get_cached_client  # type: ignore[import-not-found,import-untyped,unused-ignore]


def start(url: str, _variant: str) -> None:
    os.environ["LANGSMITH_ENDPOINT"] = url


def scope() -> Any:
    return langsmith.trace("run")


def step(function: Function) -> Any:
    return langsmith.traceable(function)


def tool(function: Function) -> Any:
    return langsmith.traceable(run_type="tool")(function)


def log(text: str) -> None:
    tree: Any = langsmith.get_current_run_tree()
    tree.add_event({"name": text})


def record(name: str) -> None:
    with langsmith.trace(name):
        pass


def finish() -> None:
    get_cached_client().flush()
