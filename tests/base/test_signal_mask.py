"""Signals are the program's."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

import pytest

import mission_tracer as mt
from mission_tracer._base.signal_mask import leave_signals
from tests.conftest import Api


def test_a_thread_leaves_signals_to_others() -> None:
    """A thread that leaves signals takes none but those of its own faults, and no other thread is touched."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    found: set[int] = set()

    def look() -> None:
        leave_signals()
        found.update(signal.pthread_sigmask(signal.SIG_BLOCK, []))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGALRM, signal.SIGRTMIN} <= found
    assert not found & {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT}
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux shows the mask of another thread")
def test_the_senders_threads_take_no_signals(api: Api) -> None:
    """No thread that delivers takes SIGINT: the main thread is to wake by it."""
    with mt.mission_run("Wash windows"):
        pass
    assert mt.flush(10)
    [sender, *_] = [thread for thread in threading.enumerate() if thread.name == "mission_tracer.sender"]
    status = Path(f"/proc/self/task/{sender.native_id}/status").read_text()
    [mask] = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigBlk:")]
    assert mask >> (signal.SIGINT - 1) & 1
