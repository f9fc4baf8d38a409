"""A process that only delivers what others recorded: until it is killed, or until nothing waits.

python -m tests.chaos.deliver [SECONDS]
"""

from __future__ import annotations

import sys
import time

import mission_tracer as mt
from mission_tracer import facts, recorder
from mission_tracer._books import count_files
from mission_tracer._directory import Directory
from mission_tracer._journal import iterate_lines


def waits(directory: Directory, key: str) -> bool:
    """Say whether something of a run still has to be delivered; a paused run may wait for its next process."""
    try:
        pending = count_files(directory.journal(key), directory.log(key)).pending
        last: facts.Fact | None = None
        for line in iterate_lines(directory.journal(key)):
            fact = facts.decode(line.content) if line.content.startswith(b'{"fact":"run_') else None
            if fact is not None:
                last = fact
    except (OSError, ValueError):
        return True
    # A process that died before its first fact left an empty journal: nothing was recorded, nothing waits.
    return bool(pending) or not (last is None or isinstance(last, (facts.RunPaused, facts.RunClosed)))


def main(seconds: str = "inf") -> int:
    recording = recorder.default()
    recording.start()
    print("ready", flush=True)
    deadline = time.monotonic() + float(seconds)
    directory = Directory(recording.settings.dir)
    while time.monotonic() < deadline:
        time.sleep(0.1)
        if seconds != "inf" and not any(waits(directory, key) for key in sorted(directory.keys())):
            break
    left = [key for key in sorted(directory.keys()) if waits(directory, key)]
    print(*left, flush=True)
    mt.shutdown(5.0)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
