"""Close the open runs when the process is told to end, then do what would have been done without us."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mission_tracer._recording.recorder import Recorder


def close_on_sigterm(recording: Recorder) -> None:
    """Chain a SIGTERM handler that closes this process's runs as failed, with the signal's name, unless it is there.

    The program's own handler, or the default, follows. A handler that the program sets later replaces ours, until the
    next run begins; a forked child's SIGTERM leaves its parent's runs alone. Signals can be handled only from the main
    thread: elsewhere nothing is done.
    """
    before = signal.getsignal(signal.SIGTERM)
    if before is recording.on_sigterm or threading.current_thread() is not threading.main_thread():
        return
    owner = os.getpid()

    def close(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL if before is None else before)
        if os.getpid() == owner:
            for run in list(recording.runs.values()):
                if not run.is_joined:
                    run.fail(f"ended by {signal.Signals(number).name}")
                    run.end()
        if callable(before):
            before(number, frame)
        elif before != signal.SIG_IGN:
            os.kill(os.getpid(), number)

    recording.on_sigterm = close
    signal.signal(signal.SIGTERM, close)
