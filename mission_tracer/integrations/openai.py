"""Record what models answer through the `openai` client: `instrument("openai")`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mission_tracer.integrations._model_calls import Library, install_on
from mission_tracer.integrations._model_streams import Pieces, Streams, part
from mission_tracer.integrations._patches import Patches, require
from mission_tracer.integrations._span_events import Answer, usage_of

openai = require("openai", "1.66")

_PLACES = [
    *[
        (f"openai.resources.{module}", f"{prefix}{name}.{method}", matters)
        for module, name, method, matters in (
            ("chat.completions", "Completions", "create", True),
            ("chat.completions", "Completions", "parse", False),
            ("responses", "Responses", "create", True),
            ("responses", "Responses", "parse", False),
            ("completions", "Completions", "create", False),
            ("beta.responses", "Responses", "create", False),
            ("beta.responses", "Responses", "parse", False),
            # Before 1.92 it was there, and it is a class of its own there.
            ("beta.chat.completions", "Completions", "parse", False),
        )
        for prefix in ("", "Async")
    ],
]


def install(_name: str) -> Callable[[], None]:
    """Record chat completions, responses and completions: created, parsed or streamed, sync or async."""
    library = Library("openai", openai.Stream, openai.AsyncStream, read, _Gathering, Streams())
    return install_on(_PLACES, Patches(), library)


def read(answer: Any) -> Answer:
    """Read a chat completion, a response or a completion, as an object or as decoded JSON."""
    pieces = Pieces()
    for number, choice in enumerate(part(answer, "choices") or ()):
        message = part(choice, "message")
        pieces.add_text("\n" if number else "")
        pieces.add_text(part(choice, "text") or part(message, "content") or part(message, "refusal"))
        for index, call in enumerate(part(message, "tool_calls") or ()):
            _add_call(pieces, (number, index), call)
    for index, item in enumerate(part(answer, "output") or ()):
        _add_item(pieces, index, item)
    return Answer(
        text=pieces.text,
        tool_calls=pieces.calls,
        model=part(answer, "model"),
        usage=_usage(part(answer, "usage")),
    )


def _add_call(pieces: Pieces, key: object, call: Any) -> None:
    function = part(call, "function") or part(call, "custom")
    pieces.call(
        key,
        name=part(function, "name"),
        call_id=part(call, "id"),
        arguments=part(function, "arguments") or part(function, "input"),
    )


def _add_item(pieces: Pieces, key: object, item: Any) -> None:
    """Take in one item of a response's output: text, or a call of a tool of whatever kind."""
    kind = part(item, "type")
    if kind == "message":
        for content in part(item, "content") or ():
            pieces.add_text(part(content, "text") or part(content, "refusal"))
    elif isinstance(kind, str) and kind.endswith("_call"):
        pieces.call(
            key,
            name=part(item, "name") or kind,
            call_id=part(item, "call_id") or part(item, "id"),
            arguments=part(item, "arguments") or part(item, "input"),
        )


def _usage(usage: Any) -> dict[str, int]:
    sent = part(usage, "input_tokens")
    received = part(usage, "output_tokens")
    return usage_of(
        part(usage, "prompt_tokens") if sent is None else sent,
        part(usage, "completion_tokens") if received is None else received,
        part(usage, "total_tokens"),
    )


class _Gathering:
    """Put the answer of a stream together, of chat completions, responses or completions."""

    def __init__(self) -> None:
        self._pieces = Pieces()
        self._model: str | None = None
        self._usage: Any = None
        self._whole: Any = None
        self.says_anything = False

    def take(self, piece: Any) -> None:
        """Take in one piece."""
        kind = part(piece, "type")
        if isinstance(kind, str) and kind.startswith("response."):
            self._take_event(kind, piece)
            return
        self._model = part(piece, "model") or self._model
        self._usage = part(piece, "usage") or self._usage
        for choice in part(piece, "choices") or ():
            self.says_anything = True
            delta = part(choice, "delta")
            self._pieces.add_text(part(choice, "text") or part(delta, "content") or part(delta, "refusal"))
            for call in part(delta, "tool_calls") or ():
                _add_call(self._pieces, (part(choice, "index"), part(call, "index")), call)

    def _take_event(self, kind: str, event: Any) -> None:
        response = part(event, "response")
        self._model = part(response, "model") or self._model
        if kind in {"response.output_text.delta", "response.refusal.delta"}:
            self.says_anything = True
            self._pieces.add_text(part(event, "delta"))
        elif kind == "response.output_item.done" and part(part(event, "item"), "type") != "message":
            self.says_anything = True
            _add_item(self._pieces, part(event, "output_index"), part(event, "item"))
        elif kind in {"response.completed", "response.incomplete", "response.failed"}:
            self._whole = response

    def answer(self) -> Answer:
        """Return the answer so far."""
        if self._whole is not None:
            return read(self._whole)
        return Answer(
            text=self._pieces.text, tool_calls=self._pieces.calls, model=self._model, usage=_usage(self._usage)
        )
