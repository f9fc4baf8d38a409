"""Notice a gross loss of speed: `python -m benchmarks.guard` prints how recording compares with a yardstick.

The yardstick is plain Python that does what recording does in small (calls, a dict, JSON, a system call), so that the
ratio is about the same on a slow machine and on a fast one. More than twice the ratio in `guard.json` is a failure;
`--write` puts the present ratios there. They are kept for a Python and those after it: in 3.10 a call costs more.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import mission_tracer as mt
from mission_tracer.recorder import discard

STORED = Path(__file__).with_name("guard.json")
WORST = 2.0
_ROUNDS = 60
_CALLS = 100


class _Note:
    def __init__(self, name: str) -> None:
        self.name = name

    def line(self, number: int) -> bytes:
        return json.dumps({"name": self.name, "number": number, "at": time.time()}).encode()


def yardstick(fd: int) -> Callable[[], object]:
    """Return the work that recording is compared with."""
    numbers = iter(range(1 << 60))
    return lambda: os.write(fd, _Note("yardstick").line(next(numbers)) + b"\n")


def measure() -> dict[str, float]:
    """Return what each kind of call costs, in yardsticks; the best of many rounds, taken in turns."""

    def noop(value: int = 0) -> int:
        return value

    step, tool = mt.plan_step(noop), mt.tool_call(noop)
    with tempfile.TemporaryDirectory() as place, (Path(place) / "yardstick").open("wb", buffering=0) as file:
        mt.configure(dir=place, sender="off", log_level="off")
        work: dict[str, Callable[[], object]] = {
            "yardstick": yardstick(file.fileno()),
            "log_event": lambda: mt.log_event("Found 3 contractors"),
            "step": step,
            "tool_call": lambda: tool(7),
        }
        with mt.mission_run("guard"):
            best = _best(work)
        mt.configure(enabled=False)
        best |= _best({"disabled": step})
        discard()
    return {name: round(best[name] / best["yardstick"], 3) for name in best if name != "yardstick"}


def _best(work: dict[str, Callable[[], object]]) -> dict[str, float]:
    best = dict.fromkeys(work, float("inf"))
    for _ in range(_ROUNDS):
        for name, call in work.items():
            began = time.perf_counter()
            for _ in range(_CALLS):
                call()
            best[name] = min(best[name], time.perf_counter() - began)
    return best


def verdicts(measured: dict[str, float], stored: dict[str, float]) -> list[str]:
    """Say what became grossly slower; empty when nothing did."""
    return [
        f"{name} costs {figure} yardsticks, more than {WORST:g} times the {stored[name]} it did"
        for name, figure in measured.items()
        if figure > WORST * stored[name]
    ]


def main() -> int:
    """Measure, print, compare; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="store the present ratios")
    given = parser.parse_args()
    measured = measure()
    kept: dict[str, dict[str, float]] = json.loads(STORED.read_text())
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if given.write:
        kept[version] = measured
        STORED.write_text(json.dumps(kept, indent=2) + "\n")
    stored = kept[max(known for known in kept if known <= version)]
    for name, figure in measured.items():
        print(f"{name:10} {figure:8.3f} yardsticks, stored {stored[name]:8.3f}")
    lost = verdicts(measured, stored)
    print(*lost, sep="\n", file=sys.stderr, end="\n" if lost else "")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
