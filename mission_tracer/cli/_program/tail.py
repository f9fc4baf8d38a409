"""Keep the tail of a program's output, which passes on to where it was going."""

from __future__ import annotations

import fcntl
import os
import termios
import threading
import tty
from collections import deque
from contextlib import suppress

_KEPT = 8192  # bytes of each stream
_GRACE = 0.5  # seconds for what the program's own children still write


class Tap:
    """Copy one stream: a terminal stays a terminal for the program, anything else becomes a pipe.

    Args:
        name: What to call it.
        fd: Where it goes.
    """

    def __init__(self, name: str, fd: int) -> None:
        self.name = name
        self.total = 0
        self._fd = fd
        self._tail: deque[bytes] = deque()
        self._held = 0
        self._is_terminal = os.isatty(fd)
        if self._is_terminal:
            self._ours, self._theirs = os.openpty()
            tty.setraw(self._theirs)
            self.resize()
        else:
            self._ours, self._theirs = os.pipe()
        self._thread = threading.Thread(target=self._copy, name=f"mission_tracer.{name}", daemon=True)

    def connect(self) -> None:
        """Put the program's end in place, in the child."""
        os.dup2(self._theirs, self._fd)

    def open(self) -> None:
        """Begin to copy, in the parent."""
        os.close(self._theirs)
        self._thread.start()

    def resize(self) -> None:
        """Give the program's terminal the size of the real one."""
        if self._is_terminal:
            with suppress(OSError):
                fcntl.ioctl(self._ours, termios.TIOCSWINSZ, fcntl.ioctl(self._fd, termios.TIOCGWINSZ, bytes(8)))

    def close(self) -> None:
        """Wait for the rest, but not for a child of the program that holds the stream open."""
        self._thread.join(_GRACE)

    def text(self) -> str:
        """Return the last of what was written."""
        kept = b"".join(self._tail)[-_KEPT:]
        return kept.decode("utf-8", "replace")

    def _copy(self) -> None:
        while True:
            try:
                some = os.read(self._ours, 65536)
            except OSError:
                some = b""  # what a terminal says when its other end is closed
            if not some:
                break
            self._keep(some)
            try:
                while some:
                    some = some[os.write(self._fd, some) :]
            except OSError:
                break  # nobody reads it any more: the program is to notice
        os.close(self._ours)

    def _keep(self, some: bytes) -> None:
        self.total += len(some)
        self._tail.append(some[-_KEPT:])
        self._held += len(self._tail[-1])
        while self._held - len(self._tail[0]) >= _KEPT:
            self._held -= len(self._tail.popleft())


class Taps:
    """Copy a program's standard output and standard error."""

    def __init__(self) -> None:
        """Make both; nothing is copied yet."""
        self._all = (Tap("stdout", 1), Tap("stderr", 2))

    def connect(self) -> None:
        """Put the program's ends in place, in the child."""
        for tap in self._all:
            tap.connect()

    def open(self) -> None:
        """Begin to copy, in the parent."""
        for tap in self._all:
            tap.open()

    def resize(self) -> None:
        """Pass on the size of the real terminal."""
        for tap in self._all:
            tap.resize()

    def close(self) -> None:
        """Wait for the rest."""
        for tap in self._all:
            tap.close()

    def tails(self) -> list[tuple[str, int, str]]:
        """Return the name, the length in bytes and the last of each stream that had anything."""
        return [(tap.name, tap.total, tap.text()) for tap in self._all if tap.total]
