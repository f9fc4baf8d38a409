"""Leave signals to the threads of the program."""

from __future__ import annotations

import signal

_FAULTS = {"SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV", "SIGSYS", "SIGTRAP"}


def leave_signals() -> None:
    """Have the calling thread take no signals, but for those of its own faults.

    The kernel may give a signal to any thread that takes it. One of ours would let the main thread sleep on, so that
    Ctrl-C seems to do nothing.
    """
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(
            signal.SIG_BLOCK, {number for number in signal.valid_signals() if _name(number) not in _FAULTS}
        )


def _name(number: int) -> str:
    return getattr(number, "name", "")  # those for real time have none
