"""OpenTelemetry's SDK: `BatchSpanProcessor` and the OTLP exporter over HTTP."""

from __future__ import annotations

from typing import Any

from opentelemetry import trace  # type: ignore[import-not-found,import-untyped,unused-ignore]
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # type: ignore[import-not-found,import-untyped,unused-ignore]
from opentelemetry.sdk.trace import TracerProvider  # type: ignore[import-not-found,import-untyped,unused-ignore]
from opentelemetry.sdk.trace.export import BatchSpanProcessor  # type: ignore[import-not-found,import-untyped,unused-ignore]

from benchmarks.peers import Function, around

_provider = TracerProvider()
_tracer = _provider.get_tracer("benchmark")


def start(url: str, _variant: str) -> None:
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{url}/v1/traces")))


def scope() -> Any:
    return _tracer.start_as_current_span("run")


def step(function: Function) -> Any:
    return around(_tracer.start_as_current_span, function)


def tool(function: Function) -> Any:
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
