"""(c) How fast events reach a server that takes its time."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from benchmarks import worker
from benchmarks.columns import Column
from benchmarks.peers import Peer
from benchmarks.sink import running

TITLE = "Events a second to a slow server"
ABOUT = (
    "How many events a second arrive when every answer takes so long; from one run, and from 50 runs at once, what it"
    " takes to begin and end them included. Only those that make a request an event are compared."
)
UNIT = "/s"
METRICS = ("events/s",)
ONLY = ("ours", "telnyx")


def cases(*, quick: bool) -> dict[str, dict[str, Any]]:
    found = {}
    for latency in (0, 20, 50):
        for runs in (1, 50):
            events = 200 if quick else 1000 if runs == 1 else 2000
            name = f"{latency} ms, {'one run' if runs == 1 else '50 runs'}"
            found[name] = {"latency": latency / 1000, "runs": runs, "events": events}
    return found


def measure(column: Column, python: Path, *, latency: float, **options: Any) -> dict[str, float]:
    with running(latency=latency) as sink:
        return worker.run("drain", column, python, sink.url, **options)


def work(peer: Peer, runs: int, events: int) -> dict[str, float]:
    began = time.perf_counter()
    until = began + 10.0
    made = [0] * runs

    def one(which: int) -> None:
        with peer.scope():
            for number in range(events // runs):
                peer.log(f"event {number}")
                made[which] += 1
                if time.perf_counter() > until:  # whoever waits for each answer gets no further
                    break

    threads = [threading.Thread(target=one, args=(which,)) for which in range(runs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    peer.finish()
    return {"events/s": sum(made) / (time.perf_counter() - began)}
