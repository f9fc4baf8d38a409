"""Hold the wire to the server: opened when something is first to be sent, and shared by all who send."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from mission_tracer._base.forks import held_off
from mission_tracer._planning.actions import Answer, Call, Lost, Unsent

if TYPE_CHECKING:
    from mission_tracer._sending.transport import Transport


class Wire:
    """Open a transport and send over it; safe to share between threads.

    Args:
        transport: Makes the transport.
        monotonic: Seconds that never go back.

    Attributes:
        is_opening: True: the HTTP library is imported, which takes seconds on a slow machine.
        opened_at: When it was opened, in seconds; 0: it was not yet.
    """

    def __init__(self, transport: Callable[[], Transport], *, monotonic: Callable[[], float]) -> None:
        self.is_opening = False
        self.opened_at = 0.0
        self._make = transport
        self._monotonic = monotonic
        self._transport: Transport | None = None
        self._opening = threading.RLock()

    def exchange(self, call: Call, *, within: float | None = None) -> Answer | Unsent | Lost:
        """Send one request and sort what came of it; a wire that cannot be opened is a server that is out of reach.

        Args:
            call: The request.
            within: The longest time for it, in seconds; `None`: the transport's own.
        """
        try:
            transport = self._transport or self._open()
        except Exception as error:  # noqa: BLE001 - a proxy, a certificate, a library that is of no use: it may be mended
            return Unsent(f"{type(error).__name__}: {error}")
        return transport.exchange(call, within=within)

    def _open(self) -> Transport:
        # OpenSSL's own locks are taken meanwhile: a child forked now could make no context for ever.
        with self._opening, held_off():
            if self._transport is None:
                self.is_opening = True
                try:
                    self._transport = self._make()
                finally:
                    self.is_opening = False
                self.opened_at = self._monotonic()
            return self._transport

    def tidy(self) -> None:
        """Close what was not used for long."""
        if self._transport is not None:
            self._transport.tidy()

    def close(self) -> None:
        """Close it; what is sent then opens it again."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()
