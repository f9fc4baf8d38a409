"""Retention: delivered runs go when they are old or too many; nothing that is not settled ever goes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mission_tracer._base.locks import try_lock
from mission_tracer._disk.directory import Directory
from mission_tracer._disk.journal import AppendFile
from mission_tracer._disk.retention import prune
from mission_tracer._planning import records

FACT = b'{"fact":"run_paused","id":"w.1","at":"2026-01-01T00:00:00Z"}'
END = len(FACT) + 1
NOW = 1_800_000_000.0
ACK = records.Acknowledged(0, END)
REJECTED = records.Rejected(0, END, "w.1", "no")
STATES: dict[str, list[records.Record]] = {
    "delivered": [ACK],
    "refused": [REJECTED],
    "refused, and sent again": [REJECTED, records.Retried(0)],
    "refused, and accepted then": [REJECTED, records.Retried(0), ACK],
    "refused, and given up": [REJECTED, records.Dropped(0)],
    "undelivered": [],
}
SETTLED = {"delivered", "refused, and accepted then", "refused, and given up"}


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    return prepared(tmp_path / "state")


def prepared(root: Path) -> Directory:
    directory = Directory(root)
    directory.prepare()
    return directory


def deliver(directory: Directory, key: str, *, age: float = 0.0, state: str = "delivered", size: int = 0) -> None:
    """Make a run that was put away some time ago."""
    journal, log = directory.delivered / f"{key}.jsonl", directory.delivered / f"{key}.sent.jsonl"
    journal.write_bytes(FACT + b"\n" * max(1, size - len(FACT)))
    log.write_bytes(b"".join(records.encode(record) + b"\n" for record in STATES[state]))
    for path in (journal, log):
        os.utime(path, (NOW - age, NOW - age))


def size_of(directory: Directory, key: str) -> int:
    return sum(path.stat().st_size for path in directory.delivered.glob(f"{key}.*"))


@settings(max_examples=100, deadline=None)
@given(
    runs=st.lists(
        st.tuples(st.sampled_from([*STATES, "delivered", "delivered"]), st.integers(0, 200), st.integers(60, 900)),
        max_size=8,
    ),
    most=st.integers(0, 4000),
)
def test_what_goes(runs: list[tuple[str, int, int]], most: int) -> None:
    """The settled runs that are older than the retention go, and of the others the oldest until the rest fits."""
    with tempfile.TemporaryDirectory() as scratch:
        directory = prepared(Path(scratch))
        sizes, expected, kept = {}, [], 0
        for number, (state, age, size) in enumerate(runs):
            deliver(directory, f"{number:02}", age=age, state=state, size=size)
            sizes[number] = size_of(directory, f"{number:02}")
        for number, (state, age, _) in reversed(list(enumerate(runs))):
            over = kept + sizes[number] > most
            if (over or age > 100) and state in SETTLED:
                expected.append(f"{number:02}")
            if state in SETTLED or not (over or age > 100):
                kept += sizes[number]
        assert prune(directory, now=NOW, retention=100, most_bytes=most) == expected
        left = {f"{number:02}" for number in range(len(runs))} - set(expected)
        assert set(directory.delivered_keys()) == left
        assert {path.name.partition(".")[0] for path in directory.delivered.iterdir()} == left


@pytest.mark.parametrize("state", sorted(set(STATES) - SETTLED))
def test_what_is_not_settled_stays(state: str, directory: Directory) -> None:
    """A run with a fact that is refused and unanswered, or not delivered, stays however old and large it is."""
    deliver(directory, "01", age=1e9, state=state, size=100_000)
    assert prune(directory, now=NOW, retention=0, most_bytes=0) == []
    assert directory.delivered_keys() == ["01"]


def test_what_waits_is_no_concern(directory: Directory) -> None:
    """Runs that are not put away are left alone."""
    directory.journal("01").write_bytes(FACT + b"\n")
    os.utime(directory.journal("01"), (0, 0))
    assert prune(directory, now=NOW, retention=0, most_bytes=0) == []
    assert directory.keys() == ["01"]


def test_a_clock_that_went_back_deletes_nothing(directory: Directory) -> None:
    """Runs that seem to come from the future, because the clock went back, count as new."""
    deliver(directory, "01", age=-3600.0)
    assert prune(directory, now=NOW, retention=100, most_bytes=1 << 30) == []


def test_a_run_in_somebodys_hands_stays(directory: Directory) -> None:
    """A run that is just being brought back is not deleted under that one's hands."""
    deliver(directory, "01", age=1000.0)
    file = AppendFile(directory.delivered / "01.jsonl", create=False)
    assert try_lock(file.fd)
    assert prune(directory, now=NOW, retention=100, most_bytes=1 << 30) == []
    file.close()
    assert prune(directory, now=NOW, retention=100, most_bytes=1 << 30) == ["01"]


def test_a_log_without_a_journal_goes(directory: Directory) -> None:
    """What a death in the middle of pruning left, a log alone, goes; one that is held or whose run is back stays."""
    for key in ("01", "02", "03"):
        (directory.delivered / f"{key}.sent.jsonl").touch()
    held = AppendFile(directory.delivered / "02.sent.jsonl", create=False)
    assert try_lock(held.fd)
    directory.journal("03").touch()
    prune(directory, now=NOW, retention=100, most_bytes=1 << 30)
    held.close()
    assert sorted(path.name for path in directory.delivered.iterdir()) == ["02.sent.jsonl", "03.sent.jsonl"]


def test_what_is_known_of_missions_goes_too(directory: Directory) -> None:
    """The names of missions that were looked up longer ago than the retention do not pile up."""
    for name in ("old", "new"):
        directory.remember("url", name, "id")
    [old] = [path for path in directory.missions.iterdir() if b'"old"' in path.read_bytes()]
    os.utime(old, (NOW - 1000, NOW - 1000))
    for path in directory.missions.iterdir():
        if path != old:
            os.utime(path, (NOW, NOW))
    prune(directory, now=NOW, retention=100, most_bytes=1 << 30)
    assert [directory.recall("url", name) is not None for name in ("old", "new")] == [False, True]


def test_without_a_directory_nothing_goes(tmp_path: Path) -> None:
    """Pruning where nothing was ever recorded does nothing."""
    assert prune(Directory(tmp_path / "absent"), now=NOW, retention=0, most_bytes=0) == []


PRUNE = """
import sys
from pathlib import Path
from mission_tracer._disk.directory import Directory
from mission_tracer._disk.retention import prune
print("ready", flush=True)
sys.stdin.readline()
print(*prune(Directory(Path(sys.argv[1])), now=float(sys.argv[2]), retention=100, most_bytes=1 << 30))
"""


def test_processes_prune_at_once(directory: Directory) -> None:
    """Processes that prune at the same time delete each run once, and raise nothing."""
    for number in range(200):
        deliver(directory, f"{number:03}", age=1000.0 if number % 4 else 0.0)
    deliver(directory, "refused", age=1000.0, state="refused")
    pruners = [
        subprocess.Popen([sys.executable, "-c", PRUNE, str(directory.root), str(NOW)], stdin=-1, stdout=-1, text=True)
        for _ in range(3)
    ]
    for pruner in pruners:
        assert pruner.stdout is not None
        assert pruner.stdout.readline() == "ready\n"
    said = []
    for pruner in pruners:
        assert pruner.stdin is not None
        pruner.stdin.write("go\n")
        pruner.stdin.flush()
    for pruner in pruners:
        said += pruner.communicate(timeout=60)[0].split()
        assert pruner.returncode == 0
    assert sorted(said) == [f"{number:03}" for number in range(200) if number % 4]
    assert directory.delivered_keys() == [*(f"{number:03}" for number in range(0, 200, 4)), "refused"]
