"""Kill programs at random and say what came of it: `python -m tests.chaos --kills 300 --seed 1`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.driver import Chaos
from tests.faults import MIXED, read_rates


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Kill recording programs at random.")
    parser.add_argument("--kills", type=int, default=30, help="how many processes are killed (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="what everything is drawn from (default: %(default)s)")
    parser.add_argument("--rates", default="mixed", help="faults as kind=rate,..., or `mixed` (default)")
    parser.add_argument("--at-once", type=int, default=3, help="programs at the same time (default: %(default)s)")
    parser.add_argument("--keep", metavar="DIR", type=Path, help="leave all files here")
    given = parser.parse_args()
    rates = MIXED if given.rates == "mixed" else read_rates(given.rates)
    with tempfile.TemporaryDirectory(prefix="chaos-") as scratch:
        started = time.monotonic()
        chaos = Chaos(given.keep or Path(scratch), given.seed, given.kills, dict(rates), given.at_once)
        verdict = chaos.run()
        took = time.monotonic() - started
    killed = ", ".join(f"{count} {way}" for way, count in sorted(chaos.killed.items()))
    print(f"seed {given.seed}: {given.kills} kills in {took:.0f} s ({killed})")
    print(verdict)
    for fault in verdict.faults[:50]:
        print(" ", fault)
    return 1 if verdict.faults else 0


if __name__ == "__main__":
    sys.exit(main())
