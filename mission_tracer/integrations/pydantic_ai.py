"""Record pydantic-ai in one line: let its agents tell their spans to a processor of ours, and to nobody else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mission_tracer import recorder
from mission_tracer.integrations._patches import require

require("pydantic_ai", "2.0", distribution="pydantic-ai-slim")

from opentelemetry import trace  # noqa: E402 - the version is checked first
from opentelemetry.sdk.resources import Resource  # noqa: E402
from opentelemetry.sdk.trace import TracerProvider  # noqa: E402
from opentelemetry.sdk.trace.sampling import ALWAYS_ON  # noqa: E402
from pydantic_ai import Agent  # noqa: E402
from pydantic_ai.models.instrumented import InstrumentationSettings  # noqa: E402

from mission_tracer.integrations.otel import MissionSpanProcessor, attach  # noqa: E402


def install(_name: str, *, mission: str | None = None) -> Callable[[], None]:
    """Have every agent tell its spans; return what restores it.

    A program that instruments its agents already keeps its settings: the processor is added to its tracer provider, the
    global one. Otherwise the spans go to a provider of our own, and no exporter of the program sees prompts it did not
    ask for.

    Args:
        mission: As for `MissionSpanProcessor`.
    """
    processor = MissionSpanProcessor(mission=mission)
    before = Agent._instrument_default  # noqa: SLF001 - there is no way to ask
    settings = before
    if before is False:
        provider: Any = TracerProvider(sampler=ALWAYS_ON, resource=Resource.get_empty(), shutdown_on_exit=False)
        settings = InstrumentationSettings(
            tracer_provider=provider,
            include_content=recorder.default().capture.mode == "full",
            include_binary_content=False,
        )
        Agent.instrument_all(settings)
    else:
        provider = trace.get_tracer_provider()
    detach = attach(processor, provider)

    def undo() -> None:
        if Agent._instrument_default is settings:  # noqa: SLF001 - somebody may have changed it since
            Agent.instrument_all(before)
        detach()
        processor.enabled = False
        processor.shutdown()

    return undo
