"""Turn any value into bounded, redacted JSON."""

from mission_tracer._capture.capture import Capture

__all__ = ["Capture"]
