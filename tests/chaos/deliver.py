"""A process that only delivers what others recorded: until it is killed, or until nothing waits.

python -m tests.chaos.deliver [SECONDS]

With SECONDS it ends when nothing waits, or when nothing was delivered for so long.
"""

from __future__ import annotations

import sys
import time

import mission_tracer as mt
from mission_tracer import facts, recorder
from mission_tracer._disk.books import count_files
from mission_tracer._disk.directory import Directory
from mission_tracer._disk.journal import iterate_lines


def waiting(directory: Directory) -> dict[str, int]:
    """List the runs that are not at their end, each with how many facts of it wait."""
    found = {key: left_of(directory, key) for key in sorted(directory.keys())}
    return {key: left for key, left in found.items() if left}


def left_of(directory: Directory, key: str) -> int:
    """Count what of a run is still to be delivered, its missing end too; a paused run may wait for its next process."""
    try:
        pending = count_files(directory.journal(key), directory.log(key)).pending
        last: facts.Fact | None = None
        for line in iterate_lines(directory.journal(key)):
            fact = facts.decode(line.content) if line.content.startswith(b'{"fact":"run_') else None
            if fact is not None:
                last = fact
    except FileNotFoundError:
        return 0  # it was put away while we looked
    except (OSError, ValueError):
        return 1
    # A process that died before its first fact left an empty journal: nothing was recorded, nothing waits.
    return pending + (not (last is None or isinstance(last, (facts.RunPaused, facts.RunClosed))))


def main(seconds: str = "inf") -> int:
    recording = recorder.default()
    recording.start()
    print("ready", flush=True)
    directory = Directory(recording.settings.dir)
    left, moved_at = waiting(directory), time.monotonic()
    while (left or seconds == "inf") and time.monotonic() - moved_at < float(seconds):
        time.sleep(0.2)
        before, left = left, waiting(directory)
        if left != before:
            moved_at = time.monotonic()
    print(*left, flush=True)
    mt.shutdown(5.0)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
