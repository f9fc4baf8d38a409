"""(e) What recording costs while the server is down."""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import Any

from benchmarks import worker
from benchmarks.columns import Column
from benchmarks.peers import Peer
from benchmarks.sink import running

TITLE = "Memory and CPU with the server down"
ABOUT = (
    "Nobody listens at the address. Records at a steady rate of a thousand a second, as far as the library keeps up;"
    " growth of the resident memory, and CPU of all threads, from the first record to a second after the last."
)
UNIT = ""
METRICS = ("RSS growth MB", "CPU s", "µs a record, caller", "records")


def cases(*, quick: bool) -> dict[str, dict[str, Any]]:
    return {"server down": {"seconds": 1.0 if quick else 4.0}}


def measure(column: Column, python: Path, **options: Any) -> dict[str, float]:
    with running(down=True) as sink:
        return worker.run("outage", column, python, sink.url, **options)


def work(peer: Peer, seconds: float) -> dict[str, float]:
    try:
        opened = peer.scope()
        opened.__enter__()
        peer.record("record-000000")
    except Exception as error:  # noqa: BLE001 - whatever it raises, it raises it into the program
        raise SystemExit(f"it raises into the program: {type(error).__name__}") from None
    before, cpu = _resident(), time.process_time()
    began = time.perf_counter()
    spent, number = 0.0, 0
    while (now := time.perf_counter()) - began < seconds:
        if number > (now - began) * 1000:
            time.sleep(0.001)
            continue
        number += 1
        peer.record(f"record-{number:06}")
        spent += time.perf_counter() - now
    time.sleep(1.0)
    return {
        "RSS growth MB": _resident() - before,
        "CPU s": time.process_time() - cpu,
        "µs a record, caller": spent / number * 1e6,
        "records": number,
    }


def _resident() -> float:
    """Return the resident memory in MB; its peak where the system does not tell."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
