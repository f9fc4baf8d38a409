"""What a command that a shell script gives inside a run takes, from its start to its exit, beside Python doing nothing.

Run: `python -m benchmarks.commands`.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time

import mission_tracer as mt
from mission_tracer import recorder

ROUNDS = 15
PYTHON = ["-c", "pass"]
COMMANDS = (
    ["event", "Found 3 contractors"],
    ["step", "start", "research"],
    ["step", "done", "research"],
    ["plan", "calls", "analyze"],
    ["tool", "search", "--arguments", '{"q": "window washers"}', "--result", '["ABC", "DEF"]'],
)


def measure(words: list[str], environ: dict[str, str], cwd: str) -> float:
    """Run Python to its end; return how long that took, in milliseconds."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *words], env=environ, cwd=cwd, check=True)
    return (time.perf_counter() - began) * 1e3


def main() -> None:
    """Measure all commands in turn; the median of each counts."""
    with tempfile.TemporaryDirectory() as directory:
        mt.configure(sender="off", dir=directory)
        with mt.mission_run("Benchmark"):
            environ = mt.inject({**os.environ, "MISSION_TRACER_DIR": directory})
            environ.pop("PYTHONDONTWRITEBYTECODE", None)
            works = {" ".join(words[:2]): ["-m", "mission_tracer", *words] for words in COMMANDS}
            works = {"python -c pass": PYTHON, **works}
            took: dict[str, list[float]] = {name: [] for name in works}
            for _ in range(ROUNDS + 1):
                for name, words in works.items():
                    took[name].append(measure(words, environ, directory))
        recorder.discard()
    print(f"{'milliseconds':32}{'median':>8}{'worst':>8}")
    for name, all_of_them in took.items():
        warm = all_of_them[1:]
        print(f"{name:32}{statistics.median(warm):>8.0f}{max(warm):>8.0f}")


if __name__ == "__main__":
    main()
