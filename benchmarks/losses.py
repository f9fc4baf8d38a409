"""(h) How much of what was recorded arrives, when something happens to the process or to the server."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import worker
from benchmarks.columns import Column, UnusableError
from benchmarks.peers import Peer
from benchmarks.sink import running

TITLE = "What is lost"
ABOUT = (
    "A program makes 200 records (a forked child: 50) and something happens; then another program of the same kind"
    " starts, makes one more record, and ends normally. How many records the sink has in the end, each counted once."
    " 503 is answered for five seconds while the program records for ten. A program is ended after 60 seconds."
)
UNIT = "records"
METRICS = ("recovered",)
RECORDS = 200
LONGEST = 60.0


def cases(*, quick: bool) -> dict[str, dict[str, Any]]:
    killed: dict[str, dict[str, Any]] = {"SIGKILL after the last record": {"end": "kill"}}
    return killed if quick else {
        **killed,
        "`os._exit(0)` after the last record": {"end": "exit"},
        "server down while the program lives": {"end": "return", "down": True},
        "server answers 503 for a while": {"end": "return", "refuse": 5.0, "seconds": 10.0},
        "50 records of a forked `multiprocessing` child": {"end": "child"},
    }  # fmt: skip


def measure(
    column: Column, python: Path, *, end: str, down: bool = False, refuse: float = 0.0, seconds: float = 0.0
) -> dict[str, float]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="mission-tracer-benchmark-") as place:
        options = {"timeout": LONGEST, "environ": {"MISSION_TRACER_DIR": place}}
        if down:
            _run(column, python, f"http://127.0.0.1:{port}", **options, end=end, seconds=seconds)
        with running(port=port, refuse=refuse) as sink:
            if not down:
                _run(column, python, sink.url, **options, end=end, seconds=seconds)
            _run(column, python, sink.url, **options, end="nothing", seconds=0.0)
            return {"recovered": sink.count()["records"]}


def _run(column: Column, python: Path, url: str, **options: Any) -> None:
    try:
        worker.run("losses", column, python, url, **options)
    except UnusableError as error:
        # It was killed before it could say anything, or did not end in time.
        if options["end"] not in {"kill", "exit"} and "took over" not in str(error):
            raise


def work(peer: Peer, *, end: str, seconds: float) -> dict[str, float]:
    if end == "child":
        with peer.scope():
            child = multiprocessing.get_context("fork").Process(target=_record, args=(peer, 50, 0.0))
            child.start()
            child.join()
    else:
        with peer.scope():
            peer.record("another") if end == "nothing" else _record(peer, RECORDS, seconds)
    if end == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if end == "exit":
        os._exit(0)
    return {"leaves_normally": 1}


def _record(peer: Peer, records: int, seconds: float) -> None:
    for number in range(records):
        peer.record(f"record-{number:06}")
        if seconds:
            time.sleep(seconds / records)
