"""Record HTTP requests as calls of a tool: `instrument("httpx", "httpx2", "requests")`.

What is recorded is who was asked for what, and how it was answered; bodies never are. Requests that a client of a model
makes, and our own, are recorded by those who know more of them, or not at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from mission_tracer import _context
from mission_tracer._base.endings import is_cancellation
from mission_tracer._base.ownership import Rank, disown, may_record, own
from mission_tracer._redact.names import is_secret
from mission_tracer._redact.redaction import REDACTED
from mission_tracer.integrations._coverage import is_claimed
from mission_tracer.integrations._patches import Patches, ours, require
from mission_tracer.integrations._span_events import Call, split

_LEAST = {"httpx": "0.23", "httpx2": "2.0", "requests": "2.25"}
_MOST_HEADERS = 64
_MOST_CHARACTERS = 1000


class _Wanted(NamedTuple):
    """What the user wants recorded."""

    headers: bool
    skip: frozenset[str]


def install(name: str, *, headers: bool = False, skip: Iterable[str] = ()) -> Callable[[], None]:
    """Record the requests of one library.

    Args:
        name: `httpx`, `httpx2` or `requests`.
        headers: True: headers are recorded too, those with secrets without their values.
        skip: Hosts whose requests are left out.
    """
    library = require(name, _LEAST[name])
    wanted = _Wanted(headers, frozenset([skip] if isinstance(skip, str) else skip))
    patches = Patches()
    if name == "requests":
        patches.wrap(library.Session, "send", _sending(wanted))
    else:
        patches.wrap(library.Client, "send", _sending(wanted))
        patches.wrap(library.AsyncClient, "send", _sending_async(wanted))
    return patches.undo


def _sending(wanted: _Wanted) -> Callable[[Any, Any, Any, Any], Any]:
    def send(wrapped: Any, _client: Any, args: Any, kwargs: Any) -> Any:
        call = _begin(wanted, args, kwargs)
        if call is None:
            return wrapped(*args, **kwargs)
        owned = own(Rank.HTTP)
        try:
            response = wrapped(*args, **kwargs)
        except BaseException as error:
            _end(wanted, call, None, error)
            raise
        finally:
            disown(owned)
        _end(wanted, call, response, None)
        return response

    return send


def _sending_async(wanted: _Wanted) -> Callable[[Any, Any, Any, Any], Any]:
    async def send(wrapped: Any, _client: Any, args: Any, kwargs: Any) -> Any:
        call = _begin(wanted, args, kwargs)
        if call is None:
            return await wrapped(*args, **kwargs)
        owned = own(Rank.HTTP)
        try:
            response = await wrapped(*args, **kwargs)
        except BaseException as error:
            _end(wanted, call, None, error)
            raise
        finally:
            disown(owned)
        _end(wanted, call, response, None)
        return response

    return send


@ours
def _begin(wanted: _Wanted, args: Any, kwargs: Any) -> Call | None:
    scope = _context.current()
    if scope is None or not may_record(Rank.HTTP) or split(scope)[0].stream is None:
        return None
    request = args[0] if args else kwargs["request"]
    parts = urlsplit(str(request.url))
    if parts.hostname in wanted.skip or is_claimed(Rank.HTTP):
        return None
    asked: dict[str, Any] = {"method": str(request.method), "url": shown_url(str(request.url))}
    if wanted.headers:
        asked["headers"] = shown_headers(request.headers)
    return Call(scope, "http", asked, call_id=None, began=time.perf_counter())


@ours
def _end(wanted: _Wanted, call: Call, response: Any, error: BaseException | None) -> None:
    if error is not None:
        call.end({"cancelled": True}, None) if is_cancellation(error) else call.end(None, error)
        return
    answered: dict[str, Any] = {"status": response.status_code}
    kind, length = response.headers.get("content-type"), response.headers.get("content-length")
    if kind:
        answered["content_type"] = str(kind)
    if length and str(length).isdigit():
        answered["bytes"] = int(length)
    if wanted.headers:
        answered["headers"] = shown_headers(response.headers)
    call.end(answered, None)


def shown_url(url: str) -> str:
    """Return a URL without its user, password and fragment; its query is redacted like every text."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))


def shown_headers(headers: Mapping[Any, Any]) -> dict[str, str]:
    """Return headers, those with secrets without their values, whatever the setting `redact` says."""
    shown = {}
    for name, value in list(headers.items())[:_MOST_HEADERS]:
        text = name.decode("latin-1") if isinstance(name, bytes) else str(name)
        said = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        shown[text.lower()] = REDACTED if is_secret(text) else said[:_MOST_CHARACTERS]
    return shown
