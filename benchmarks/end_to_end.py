"""(b) Ten thousand records, from the first call until the sink has them all."""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import Any

from benchmarks import worker
from benchmarks.columns import Column
from benchmarks.peers import Peer
from benchmarks.sink import running

TITLE = "10,000 records, end to end"
ABOUT = (
    "One record after the other without a pause, then a flush. CPU is the recording process's, of all its threads; the"
    " telnyx SDK and mission_tracer make a request a record, as the API wants it, and the others send batches."
    " `delivered` is what the sink counted, each record once."
)
UNIT = ""
METRICS = ("CPU s", "wall s", "µs a record, caller", "requests", "peak RSS MB", "delivered")


def cases(*, quick: bool) -> dict[str, dict[str, Any]]:
    return {"quick, 500 records": {"records": 500}} if quick else {"10,000 records": {"records": 10_000}}


def measure(column: Column, python: Path, **options: Any) -> dict[str, float]:
    with running() as sink:
        figures = worker.run("end_to_end", column, python, sink.url, timeout=240, **options)
        count = sink.count()
    return {**figures, "requests": count["requests"], "delivered": count["records"]}


def work(peer: Peer, records: int) -> dict[str, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    with peer.scope():
        for number in range(records):
            peer.record(f"record-{number:06}")
        recorded = time.perf_counter()
    peer.finish()
    return {
        "CPU s": time.process_time() - cpu,
        "wall s": time.perf_counter() - wall,
        "µs a record, caller": (recorded - wall) / records * 1e6,
        "peak RSS MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
