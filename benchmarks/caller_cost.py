"""(a) What a recorded call costs its caller, while the exporter sends to a local sink."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import worker
from benchmarks.columns import Column
from benchmarks.peers import Peer
from benchmarks.sink import running

TITLE = "What a call costs its caller"
ABOUT = (
    "Calls one after the other, as fast as they go, while the exporter sends to the sink. Microseconds a call, less"
    " what the same call costs undecorated. A step of ours is two facts, a tool call two events; of the peers it is one"
    " span. `p99.9` is where an exporter that holds the interpreter shows."
)
UNIT = "µs"
SHAPES = ("step", "step, async", "step, 1 KB argument", "step, 8 threads", "tool call", "log_event")
METRICS = ("p50", "p99", "p99.9", "mean")
_SECONDS = 1.0  # the longest for one shape: the slow ones make fewer calls
_KB = "x" * 1024


def cases(*, quick: bool) -> dict[str, dict[str, Any]]:
    return {"all shapes": {"calls": 500 if quick else 3000}}


def measure(column: Column, python: Path, **options: Any) -> dict[str, float]:
    with running() as sink:
        return worker.run("caller_cost", column, python, sink.url, **options)


def work(peer: Peer, calls: int) -> dict[str, dict[str, float]]:
    return {shape: _cost(peer, shape, calls) for shape in SHAPES if shape != "log_event" or hasattr(peer, "log")}


def _cost(peer: Peer, shape: str, calls: int) -> dict[str, float]:
    bare = _times(_target(None, shape), shape, calls)
    with peer.scope():
        taken = _times(_target(peer, shape), shape, calls, peer)
    floor = bare[len(bare) // 2]
    return {
        "p50": _at(taken, 0.5) - floor,
        "p99": _at(taken, 0.99) - floor,
        "p99.9": _at(taken, 0.999) - floor,
        "mean": sum(taken) / len(taken) - floor,
    }


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _target(peer: Peer | None, shape: str) -> Callable[[], Any]:
    if shape == "log_event":
        return (lambda: None) if peer is None else (lambda: peer.log("Found 3 contractors"))
    if shape == "step, async":

        async def resting() -> None:
            pass

        return resting if peer is None else peer.step(resting)

    def noop(value: Any = None) -> None:
        pass

    function: Callable[..., Any] = noop
    if peer is not None:
        function = peer.tool(noop) if shape == "tool call" else peer.step(noop)
    return (lambda: function(_KB)) if "1 KB" in shape else function


def _times(call: Callable[[], Any], shape: str, calls: int, peer: Peer | None = None) -> list[float]:
    if inspect.iscoroutinefunction(call):
        return sorted(asyncio.run(_async_loop(call, calls)))
    for _ in range(50):
        call()
    if "threads" not in shape:
        return sorted(_loop(call, calls))
    taken: list[float] = []
    carry = getattr(peer, "carry", lambda function: function)  # takes the run along into another thread
    threads = [threading.Thread(target=carry(lambda: taken.extend(_loop(call, calls // 8)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(taken)


def _loop(call: Callable[[], Any], calls: int) -> list[float]:
    clock = time.perf_counter_ns
    taken = []
    until = time.monotonic() + _SECONDS
    for _ in range(calls):
        before = clock()
        call()
        taken.append((clock() - before) / 1000)
        if before & 15 == 0 and time.monotonic() > until:
            break
    return taken


async def _async_loop(call: Callable[[], Any], calls: int) -> list[float]:
    clock = time.perf_counter_ns
    taken = []
    until = time.monotonic() + _SECONDS
    for _ in range(calls):
        before = clock()
        await call()
        taken.append((clock() - before) / 1000)
        if before & 15 == 0 and time.monotonic() > until:
            break
    return taken
