"""Work out how a run ends, from what was said by hand, what came back and what was raised."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from mission_tracer._base.endings import is_cancellation

if TYPE_CHECKING:
    from mission_tracer._capture import Capture

_LONGEST = 2000  # characters


class Outcome(Struct):
    """Hold what was said by hand of how a run ends; nothing, at first."""

    status: str | None = None
    summary: str | None = None
    payload: Mapping[str, Any] | None = None
    error: str | None = None

    def of_error(self, error: BaseException, capture: Capture) -> dict[str, Any]:
        """Return how a run ends that raised: it fails, or is cancelled unless it was said to have failed before."""
        is_cancelled = is_cancellation(error) and self.status != "failed"
        return {
            "status": "cancelled" if is_cancelled else "failed",
            "summary": capture.text(self.summary, max_chars=_LONGEST) if self.summary else None,
            "error": self.error or say(error, capture),
        }

    def of_result(self, result: Any, seconds: float, capture: Capture) -> dict[str, Any]:
        """Return how a run ends that raised nothing; what was said by hand counts more than what came back."""
        summary = self.summary
        if summary is None:
            summary = capture.summary(self.payload if result is None else result)
        payload = self.payload
        if payload is None:
            payload = result if capture.mode == "full" else capture.result(result)
        status = self.status or "succeeded"
        took = f"{'finished in' if status == 'succeeded' else f'{status} after'} {seconds:.1f} s"
        return {
            "status": status,
            "summary": capture.text(summary, max_chars=_LONGEST) if summary else took,
            "payload": None if payload is None else capture.mapping(payload),
            "error": self.error,
        }


def say(error: str | BaseException, capture: Capture) -> str:
    """Say an error, or a reason given as text, in one line."""
    return capture.error(error) if isinstance(error, BaseException) else capture.text(error, max_chars=_LONGEST)
