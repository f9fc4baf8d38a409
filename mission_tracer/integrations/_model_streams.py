"""Follow a model's answer that comes in pieces, to whichever of its ends: read out, given up, or broken."""

from __future__ import annotations

import json
import os
import weakref
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from typing import Any, Protocol

import wrapt
from typing_extensions import Self

from mission_tracer._base.endings import is_cancellation
from mission_tracer.integrations._patches import ours
from mission_tracer.integrations._span_events import Answer
from mission_tracer.runs import Run

_TEXT = 32_768  # characters of an answer that are kept
_CALLS = 64  # calls of tools that are kept
_ARGUMENTS = 8_192  # characters of a call's arguments that are kept


class Call(Protocol):
    """The call of the client that a stream answers."""

    run: Run
    step_id: str | None

    def answered(self, answer: Answer, *, cancelled: bool = False) -> None:
        """Record what the model answered."""

    def failed(self, error: BaseException) -> None:
        """Record what ended the call."""


class Gathering(Protocol):
    """What one library's pieces say, as far as it is kept."""

    @property
    def says_anything(self) -> bool:
        """Whether there is any of an answer."""
        ...

    def take(self, piece: Any) -> None:
        """Take in one piece."""

    def answer(self) -> Answer:
        """Return the answer so far."""
        ...


class Pieces:
    """Put text and calls of tools together from pieces, and keep no more than is recorded."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._room = _TEXT
        self._calls: dict[Any, dict[str, Any]] = {}

    def add_text(self, piece: object) -> None:
        """Add a piece of the text."""
        if isinstance(piece, str) and piece and self._room > 0:
            self._texts.append(piece[: self._room])
            self._room -= len(piece)

    def call(self, key: object, *, name: object = None, call_id: object = None, arguments: object = None) -> None:
        """Add to one call of a tool; a piece of arguments is appended, and an object replaces them."""
        if key not in self._calls and len(self._calls) >= _CALLS:
            return
        found = self._calls.setdefault(key, {"name": None, "id": None, "arguments": None})
        found["name"] = name or found["name"]
        found["id"] = call_id or found["id"]
        before = found["arguments"]
        if isinstance(arguments, str):
            before = before if isinstance(before, str) else ""
            found["arguments"] = before if len(before) > _ARGUMENTS else before + arguments
        elif arguments:
            found["arguments"] = arguments

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._texts)

    @property
    def calls(self) -> list[dict[str, Any]]:
        """The calls of tools so far."""
        return [tool_call(**found) for found in self._calls.values()]


def tool_call(*, name: object, id: object, arguments: object) -> dict[str, Any]:
    """Say one call of a tool; arguments that came as JSON are read."""
    if isinstance(arguments, str):
        # One that was cut off in the middle, or is no JSON, says what it says.
        with suppress(ValueError, RecursionError):
            arguments = json.loads(arguments) if arguments.strip() else {}
    return {"id": id, "name": name, "arguments": arguments}


def part(of: object, name: str) -> Any:
    """Return a part of an answer, be it an object of the library or decoded JSON; `None`: it has none."""
    return of.get(name) if isinstance(of, Mapping) else getattr(of, name, None)


class Streams:
    """Keep the streams under way, and end those that were given up before their step and their run end."""

    def __init__(self) -> None:
        self._open: weakref.WeakSet[Watch] = weakref.WeakSet()
        self._dropped: deque[Watch] = deque()

    def add(self, watch: Watch) -> None:
        """Keep a stream under way."""
        self._open.add(watch)

    def discard(self, watch: Watch) -> None:
        """Forget a stream that ended."""
        self._open.discard(watch)

    def drop(self, watch: Watch) -> None:
        """Note that nobody has a stream any more."""
        self._dropped.append(watch)

    def settle(self, run: Run | None = None, step_id: str | None = None) -> None:
        """End what was dropped or closed; at the end of a run, all that it has."""
        while self._dropped:
            self._dropped.popleft().end(cancelled=True)
        run_ends = run is not None and step_id is None
        for watch in list(self._open):
            if (run is None or watch.call.run is run) and (run_ends or watch.is_closed):
                watch.end(cancelled=True)


class Watch:
    """Follow one stream.

    Args:
        call: What it answers.
        streams: The others.
        gathering: Takes its pieces.
        response: The HTTP response behind it.
    """

    def __init__(self, call: Call, streams: Streams, gathering: Gathering, response: object) -> None:
        self.call = call
        self._streams = streams
        self._gathering = gathering
        self._response = response
        self._pid = os.getpid()
        self._ended = False
        streams.add(self)

    @ours
    def take(self, piece: Any) -> None:
        """Take in one piece."""
        self._gathering.take(piece)

    @ours
    def end(self, error: BaseException | None = None, *, cancelled: bool = False) -> None:
        """Record the answer, once: all of it, what there was when nobody read on, or what there was before an error."""
        if self._ended:
            return
        self._ended = True
        self._streams.discard(self)
        if self._pid != os.getpid():
            return  # a forked child has a copy; the stream is its parent's
        if error is not None and is_cancellation(error):
            error, cancelled = None, True
        if error is None or self._gathering.says_anything:
            self.call.answered(self._gathering.answer(), cancelled=cancelled or error is not None)
        if error is not None:
            self.call.failed(error)

    @property
    def is_closed(self) -> bool:
        """Whether the connection behind it is closed."""
        return getattr(self._response, "is_closed", False) is True

    def __del__(self) -> None:
        # No more than a note: it runs wherever the collector does, maybe in the middle of recording.
        if not self._ended:
            self._streams.drop(self)


class WatchedStream(wrapt.ObjectProxy):  # type: ignore[type-arg]  # what it wraps is not said by a type
    """Be a stream of the client, and tell of what is read from it. Nothing is read that the program does not read."""

    def __init__(self, stream: Any, watch: Watch) -> None:
        super().__init__(stream)
        self._self_watch = watch

    def __iter__(self) -> Iterator[Any]:
        watch = self._self_watch
        try:
            for piece in self.__wrapped__:
                watch.take(piece)
                yield piece
        except GeneratorExit:  # this loop is left; another may read on
            raise
        except BaseException as error:
            watch.end(error)
            raise
        watch.end()

    def __next__(self) -> Any:
        watch = self._self_watch
        try:
            piece = next(self.__wrapped__)
        except StopIteration:
            watch.end()
            raise
        except BaseException as error:
            watch.end(error)
            raise
        watch.take(piece)
        return piece

    def __enter__(self) -> Self:
        self.__wrapped__.__enter__()
        return self

    def __exit__(self, *about: object) -> Any:
        try:
            return self.__wrapped__.__exit__(*about)
        finally:
            self._self_watch.end(cancelled=True)

    def close(self) -> Any:
        """Close the stream."""
        try:
            return self.__wrapped__.close()
        finally:
            self._self_watch.end(cancelled=True)


class WatchedAsyncStream(wrapt.ObjectProxy):  # type: ignore[type-arg]  # what it wraps is not said by a type
    """Be an asynchronous stream of the client, and tell of what is read from it."""

    def __init__(self, stream: Any, watch: Watch) -> None:
        super().__init__(stream)
        self._self_watch = watch

    async def __aiter__(self) -> AsyncIterator[Any]:
        watch = self._self_watch
        try:
            async for piece in self.__wrapped__:
                watch.take(piece)
                yield piece
        except GeneratorExit:
            raise
        except BaseException as error:
            watch.end(error)
            raise
        watch.end()

    async def __anext__(self) -> Any:
        watch = self._self_watch
        try:
            piece = await self.__wrapped__.__anext__()
        except StopAsyncIteration:
            watch.end()
            raise
        except BaseException as error:
            watch.end(error)
            raise
        watch.take(piece)
        return piece

    async def __aenter__(self) -> Self:
        await self.__wrapped__.__aenter__()
        return self

    async def __aexit__(self, *about: object) -> Any:
        try:
            return await self.__wrapped__.__aexit__(*about)
        finally:
            self._self_watch.end(cancelled=True)

    async def close(self) -> Any:
        """Close the stream."""
        try:
            return await self.__wrapped__.close()
        finally:
            self._self_watch.end(cancelled=True)
