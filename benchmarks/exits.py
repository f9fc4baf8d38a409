"""(f) How long a program takes to end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks import worker
from benchmarks.columns import Column, UnusableError
from benchmarks.peers import Peer
from benchmarks.sink import running

TITLE = "How long a program takes to end"
ABOUT = (
    "200 records, then the program returns from its last line: seconds from there to the end of the process, and how"
    " many records the sink has then. What mission_tracer has not delivered is in its journal, and sent by the next"
    " start. A process is ended after 20 seconds."
)
UNIT = "s"
METRICS = ("exit s", "delivered of 200")
LONGEST = 20.0


def cases(*, quick: bool) -> dict[str, dict[str, Any]]:
    up: dict[str, dict[str, Any]] = {"server up": {}}
    return up if quick else {**up, "server down": {"down": True}, "server never answers": {"hang": True}}


def measure(column: Column, python: Path, *, down: bool = False, hang: bool = False) -> dict[str, float]:
    with running(down=down, hang=hang) as sink:
        try:
            figures = worker.run("exits", column, python, sink.url, timeout=LONGEST)
        except UnusableError as error:
            if "took over" not in str(error):
                raise
            figures = {"exit": LONGEST}  # killed then
        delivered = 0 if down else sink.count()["records"]
    return {"exit s": figures["exit"], "delivered of 200": delivered}


def work(peer: Peer) -> dict[str, float]:
    with peer.scope():
        for number in range(200):
            peer.record(f"record-{number:06}")
    return {"leaves_normally": 1}
