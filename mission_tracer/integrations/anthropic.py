"""Record what models answer through the `anthropic` client: `instrument("anthropic")`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import wrapt

from mission_tracer._base.ownership import Rank, disown, own
from mission_tracer.integrations._model_calls import Library, ModelCall, begin, install_on
from mission_tracer.integrations._model_streams import Pieces, Streams, Watch, WatchedAsyncStream, WatchedStream, part
from mission_tracer.integrations._patches import Patches, ours, require
from mission_tracer.integrations._span_events import Answer, usage_of

anthropic = require("anthropic", "0.40")

_RESOURCES = [
    (f"anthropic.resources.{module}", f"{prefix}{name}", matters)
    for module, name, matters in (("messages", "Messages", True), ("beta.messages", "Messages", False))
    for prefix in ("", "Async")
]
_PLACES = [
    (module, f"{owner}.{method}", matters and method == "create")
    for module, owner, matters in _RESOURCES
    for method in ("create", "parse")
]


def install(_name: str) -> Callable[[], None]:
    """Record messages: created, parsed or streamed, of the beta too, sync or async."""
    patches = Patches()
    library = Library("anthropic", anthropic.Stream, anthropic.AsyncStream, read, _Gathering, Streams())
    undo = install_on(_PLACES, patches, library)

    def stream(wrapped: Any, resource: Any, args: Any, kwargs: Any) -> Any:
        manager = wrapped(*args, **kwargs)
        return _watched(library, resource, kwargs, manager) or manager

    for module, owner, _ in _RESOURCES:
        patches.wrap_path(module, f"{owner}.stream", stream)
    return undo


# ---- streams by `stream()`: the request is made when the block is entered ----


@ours
def _watched(library: Library, resource: Any, kwargs: Any, manager: Any) -> Any:
    kind = _AsyncManager if hasattr(type(manager), "__aenter__") else _Manager
    return kind(manager, library, resource, kwargs)


class _Managing(wrapt.ObjectProxy):  # type: ignore[type-arg]  # what it wraps is not said by a type
    """Be the block that the client returns, and follow the stream that it gives."""

    def __init__(self, manager: Any, library: Library, resource: Any, kwargs: Any) -> None:
        super().__init__(manager)
        self._self_library = library
        self._self_resource = resource
        self._self_kwargs = {"model": kwargs.get("model")}
        self._self_watch: Watch | None = None

    @ours
    def _self_follow(self, call: ModelCall, stream: Any) -> None:
        # The events of the library are made of these pieces, whichever way they are read.
        raw = stream._raw_stream  # noqa: SLF001 - its only other door is closed: the stream makes itself
        self._self_watch = call.watch(raw)
        kind = WatchedAsyncStream if isinstance(raw, self._self_library.async_stream) else WatchedStream
        stream._raw_stream = kind(raw, self._self_watch)  # noqa: SLF001

    def _self_leave(self) -> None:
        if self._self_watch is not None:
            self._self_watch.end(cancelled=True)


class _Manager(_Managing):
    def __enter__(self) -> Any:
        call = begin(self._self_library, self._self_resource, self._self_kwargs)
        if call is None:
            return self.__wrapped__.__enter__()
        owned = own(Rank.CLIENT)
        try:
            stream = self.__wrapped__.__enter__()
        except BaseException as error:
            call.failed(error)
            raise
        finally:
            disown(owned)
        self._self_follow(call, stream)
        return stream

    def __exit__(self, *about: object) -> Any:
        try:
            return self.__wrapped__.__exit__(*about)
        finally:
            self._self_leave()


class _AsyncManager(_Managing):
    async def __aenter__(self) -> Any:
        call = begin(self._self_library, self._self_resource, self._self_kwargs)
        if call is None:
            return await self.__wrapped__.__aenter__()
        owned = own(Rank.CLIENT)
        try:
            stream = await self.__wrapped__.__aenter__()
        except BaseException as error:
            call.failed(error)
            raise
        finally:
            disown(owned)
        self._self_follow(call, stream)
        return stream

    async def __aexit__(self, *about: object) -> Any:
        try:
            return await self.__wrapped__.__aexit__(*about)
        finally:
            self._self_leave()


# ---- what they say ----


def read(answer: Any) -> Answer:
    """Read a message, as an object or as decoded JSON."""
    pieces = Pieces()
    for index, block in enumerate(part(answer, "content") or ()):
        _add_block(pieces, index, block)
    return Answer(
        text=pieces.text, tool_calls=pieces.calls, model=part(answer, "model"), usage=_usage([part(answer, "usage")])
    )


def _add_block(pieces: Pieces, key: object, block: Any) -> None:
    kind = part(block, "type")
    if kind == "text":
        pieces.add_text(part(block, "text"))
    elif isinstance(kind, str) and kind.endswith("tool_use"):
        pieces.call(key, name=part(block, "name"), call_id=part(block, "id"), arguments=part(block, "input"))


def _usage(told: list[Any]) -> dict[str, int]:
    """Count tokens; each later word on a number counts."""
    numbers: dict[str, int] = {}
    for usage in told:
        for name in ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"):
            count = part(usage, name)
            if isinstance(count, int):
                numbers[name] = count
    sent = numbers.get("input_tokens")
    cached = numbers.get("cache_creation_input_tokens", 0) + numbers.get("cache_read_input_tokens", 0)
    return usage_of(None if sent is None else sent + cached, numbers.get("output_tokens"))


class _Gathering:
    """Put the message of a stream together."""

    def __init__(self) -> None:
        self._pieces = Pieces()
        self._model: str | None = None
        self._told: list[Any] = []
        self.says_anything = False

    def take(self, piece: Any) -> None:
        """Take in one event."""
        kind = part(piece, "type")
        if kind == "message_start":
            message = part(piece, "message")
            self._model = part(message, "model")
            self._told = [part(message, "usage")]
        elif kind == "content_block_start":
            self.says_anything = True
            _add_block(self._pieces, part(piece, "index"), part(piece, "content_block"))
        elif kind == "content_block_delta":
            delta = part(piece, "delta")
            self._pieces.add_text(part(delta, "text"))
            if part(delta, "partial_json"):
                self._pieces.call(part(piece, "index"), arguments=part(delta, "partial_json"))
        elif kind == "message_delta":
            self._told = [*self._told[:1], part(piece, "usage")]

    def answer(self) -> Answer:
        """Return the message so far."""
        return Answer(
            text=self._pieces.text, tool_calls=self._pieces.calls, model=self._model, usage=_usage(self._told)
        )
