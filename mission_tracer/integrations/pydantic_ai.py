"""Record pydantic-ai in one line: let its agents tell their spans to a processor of ours, and to nobody else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mission_tracer import recorder
from mission_tracer.integrations._patches import Patches, ours, require

require("pydantic_ai", "2.0", distribution="pydantic-ai-slim")

from opentelemetry.sdk.resources import Resource  # noqa: E402 - the version is checked first
from opentelemetry.sdk.trace import TracerProvider  # noqa: E402
from opentelemetry.sdk.trace.sampling import ALWAYS_ON  # noqa: E402
from pydantic_ai import Agent  # noqa: E402
from pydantic_ai.models.instrumented import InstrumentationSettings  # noqa: E402

from mission_tracer.integrations.otel import MissionSpanProcessor, attach  # noqa: E402


def install(_name: str, *, mission: str | None = None) -> Callable[[], None]:
    """Have every agent tell its spans; return what restores it.

    A program that instruments its agents itself, before or after, keeps its settings: the processor is added to the
    tracer provider that they use. Otherwise the spans go to a provider of our own, and no exporter of the program sees
    prompts it did not ask for.

    Args:
        mission: As for `MissionSpanProcessor`.
    """
    processor = MissionSpanProcessor(mission=mission)
    listening = _Listening(processor)
    patches = Patches()

    def instrument_all(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        result = wrapped(*args, **kwargs)
        listening.begin()
        return result

    listening.begin()
    patches.wrap(Agent, "instrument_all", instrument_all)

    def undo() -> None:
        patches.undo()
        listening.end()
        processor.enabled = False
        processor.shutdown()

    return undo


class _Listening:
    """Keep a processor where the agents' spans go.

    Args:
        processor: The processor.
    """

    def __init__(self, processor: MissionSpanProcessor) -> None:
        self._processor = processor
        self._own: InstrumentationSettings | None = None
        self._detach: Callable[[], None] | None = None

    @ours
    def begin(self) -> None:
        """Listen where the spans go now; if they go nowhere, have them told to us alone."""
        self._leave()
        if not Agent._instrument_default:  # noqa: SLF001 - there is no way to ask
            self._own = self._own or _own_settings()
            Agent._instrument_default = self._own  # noqa: SLF001 - the way to say it is wrapped by us
        tracer = getattr(Agent._instrument_default, "tracer", None)  # noqa: SLF001
        # `True` means the global provider, and so does the tracer of one that is not set yet.
        self._detach = attach(self._processor, getattr(tracer, "span_processor", None))

    @ours
    def end(self) -> None:
        """Listen no more, and give the agents back as they were."""
        self._leave()
        if Agent._instrument_default is self._own:  # noqa: SLF001
            Agent._instrument_default = False  # noqa: SLF001

    def _leave(self) -> None:
        if self._detach is not None:
            self._detach()


def _own_settings() -> InstrumentationSettings:
    return InstrumentationSettings(
        tracer_provider=TracerProvider(sampler=ALWAYS_ON, resource=Resource.get_empty(), shutdown_on_exit=False),
        include_content=recorder.default().capture.mode == "full",
        include_binary_content=False,
    )
