"""Hide secrets before anything is written down."""

from mission_tracer._redact.redaction import Redaction

__all__ = ["Redaction"]
