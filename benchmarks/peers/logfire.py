"""Logfire's SDK."""

from __future__ import annotations

from typing import Any

import logfire  # type: ignore[import-not-found,import-untyped,unused-ignore]

from benchmarks.peers import Function


def start(url: str, _variant: str) -> None:
    logfire.configure(
        token="pylf_v1_local_b",
        send_to_logfire=True,
        console=False,
        inspect_arguments=False,
        advanced=logfire.AdvancedOptions(base_url=url),
    )


def scope() -> Any:
    return logfire.span("run")


def step(function: Function) -> Any:
    return logfire.instrument(extract_args=False)(function)


def tool(function: Function) -> Any:
    return logfire.instrument(record_return=True)(function)


def log(text: str) -> None:
    logfire.info(text)


def record(name: str) -> None:
    with logfire.span(name):
        pass


def finish() -> None:
    logfire.force_flush(600_000)
