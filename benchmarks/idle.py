"""(g) What a program pays that records nothing for a while."""

from __future__ import annotations

import resource
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks import worker
from benchmarks.columns import Column
from benchmarks.peers import Peer
from benchmarks.sink import running

TITLE = "Ten idle seconds"
ABOUT = (
    "From five seconds after one record on, which was delivered, with a run still open: CPU of all threads in ten"
    " seconds, how often a thread woke up, and how many threads there are besides the main one. All side by side."
)
UNIT = ""
METRICS = ("CPU ms", "wake-ups", "threads")
TOGETHER = True


def cases(*, quick: bool) -> dict[str, dict[str, Any]]:
    return {"idle": {"seconds": 1.0 if quick else 10.0}}


def measure(column: Column, python: Path, **options: Any) -> dict[str, float]:
    with running() as sink:
        return worker.run("idle", column, python, sink.url, **options)


def work(peer: Peer, seconds: float) -> dict[str, float]:
    with peer.scope():
        peer.record("record-000000")
        peer.finish()
        time.sleep(5.0)  # what a record leaves to be done is done
        before, cpu = resource.getrusage(resource.RUSAGE_SELF), time.process_time()
        time.sleep(seconds)
        woken = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - before.ru_nvcsw
        return {
            "CPU ms": (time.process_time() - cpu) * 1000,
            "wake-ups": max(0, woken - 1),
            "threads": threading.active_count() - 1,
        }
