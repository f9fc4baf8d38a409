"""OpenTelemetry's SDK: `BatchSpanProcessor` and the OTLP exporter over HTTP."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from benchmarks.peers import Function, around
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

_provider = TracerProvider()
_tracer = _provider.get_tracer("benchmark")


def start(url: str, _variant: str) -> None:
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{url}/v1/traces")))


def scope() -> AbstractContextManager[Any]:
    return _tracer.start_as_current_span("run")


def step(function: Function) -> Function:
    return around(_tracer.start_as_current_span, function)


def tool(function: Function) -> Function:
    def call(*args: Any, **kwargs: Any) -> Any:
        with _tracer.start_as_current_span("tool") as span:
            span.set_attribute("arguments", repr((args, kwargs)))
            result = function(*args, **kwargs)
            span.set_attribute("result", repr(result))
            return result

    return call


def log(text: str) -> None:
    trace.get_current_span().add_event(text)


def record(name: str) -> None:
    with _tracer.start_as_current_span(name):
        pass


def finish() -> None:
    _provider.force_flush(600_000)
