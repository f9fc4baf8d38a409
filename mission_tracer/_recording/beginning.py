"""Know which threads make what delivers at the moment: who interrupts one of them there has to do without.

A signal's handler or a destructor may come in the middle of the imports that this takes, and may record, or flush. On
that thread nobody can wait for them to end.
"""

from __future__ import annotations

import threading

from mission_tracer._disk.stream import Stream


class Beginning:
    """Hold what is recorded by whoever interrupts, until it is over."""

    def __init__(self) -> None:
        self.early: list[Stream] = []
        self._threads: set[int] = set()

    def __enter__(self) -> None:
        self._threads.add(threading.get_ident())

    def __exit__(self, *_: object) -> None:
        self._threads.discard(threading.get_ident())

    @property
    def is_here(self) -> bool:
        """Say whether this thread is in the middle of it."""
        return threading.get_ident() in self._threads

    def puts_off(self, stream: Stream) -> bool:
        """Keep what was written to for later, if this thread is in the middle of it; say whether it is kept."""
        if self.is_here:
            self.early.append(stream)
        return self.is_here
