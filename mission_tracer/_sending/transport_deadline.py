"""Have a whole exchange end at a moment; httpcore itself bounds each wait for the next bytes, however many there are.

What httpcore hands on as a timeout, in seconds, is here a moment of the monotonic clock.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable

import httpcore


class Punctual(httpcore.NetworkBackend):
    """Open connections whose timeouts are moments."""

    def __init__(self) -> None:
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect until a moment.

        Raises:
            httpcore.ConnectTimeout: It has passed.
        """
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._backend.connect_tcp(host, port, left, local_address, socket_options), timeout)


class _Stream(httpcore.NetworkStream):
    """Read and write until a moment.

    Args:
        stream: Does it.
        until: The moment for whoever names none, as the greeting of a SOCKS proxy does not.
    """

    def __init__(self, stream: httpcore.NetworkStream, until: float | None) -> None:
        self._stream = stream
        self._until = until

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout or self._until, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout or self._until, httpcore.WriteTimeout))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left), timeout)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)

    def close(self) -> None:
        self._stream.close()


def _left(moment: float | None, late: type[httpcore.TimeoutException]) -> float | None:
    if moment is None:
        return None
    left = moment - time.monotonic()
    if left <= 0:
        raise late("the exchange takes too long")
    return left
