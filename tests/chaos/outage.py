"""Record while the server is down, see that the memory stays as it is, and deliver everything when it is back.

python -m tests.chaos.outage --facts 1000000
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import mission_tracer as mt
from benchmarks.sink import running
from tests.processes import free_port

WARM_UP = 5_000
STALLED = 60.0  # seconds


@dataclass(frozen=True)
class Outage:
    """What came of it: megabytes, seconds, counts."""

    facts: int
    grown_while_down: float
    grown_while_draining: float
    recording: float
    draining: float
    arrived: int
    stats: mt.Stats

    def __str__(self) -> str:
        return (
            f"{self.facts} facts recorded in {self.recording:.0f} s while the server was down: "
            f"memory grew by {self.grown_while_down:.1f} MB\n"
            f"{self.arrived} of them delivered in {self.draining:.0f} s: "
            f"memory grew by {self.grown_while_draining:.1f} MB more\n{self.stats}"
        )


def resident() -> float:
    """Return the memory of this process, in MB (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def endure(facts: int, place: Path) -> Outage:
    """Record facts for a server that is not there yet, then let it come."""
    port = free_port()
    mt.configure(
        api_key="KEY_x", base_url=f"http://127.0.0.1:{port}/v2", dir=str(place), log_level="off", max_backoff=1
    )
    highest = 0.0
    with mt.mission_run("Outage"):
        for _ in range(WARM_UP):
            mt.log_event("warm up")
        gc.collect()
        before, started = resident(), time.monotonic()
        for number in range(facts):
            mt.log_event(f"record-{number:06}")
            if number % 1000 == 0:
                highest = max(highest, resident())
        recorded = time.monotonic()
    down = max(highest, resident())
    with running(port=port) as sink:
        left, moved = mt.stats().pending, time.monotonic()
        while left and time.monotonic() - moved < STALLED:
            mt.flush(5.0)
            highest = max(highest, resident())
            pending = mt.stats().pending
            if pending < left:
                left, moved = pending, time.monotonic()
        drained = time.monotonic()
        arrived = sink.count()["records"]
    stats = mt.stats()
    return Outage(facts, down - before, highest - down, recorded - started, drained - recorded, arrived, stats)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos.outage", description="Record while the server is down."
    )
    parser.add_argument("--facts", type=int, default=100_000, help="how many (default: %(default)s)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="outage-") as place:
        outage = endure(given.facts, Path(place))
        mt.shutdown(5)
    print(outage)
    fine = outage.grown_while_down < 30 and outage.arrived == given.facts and not outage.stats.pending
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
