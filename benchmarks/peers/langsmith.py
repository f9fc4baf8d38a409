"""LangSmith's SDK."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import Any

from benchmarks.peers import Function

os.environ.update(LANGSMITH_TRACING="true", LANGSMITH_API_KEY="lsv2_b", LANGSMITH_DISABLE_RUN_COMPRESSION="true")

import langsmith
from langsmith.run_trees import get_cached_client


def start(url: str, _variant: str) -> None:
    os.environ["LANGSMITH_ENDPOINT"] = url


def scope() -> AbstractContextManager[Any]:
    return langsmith.trace("run")


def step(function: Function) -> Function:
    return langsmith.traceable(function)


def tool(function: Function) -> Function:
    return langsmith.traceable(run_type="tool")(function)


def log(text: str) -> None:
    tree: Any = langsmith.get_current_run_tree()
    tree.add_event({"name": text})


def record(name: str) -> None:
    with langsmith.trace(name):
        pass


def finish() -> None:
    get_cached_client().flush()
