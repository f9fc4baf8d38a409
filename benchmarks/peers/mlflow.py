"""MLflow's tracing package, exporting over OTLP."""

from __future__ import annotations

import os
from typing import Any

import mlflow  # type: ignore[import-not-found,import-untyped,unused-ignore]

from benchmarks.peers import Function


def start(url: str, _variant: str) -> None:
    os.environ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = f"{url}/v1/traces"
    os.environ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] = "http/protobuf"
    mlflow.set_tracking_uri(url)


def scope() -> Any:
    return mlflow.start_span("run")


def step(function: Function) -> Any:
    return mlflow.trace(function)


def tool(function: Function) -> Any:
    return mlflow.trace(function, span_type="TOOL")


def log(text: str) -> None:
    span: Any = mlflow.get_current_active_span()
    span.add_event(mlflow.entities.SpanEvent(text))


def record(name: str) -> None:
    with mlflow.start_span(name):
        pass


def finish() -> None:
    from mlflow.tracing import get_bridged_tracer_provider  # type: ignore[import-not-found,import-untyped,unused-ignore]

    # Its own `flush_trace_async_logging` knows only its own server; what goes out over OTLP is the provider's.
    get_bridged_tracer_provider().force_flush(600_000)
