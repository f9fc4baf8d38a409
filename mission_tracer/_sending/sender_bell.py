"""Wake a thread that waits for work, from anywhere: another thread, a signal handler, a destructor."""

from __future__ import annotations

import threading
from contextlib import suppress


class Bell:
    """Be rung by anyone; each ring wakes one thread, and rings that nobody has heard yet are one.

    A bare lock, not a queue: `queue.SimpleQueue.get` of CPython up to 3.12 waits for ever when another thread takes the
    item it was woken for and its time is up by then.
    """

    __slots__ = ("_silent",)

    def __init__(self) -> None:
        self._silent = threading.Lock()
        self._silent.acquire()

    def ring(self) -> None:
        """Wake a thread, now or when one comes to wait."""
        with suppress(RuntimeError):  # it rings already
            self._silent.release()

    def wait(self, timeout: float) -> bool:
        """Wait until it rings, or until the time is up, in seconds; say whether it rang."""
        return self._silent.acquire(timeout=timeout)
