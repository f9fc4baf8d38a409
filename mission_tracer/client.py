"""Talk to the Missions API: `MissionsClient` waits for answers, `AsyncMissionsClient` awaits them."""

import asyncio
import os
import random
import re
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TypeVar
from urllib.parse import urlsplit

import httpx
from typing_extensions import Self

from mission_tracer._api.endpoints import Request
from mission_tracer._api.flow import Answer, Call, Lost, Pace, converse
from mission_tracer._api.missions import Missions
from mission_tracer._api.pages import Async, AsyncPage, Listing, Page, PendingPage, Sync
from mission_tracer._context import silence
from mission_tracer._version import VERSION
from mission_tracer.errors import ConfigurationError, without_key
from mission_tracer.settings import Settings

__all__ = ["AsyncMissionsClient", "AsyncPage", "MissionsClient", "Page", "PendingPage"]

T = TypeVar("T")
H = TypeVar("H", httpx.Client, httpx.AsyncClient)

_CONNECT_SECONDS = 5.0
# These never left this machine, or got no further than a proxy that refused to pass them on.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)


class MissionsClient:
    """Call the 41 operations of the Missions API and wait for each answer.

    Use it as a context manager, or `close()` it. It may be shared between threads. Its own requests are never
    recorded.

    Args:
        api_key: the Telnyx API key; None: the variable `TELNYX_API_KEY`.
        base_url: where the API is; None: the variable `TELNYX_BASE_URL`, else Telnyx.
        timeout: the longest wait for an answer, in seconds; None: for ever. Connecting waits 5 seconds at most.
        max_retries: how many times a request that failed in passing is repeated, when that is safe.
        http_client: the connections to use, yours to close; None: own ones.
        clock: gives seconds since the epoch.
        sleep: waits for seconds.
        draw: draws from 0 to 1, to spread the waits.

    Raises:
        ConfigurationError: there is no API key, or an argument is wrong.
    """

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        *,
        timeout: float | None = 60.0,
        max_retries: int = 2,
        http_client: httpx.Client | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        line = _Line(api_key, base_url, timeout)
        self._http = _connections(http_client, httpx.Client)
        self._owned = http_client is None
        pace = _pace(max_retries, clock, draw)
        self.missions: Missions[Sync] = Missions(_SyncDriver(self._http, line, pace, sleep))

    def close(self) -> None:
        """Close the connections, unless they were given."""
        if self._owned:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncMissionsClient:
    """Call the 41 operations of the Missions API and await each answer.

    Use it as an asynchronous context manager, or await `aclose()`. Its own requests are never recorded.

    Args:
        api_key: the Telnyx API key; None: the variable `TELNYX_API_KEY`.
        base_url: where the API is; None: the variable `TELNYX_BASE_URL`, else Telnyx.
        timeout: the longest wait for an answer, in seconds; None: for ever. Connecting waits 5 seconds at most.
        max_retries: how many times a request that failed in passing is repeated, when that is safe.
        http_client: the connections to use, yours to close; None: own ones.
        clock: gives seconds since the epoch.
        sleep: waits for seconds; None: as the event loop does.
        draw: draws from 0 to 1, to spread the waits.

    Raises:
        ConfigurationError: there is no API key, or an argument is wrong.
    """

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        *,
        timeout: float | None = 60.0,
        max_retries: int = 2,
        http_client: httpx.AsyncClient | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        line = _Line(api_key, base_url, timeout)
        self._http = _connections(http_client, httpx.AsyncClient)
        self._owned = http_client is None
        pace = _pace(max_retries, clock, draw)
        self.missions: Missions[Async] = Missions(_AsyncDriver(self._http, line, pace, sleep))

    async def aclose(self) -> None:
        """Close the connections, unless they were given."""
        if self._owned:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class _Line:
    """Where requests go and under which key, as httpx wants it said."""

    def __init__(self, api_key: str | None, base_url: str | None, timeout: float | None) -> None:
        names = ("TELNYX_API_KEY", "TELNYX_BASE_URL")
        environ = {name: os.environ[name] for name in names if name in os.environ}
        # A client records nothing: it needs no directory.
        settings = Settings.load({"api_key": api_key, "base_url": base_url, "enabled": False}, environ=environ)
        if settings.api_key is None:
            raise ConfigurationError("no API key: pass api_key or set TELNYX_API_KEY")
        if not re.fullmatch(r"[!-~]+", settings.api_key):
            raise ConfigurationError("api_key must be printable ASCII without spaces")
        self.base_url = _checked(settings.base_url)
        self._api_key = settings.api_key
        self._headers = {
            "authorization": f"Bearer {settings.api_key}",
            "accept": "application/json",
            "user-agent": f"mission-tracer/{VERSION}",
        }
        if timeout is not None and not (_is_number(timeout, int, float) and timeout > 0):
            raise ConfigurationError(f"timeout must be more than 0 seconds, or None, not {timeout!r:.200}")
        connect = _CONNECT_SECONDS if timeout is None else min(_CONNECT_SECONDS, timeout)
        self._timeout = httpx.Timeout(timeout, connect=connect)

    def request(self, http: httpx.Client | httpx.AsyncClient, request: Request) -> httpx.Request:
        """Dress a request for httpx."""
        headers = self._headers
        if request.content is not None:
            headers = {**headers, "content-type": "application/json"}
        return http.build_request(
            request.method,
            self.base_url + request.target,
            content=request.content,
            headers=headers,
            timeout=self._timeout,
        )

    def answer(self, response: httpx.Response) -> Answer:
        """Take what httpx received; what a failure says may be shown to anybody."""
        content = response.content
        if not response.is_success:
            content = without_key(content, self._api_key)
        return Answer(response.status_code, response.headers, content)


class _SyncDriver:
    """Performs calls over an `httpx.Client`."""

    def __init__(self, http: httpx.Client, line: "_Line", pace: Pace, sleep: Callable[[float], None]) -> None:
        self._http, self._line, self._pace, self._sleep = http, line, pace, sleep

    def perform(self, what: Call[T]) -> T:
        flow = converse(what, self._line.base_url, self._pace)
        try:
            step = next(flow)
            while True:
                step = flow.send(self._send(step) if isinstance(step, Request) else self._sleep(step))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    def read(self, listing: Listing[T]) -> Page[T]:
        return Page.of(self.perform(listing.call()), listing, self)

    def _send(self, request: Request) -> Answer | Lost:
        try:
            with silence():
                response = self._http.send(self._line.request(self._http, request), follow_redirects=False)
        except httpx.RequestError as error:
            return _lost(error)
        return self._line.answer(response)


class _AsyncDriver:
    """Performs calls over an `httpx.AsyncClient`."""

    def __init__(
        self, http: httpx.AsyncClient, line: "_Line", pace: Pace, sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self._http, self._line, self._pace, self._sleep = http, line, pace, sleep

    async def perform(self, what: Call[T]) -> T:
        flow = converse(what, self._line.base_url, self._pace)
        try:
            step = next(flow)
            while True:
                step = flow.send(await (self._send(step) if isinstance(step, Request) else self._sleep(step)))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    def read(self, listing: Listing[T]) -> PendingPage[T]:
        return PendingPage(listing, self)

    async def _send(self, request: Request) -> Answer | Lost:
        try:
            with silence():
                response = await self._http.send(self._line.request(self._http, request), follow_redirects=False)
        except httpx.RequestError as error:
            return _lost(error)
        return self._line.answer(response)


def _is_number(value: object, *kinds: type) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def _pace(max_retries: int, clock: Callable[[], float], draw: Callable[[], float]) -> Pace:
    if not (_is_number(max_retries, int) and max_retries >= 0):
        raise ConfigurationError(f"max_retries must be a whole number, 0 or more, not {max_retries!r:.200}")
    return Pace(max_retries, clock, draw)


def _connections(given: H | None, kind: type[H]) -> H:
    if given is not None and not isinstance(given, kind):
        raise ConfigurationError(f"http_client must be an httpx.{kind.__name__}, not {type(given).__name__}")
    return kind() if given is None else given


def _checked(base_url: str) -> str:
    try:
        url, _port = httpx.URL(base_url), urlsplit(base_url).port
    except (httpx.InvalidURL, ValueError) as error:
        raise ConfigurationError(f"base_url: {error}") from None
    if url.userinfo:  # httpx would send it in place of the API key
        raise ConfigurationError("base_url must not hold a user name or password")
    if url.query or url.fragment:
        raise ConfigurationError("base_url must end with its path: no query, no fragment")
    return base_url


def _lost(error: httpx.RequestError) -> Lost:
    return Lost(error, sent=not isinstance(error, _UNSENT), timed_out=isinstance(error, httpx.TimeoutException))
