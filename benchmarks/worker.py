"""Run one measurement inside a peer's own interpreter, and print its figures as one line of JSON.

Started by the rows: `python -m benchmarks.worker ROW PEER VARIANT URL OPTIONS`.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.columns import ROOT, Column, UnusableError
from benchmarks.peers import load


def main() -> None:
    """Measure what the command line says."""
    row, module, variant, url, options = sys.argv[1:]
    peer = load(module)
    peer.start(url, variant)
    try:
        figures = importlib.import_module(f"benchmarks.{row}").work(peer, **json.loads(options))
    except AttributeError as error:
        raise SystemExit(f"it has no such thing ({error.name})") from None
    print("\n" + json.dumps({**figures, "ended": time.time()}), flush=True)
    if not figures.get("leaves_normally"):
        getattr(peer, "leave", lambda: None)()
        os._exit(0)  # what is left to send is not this row's business


def run(
    row: str,
    column: Column,
    python: Path,
    url: str,
    *,
    timeout: float = 120,
    environ: Mapping[str, str] | None = None,
    **options: Any,
) -> dict[str, float]:
    """Run a row's `work` in a column's interpreter; return its figures, and `exit`, the seconds it took to end.

    Raises:
        UnusableError: It failed, or did not end in time.
    """
    words = [str(python), "-m", "benchmarks.worker", row, column.module, column.variant, url, json.dumps(options)]
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("TELNYX_", "OTEL_", "MISSION_"))}
    try:
        finished = subprocess.run(
            words,
            cwd=ROOT,
            env={**kept, **_QUIET, **(environ or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UnusableError(f"it took over {timeout:.0f} s") from None
    ended = time.time()
    found = [line for line in finished.stdout.splitlines() if line.startswith('{"')]
    if not found:
        raise UnusableError((finished.stderr.strip().splitlines() or ["it said nothing"])[-1][:200])
    figures: dict[str, float] = json.loads(found[-1])
    figures["exit"] = ended - figures.pop("ended")
    return figures


_QUIET = {"PYTHONWARNINGS": "ignore", "LOGFIRE_IGNORE_NO_CONFIG": "1", "OPIK_CONSOLE_LOGGING_LEVEL": "CRITICAL"}

if __name__ == "__main__":
    main()
