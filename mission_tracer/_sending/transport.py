"""Make one HTTP exchange for the sender, and say which of four things came of it.

`Answer`   the server decided: a success with a usable body, or a refusal for good (4xx);
`Unsent`   the request certainly had no effect: no connection, or the server put it off (such as 429), does not let us
           in, or was not reached by what answers for it;
`Lost`     nobody knows: the connection broke, time ran out, the server failed (5xx, 408), or its success is unreadable.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401 - every host name is looked up with it, first on a sender's thread; see `_load_transport`
import functools
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx
import msgspec

from mission_tracer._api.endpoints import OPERATIONS, build, retry_after
from mission_tracer._base.locks import leave_at_forks
from mission_tracer._planning.actions import Answer, Call, Lost, Unsent
from mission_tracer._sending.transport_deadline import Punctual
from mission_tracer.errors import excerpt, explain, without_key

_CONNECT = 5.0
_LOCKED_OUT = {401, 403}
_NOT_NOW = _LOCKED_OUT | {402, 407, 421, 423, 425, 429}
_NOBODY = {404, 405, 410, 451}  # for good only in the API's own form: a gateway that has no way to it says the same
_HERE = _NOBODY | {403, 423, 425}  # may be said of a single mission or run, such as one of another account
_ON_THE_WAY = {408, 502, 503, 504}
_MOST = 64 * 1024 * 1024  # bytes of one answer; more is no answer of the API's
_KEPT = 3.0  # seconds; shorter than any server's own patience: a connection that it is about to close loses a request

# What is raised while the way to the server is made, when nothing was asked for yet.
_NO_WAY = (
    httpcore.ConnectError,
    httpcore.ConnectTimeout,
    httpcore.PoolTimeout,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)


class Connection(Protocol):
    """What httpcore makes: one connection, for one request at a time."""

    def handle_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request; return the beginning of its answer."""
        ...

    def is_available(self) -> bool:
        """Say whether another request may be sent."""
        ...

    def has_expired(self) -> bool:
        """Say whether it was not used for long, or the server has closed it."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


class Transport:
    """Send the sender's requests over kept connections; safe to share between threads.

    Below httpx, on httpcore, which does its work: a client's cookies, redirects, hooks and log lines, and models of a
    request and an answer, are of no use here, and they take more than half of the processor's time of a request.

    Args:
        base_url: Where the API is, without a slash at the end.
        api_key: The bearer token.
        timeout: The longest time for a request and its answer, in seconds.
        user_agent: What we call ourselves.
        clock: Seconds since the epoch.

    Raises:
        Exception: The address or the environment (a proxy, certificates) is of no use.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        timeout: float,
        user_agent: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._base = httpx.URL(base_url)
        self._headers = [
            (b"host", self._base.netloc),
            (b"authorization", f"Bearer {api_key}".encode()),
            (b"accept", b"application/json"),
            (b"accept-encoding", b"identity"),
            (b"content-type", b"application/json"),
            (b"user-agent", user_agent.encode()),
        ]
        self._api_key = api_key
        self._timeout = timeout
        self._url = functools.lru_cache(maxsize=64)(self._make_url)  # a run's events all go to one
        self._connect = functools.partial(_connecting(_proxy(base_url)), self._make_url("").origin)
        # The one used last comes last. A pool of httpcore's looks at all of its connections, twice for each request.
        self._idle: deque[tuple[float, Connection]] = deque()
        self._is_closed = False

    def _make_url(self, target: str) -> httpcore.URL:
        base = self._base
        prefix = base.raw_path.rstrip(b"/")
        return httpcore.URL(
            scheme=base.raw_scheme, host=base.raw_host, port=base.port, target=prefix + target.encode("ascii")
        )

    def exchange(self, call: Call, *, within: float | None = None) -> Answer | Unsent | Lost:
        """Send one request and sort what came of it.

        Args:
            call: The request.
            within: The longest time for it all, in seconds; `None`: the transport's own.
        """
        request = build(
            OPERATIONS[call.operation], call.path, call.query, **({} if call.body is None else {"body": _encoded(call)})
        )
        timeout = self._timeout if within is None else min(within, self._timeout)
        now = time.monotonic()
        content, headers = request.content, self._headers
        if content is not None:
            headers = [*headers, (b"content-length", b"%d" % len(content))]
        connection = self._take()
        try:
            response = connection.handle_request(
                httpcore.Request(
                    request.method,
                    self._url(request.target),
                    headers=headers,
                    content=content,
                    extensions={"timeout": _moments(now, timeout)},
                )
            )
            try:
                answer = _read(response)
            finally:
                response.close()
        except _NO_WAY as error:
            return Unsent(_say(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody knows what came of the request
            return Lost(_say(error))
        finally:
            self._give_back(connection)
        return self._sort(response, answer)

    def _take(self) -> Connection:
        with suppress(IndexError):
            while True:
                connection = self._idle.pop()[1]
                if not connection.has_expired():
                    return connection
                connection.close()
        connection = self._connect()
        leave_at_forks(connection)
        return connection

    def _give_back(self, connection: Connection) -> None:
        if connection.is_available():  # whatever was asked for on it was answered to the end
            self._idle.append((time.monotonic(), connection))
        else:
            connection.close()
        self.tidy()

    def tidy(self) -> None:
        """Close the connections that were not used for long."""
        oldest = time.monotonic() - _KEPT
        with suppress(IndexError):  # none is left, or another thread was quicker
            while self._is_closed or self._idle[0][0] < oldest:
                self._idle.popleft()[1].close()

    def close(self) -> None:
        """Close the connections; one that is in use closes after its request."""
        self._is_closed = True
        with suppress(IndexError):
            while True:
                self._idle.pop()[1].close()

    def _sort(self, response: httpcore.Response, content: bytes) -> Answer | Unsent | Lost:
        status = response.status
        if any(name.lower() == b"content-encoding" for name, _ in response.headers):
            content = _decoded(response, content)
        success = _success(status, content) if 200 <= status < 300 else None
        if success is not None:
            return success
        content = without_key(content, self._api_key)  # what the server says comes into logs and onto the disk
        if status < 300:
            return Lost(f"{status} with a body that is not the API's: {excerpt(content)}", status=status, answered=True)
        headers = httpx.Headers(response.headers)
        why = explain(status, headers.get("content-type"), content)
        after = retry_after(headers, self._clock())
        if status < 400:
            return Unsent(f"{why}; the server redirects, set base_url to the final address", after)
        if status in _NOT_NOW or (status in _NOBODY and not isinstance(_json(content), dict)):
            return Unsent(why, after, locked_out=status in _LOCKED_OUT, here=status in _HERE)
        if status == 408 or status >= 500:
            # What stands between us and the server answers for it, and the server may still be at it.
            return Lost(why, after, status, answered=status not in _ON_THE_WAY)
        return Answer(status, why=why)


def _proxy(base_url: str) -> str | None:
    """Return the proxy that the environment names for the API; `None`: none."""
    parts = urlsplit(base_url)
    proxies = getproxies()
    found = proxies.get(parts.scheme) or proxies.get("all")
    if not found or proxy_bypass(parts.netloc):
        return None
    return found if "://" in found else f"http://{found}"


def _connecting(proxy: str | None) -> Callable[[httpcore.Origin], Connection]:
    """Return what makes a connection to a server, as an `httpx.HTTPTransport` makes its own."""
    options: dict[str, Any] = {
        "ssl_context": httpx.create_ssl_context(),
        "keepalive_expiry": _KEPT,
        "network_backend": Punctual(),
    }
    if proxy is None:
        return httpcore.ConnectionPool(**options).create_connection
    told = httpx.Proxy(proxy)
    url = httpcore.URL(scheme=told.url.raw_scheme, host=told.url.raw_host, port=told.url.port, target=told.url.raw_path)
    kind = httpcore.SOCKSProxy if told.url.scheme.startswith("socks") else httpcore.HTTPProxy
    return kind(url, proxy_auth=told.raw_auth, **options).create_connection


def _moments(now: float, timeout: float) -> dict[str, float]:
    """Say until when each part of an exchange may take; see `transport_deadline`."""
    return {"connect": now + min(_CONNECT, timeout), "read": now + timeout, "write": now + timeout}


def _read(response: httpcore.Response) -> bytes:
    """Read an answer.

    Raises:
        httpcore.ReadTimeout: It takes too long.
        httpcore.ReadError: It is too large.
    """
    parts = []
    size = 0
    for part in response.iter_stream():
        parts.append(part)
        size += len(part)
        if size > _MOST:
            raise httpcore.ReadError("the answer is too large")
    return b"".join(parts)


def _decoded(response: httpcore.Response, content: bytes) -> bytes:
    """Unpack the answer of one that packs it unasked; what cannot be unpacked stays as it is."""
    try:
        return httpx.Response(response.status, headers=response.headers, content=content).content
    except httpx.DecodingError:
        return content


def _encoded(call: Call) -> bytes:
    return bytes(call.body) if isinstance(call.body, (bytes, msgspec.Raw)) else msgspec.json.encode(call.body)


def _success(status: int, content: bytes) -> Answer | None:
    """Read a success; `None`: it is not the API's."""
    if status == 204:
        return Answer(status)
    body = _json(content)
    if not isinstance(body, dict) or "data" not in body:
        return None
    meta = body.get("meta")
    pages = meta.get("total_pages") if isinstance(meta, dict) else None
    return Answer(status, body["data"], pages if isinstance(pages, int) else 1 << 30)


def _json(content: bytes) -> Any:
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError):
        return None


def _say(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
