"""Record the calls of a model's client: each answer is an event of type `message`, each failure an `error`."""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from mission_tracer import _context
from mission_tracer._base.endings import is_cancellation
from mission_tracer._base.ownership import Rank, disown, may_record, own
from mission_tracer.instrument import IntegrationError
from mission_tracer.integrations._before_ends import before_ends
from mission_tracer.integrations._coverage import is_claimed
from mission_tracer.integrations._model_streams import (
    Gathering,
    Streams,
    Watch,
    WatchedAsyncStream,
    WatchedStream,
    part,
)
from mission_tracer.integrations._patches import Patches, ours
from mission_tracer.integrations._span_events import Answer, split, write_answer
from mission_tracer.runs import Run
from mission_tracer.steps import Step

_RAW = 1 << 20  # bytes of an answer that was left raw, up to which it is read


class Library(NamedTuple):
    """What is particular to one client library.

    Args:
        provider: Who answers when the client's address does not say.
        stream: The class of its streams.
        async_stream: The class of its asynchronous streams.
        read: Reads a whole answer, as an object or as decoded JSON.
        gather: Makes what takes in a stream's pieces.
        streams: Keeps the streams under way.
    """

    provider: str
    stream: type
    async_stream: type
    read: Callable[[Any], Answer]
    gather: Callable[[], Gathering]
    streams: Streams


class ModelCall:
    """One call under way.

    Args:
        library: The client library.
        scope: The run or step it belongs to.
        provider: Who answers.
        model: The model that was asked; `None`: it is not said.
        told: True: its span is recorded, and so it is not.
    """

    def __init__(
        self, library: Library, scope: Run | Step, provider: str, model: str | None, *, told: bool = False
    ) -> None:
        self.library = library
        self.scope = scope
        self.run, step = split(scope)
        self.step_id = step.id if step is not None else None
        self._provider = provider
        self._model = model
        self._told = told
        self._began = time.perf_counter()

    def answered(self, answer: Answer, *, cancelled: bool = False) -> None:
        """Record what the model answered."""
        if self._told:
            return
        told = Answer(
            text=answer.text,
            tool_calls=answer.tool_calls,
            model=answer.model or self._model,
            provider=self._provider,
            usage=answer.usage,
        )
        write_answer(self.scope, told, cancelled=cancelled)

    @ours
    def failed(self, error: BaseException) -> None:
        """Record what ended the call."""
        if is_cancellation(error):
            self.answered(Answer(), cancelled=True)
        elif not self._told:
            self.run.note_error(error, self.step_id, since=self._began, model=self._model, provider=self._provider)

    def finish(self, result: Any) -> Any:
        """Record what the client returns, and return it; a stream is followed from now on."""
        stream = self._finish(result)
        return result if stream is None else stream

    @ours
    def _finish(self, result: Any) -> Any:
        library = self.library
        if isinstance(result, library.stream):
            return WatchedStream(result, self.watch(result))
        if isinstance(result, library.async_stream):
            return WatchedAsyncStream(result, self.watch(result))
        response = part(result, "http_response")
        self.answered(library.read(result) if response is None else library.read(_left_raw(response)))
        return None

    def watch(self, stream: Any) -> Watch:
        """Begin to follow a stream."""
        return Watch(self, self.library.streams, self.library.gather(), part(stream, "response"))


def _left_raw(response: Any) -> Any:
    """Read an answer that the program takes raw, if its body is here already; nothing is parsed or read for it."""
    try:
        content = response.content
        return json.loads(content) if len(content) <= _RAW else {}
    except Exception:  # noqa: BLE001 - a body that is not read yet is the library's own error, and none of ours
        return {}


@ours
def begin(library: Library, resource: Any, kwargs: Any) -> ModelCall | None:
    """Begin to record a call; `None`: it is not recorded, or by somebody who knows more of it."""
    scope = _context.current()
    if scope is None or not may_record(Rank.CLIENT) or split(scope)[0].stream is None:
        return None
    model = kwargs.get("model")
    asked = model if isinstance(model, str) else None
    return ModelCall(library, scope, _provider(library, resource), asked, told=is_claimed(Rank.CLIENT))


def _provider(library: Library, resource: Any) -> str:
    """Name who answers: the library's own service, or the host of another one that speaks its language."""
    host = urlsplit(str(part(part(resource, "_client"), "base_url") or "")).hostname or ""
    own = host.endswith(f"{library.provider}.com") or host in {"", "localhost"} or host.startswith("127.")
    return library.provider if own else "azure" if host.endswith(".azure.com") else host


def recording(library: Library) -> Callable[[Any, Any, Any, Any], Any]:
    """Return a wrapper for a method that asks the model, and returns its answer, a stream or an awaitable of either."""

    def ask(wrapped: Any, resource: Any, args: Any, kwargs: Any) -> Any:
        call = begin(library, resource, kwargs)
        if call is None:
            return wrapped(*args, **kwargs)
        owned = own(Rank.CLIENT)
        try:
            result = wrapped(*args, **kwargs)
        except BaseException as error:
            call.failed(error)
            raise
        finally:
            disown(owned)
        return awaited(call, result) if inspect.isawaitable(result) else call.finish(result)

    return ask


async def awaited(call: ModelCall, result: Any) -> Any:
    """Await an answer, and record it."""
    owned = own(Rank.CLIENT)
    try:
        found = await result
    except BaseException as error:
        call.failed(error)
        raise
    finally:
        disown(owned)
    return call.finish(found)


def install_on(places: Iterable[tuple[str, str, bool]], patches: Patches, library: Library) -> Callable[[], None]:
    """Wrap the methods that ask a model.

    Args:
        places: Module, `Class.method` and whether the integration is of no use without it.
        patches: Remembers what is wrapped.
        library: The client library.

    Raises:
        IntegrationError: One that matters is not there.
    """
    wrapper = recording(library)
    for module, path, matters in places:
        if not patches.wrap_path(module, path, wrapper) and matters:
            patches.undo()
            raise IntegrationError(f"{module}.{path} is not there: this version is not known to us")
    before_ends.add(library.streams)

    def undo() -> None:
        patches.undo()
        before_ends.discard(library.streams)

    return undo
