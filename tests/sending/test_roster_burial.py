"""Runs of dead processes are closed, once, with what was known last; those of living ones never are."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mission_tracer import facts
from mission_tracer._base.locks import try_lock
from mission_tracer._disk.directory import Directory
from mission_tracer._disk.journal import AppendFile, iterate_lines
from mission_tracer._sending.roster_burial import bury, discard_stillborn
from tests.processes import environment

AT = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
KEY = "01key"

PROGRAM = """
import sys, mission_tracer as mt
with mt.mission_run("Wash windows") as run:
    with mt.plan_step("research"):
        pass
    with mt.plan_step("calls"):
        mt.log_event("the last word")
        {then}
        print(run.key, flush=True)
        sys.stdin.read()
"""


@contextmanager
def program(state: Path, then: str = "") -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a program that is in the middle of a step while the block runs."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(then=then)],
        env=environment(state, MISSION_TRACER_LOG_LEVEL="off"),
        stdin=-1,
        stdout=-1,
        text=True,
    ) as process:
        assert process.stdout is not None
        key = process.stdout.readline().strip()
        try:
            yield process, key
        finally:
            process.kill()


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


def read(directory: Directory, key: str = KEY) -> list[facts.Fact]:
    found = [facts.read(line.content) for line in iterate_lines(directory.journal(key)) if line.content]
    return [fact for fact in found if fact is not None]


def test_a_dead_process_is_told_of(directory: Directory) -> None:
    """The run of a killed process is closed as failed, with the reason, the last step and the last fact; once."""
    with program(directory.root) as (process, key):
        kill(process)
        before = read(directory, key)
        assert bury(directory, key)
        assert bury(directory, key)
        *same, closed = read(directory, key)
    assert same == before
    last = before[-1]
    assert isinstance(closed, facts.RunClosed)
    assert (closed.status, closed.recovered) == ("failed", True)
    assert closed.error == (
        f"process ended without closing the run (last step: calls, last fact: event at {last.at.isoformat()})"
    )
    recovered = closed.metadata["recovered"]
    assert (recovered["last_step"], recovered["last_fact"]) == ("calls", "event")


@pytest.mark.parametrize("stopped", [False, True])
def test_a_living_process_is_left_alone(stopped: bool, directory: Directory) -> None:
    """As long as its process lives, be it stopped for a while, a run is never closed by another one."""
    with program(directory.root) as (process, key):
        if stopped:
            process.send_signal(signal.SIGSTOP)
        before = read(directory, key)
        assert not bury(directory, key)
        assert not discard_stillborn(directory, key)
        assert read(directory, key) == before


def test_one_of_several_writers_is_enough(directory: Directory) -> None:
    """A run that another living process takes part in is not closed when the one that began it is dead."""
    with program(directory.root) as (process, key):
        other = AppendFile(directory.journal(key), create=False)
        assert try_lock(other.fd, shared=True)
        kill(process)
        assert not bury(directory, key)
        other.close()
        assert bury(directory, key)
        assert isinstance(read(directory, key)[-1], facts.RunClosed)


def test_a_paused_run_waits(directory: Directory) -> None:
    """A paused run whose process is gone stays as it is; one that was resumed is closed."""
    for then, closes in (("run.pause()", False), ("run.pause(); run.resume()", True)):
        with program(directory.root, then) as (process, key):
            kill(process)
            assert bury(directory, key)
            assert isinstance(read(directory, key)[-1], facts.RunClosed) is closes


@pytest.mark.parametrize("pid", [os.getpid(), 1, 999_999_999], ids=["ours", "first", "none"])
def test_process_numbers_mean_nothing(pid: int, directory: Directory) -> None:
    """Whether a run's process number is a living process's by now, or nobody's, is no matter: its locks tell."""
    head = opened(metadata={"mission_tracer": {"pid": pid}})
    write(directory.journal(KEY), [head])
    writer = AppendFile(directory.journal(KEY), create=False)
    assert try_lock(writer.fd, shared=True)
    assert not bury(directory, KEY)
    writer.close()
    assert bury(directory, KEY)
    assert isinstance(read(directory)[-1], facts.RunClosed)


@pytest.mark.parametrize("jump", [dt.timedelta(hours=-1), dt.timedelta(hours=1), dt.timedelta(days=400)])
def test_the_clock_means_nothing(jump: dt.timedelta, directory: Directory) -> None:
    """A run whose last fact seems old, or of the future, is closed when its process is dead, and not before."""
    at = dt.datetime.now(dt.timezone.utc) + jump
    write(directory.journal(KEY), [opened(at=at)])
    moment = at.timestamp()
    os.utime(directory.journal(KEY), (moment, moment))
    writer = AppendFile(directory.journal(KEY), create=False)
    assert try_lock(writer.fd, shared=True)
    assert not bury(directory, KEY)
    writer.close()
    assert bury(directory, KEY)
    closed = read(directory)[-1]
    assert isinstance(closed, facts.RunClosed)
    assert f"run_opened at {at.isoformat()}" in str(closed.error)


# ---- whatever the journal holds ----


def opened(**given: Any) -> facts.RunOpened:
    return facts.RunOpened(**{"id": "w.0", "at": AT, "key": KEY, "mission": facts.MissionSpec("m"), **given})


def write(path: Path, found: list[Any]) -> None:
    file = AppendFile(path, create=True)
    for fact in found:
        file.append(facts.encode(fact))
    file.close()


def event(number: int, payload: dict[str, Any] | None = None) -> facts.EventWritten:
    body = facts.EventBody("custom", f"event {number}", payload=payload or {})
    return facts.EventWritten(id=f"w.{number}", at=AT, body=body)


def made(kinds: list[str]) -> list[Any]:
    """Make a journal's facts by the names of their kinds."""
    making = {
        "event": event,
        "event with a fact in it": lambda n: event(n, {"fact": {"fact": "run_closed", "status": "failed"}}),
        "enter": lambda n: facts.StepEntered(id=f"w.{n}", at=AT, step_id=f"s{n}", description="s"),
        "leave": lambda n: facts.StepLeft(id=f"w.{n}", at=AT, step_id="s", status="completed"),
        "pause": lambda n: facts.RunPaused(id=f"w.{n}", at=AT),
        "resume": lambda n: facts.RunResumed(id=f"w.{n}", at=AT),
        "close": lambda n: facts.RunClosed(id=f"w.{n}", at=AT, status="succeeded"),
        "join": lambda n: facts.RunJoined(id=f"w.{n}", at=AT, key=KEY, mission=facts.MissionSpec("m")),
    }
    return [opened(), *(making[kind](number + 1) for number, kind in enumerate(kinds))]


KINDS = st.lists(
    st.sampled_from(
        ["event", "event", "event with a fact in it", "enter", "leave", "pause", "resume", "close", "join"]
    ),
    max_size=8,
)


@settings(max_examples=150, deadline=None)
@given(kinds=KINDS, cut=st.integers(0, 400))
def test_any_journal_cut_anywhere(kinds: list[str], cut: int) -> None:
    """Whatever a dead process had written, and wherever it was cut off: the run is closed if it must be, and once."""
    with tempfile.TemporaryDirectory() as scratch:
        directory = Directory(Path(scratch))
        directory.prepare()
        write(directory.journal(KEY), made(kinds))
        content = directory.journal(KEY).read_bytes()
        directory.journal(KEY).write_bytes(content[: max(1, len(content) - cut)])
        whole = directory.journal(KEY).read_bytes().count(b"\n")
        before = read(directory)
        assert len(before) == whole
        kept = ["run_opened", *kinds][:whole]
        waits = [kind for kind in kept if kind in {"pause", "resume"}][-1:] == ["pause"]
        closes = bool(kept) and not (waits or {"close", "join"} & set(kept))
        assert bury(directory, KEY)
        assert bury(directory, KEY)
        after = read(directory)
        assert after[:whole] == before
        assert [type(fact) for fact in after[whole:]] == [facts.RunClosed] * closes


def test_a_close_behind_a_torn_event_counts(directory: Directory) -> None:
    """A run that one process closed on the row where another one's event was cut off is closed: no second time."""
    torn, file = facts.encode(event(1))[:40], AppendFile(directory.journal(KEY), create=True)
    file.append(facts.encode(opened()))
    os.write(file.fd, torn)
    file.append(facts.encode(facts.RunClosed(id="v.1", at=AT, status="succeeded")))
    file.close()
    assert bury(directory, KEY)
    assert [type(fact) for fact in read(directory)] == [facts.RunOpened, facts.RunClosed]


def test_a_damaged_end_hinders_nothing(directory: Directory) -> None:
    """A line that a bad disk made unreadable is passed over: the last fact is the last that can be read."""
    write(directory.journal(KEY), [opened()])
    with directory.journal(KEY).open("ab") as file:
        file.write(b"\0" * 50 + b"\n" + b'{"fact":"event","id":\n')
    assert bury(directory, KEY)
    closed = read(directory)[-1]
    assert isinstance(closed, facts.RunClosed)
    assert "last fact: run_opened" in str(closed.error)


def test_who_comes_too_late_buries_nothing(directory: Directory) -> None:
    """A run that is not there, or that was put away meanwhile, is not closed, and no file is made of it."""
    with pytest.raises(FileNotFoundError):
        bury(directory, KEY)
    assert not directory.journal(KEY).exists()


BURY = """
import sys
from pathlib import Path
from mission_tracer._disk.directory import Directory
from mission_tracer._sending.roster_burial import bury
print("ready", flush=True)
sys.stdin.readline()
directory = Directory(Path(sys.argv[1]))
for key in directory.keys():
    bury(directory, key)
"""


def test_processes_bury_at_once(directory: Directory) -> None:
    """Of processes that find the same dead runs at the same moment, one closes each."""
    for number in range(50):
        write(directory.journal(f"{number:02}"), [opened()])
    diggers = [
        subprocess.Popen([sys.executable, "-c", BURY, str(directory.root)], stdin=-1, stdout=-1, text=True)
        for _ in range(3)
    ]
    for digger in diggers:
        assert digger.stdout is not None
        assert digger.stdout.readline() == "ready\n"
    for digger in diggers:
        assert digger.stdin is not None
        digger.stdin.write("go\n")
        digger.stdin.flush()
    for digger in diggers:
        digger.communicate(timeout=60)
        assert digger.returncode == 0
    for number in range(50):
        key = f"{number:02}"
        bury(directory, key)
        assert [type(fact) for fact in read(directory, key)] == [facts.RunOpened, facts.RunClosed]


# ---- stillborn runs ----


@pytest.mark.parametrize("content", [b"", b'{"fact":"run_op', b"\0\0\0\n", b"~\n\n"])
def test_a_stillborn_run_is_deleted(content: bytes, directory: Directory) -> None:
    """A run whose process died before its first fact was whole leaves nothing behind."""
    directory.journal(KEY).write_bytes(content)
    directory.log(KEY).touch()
    (directory.runs / f"{KEY}.lock").touch()
    assert discard_stillborn(directory, KEY)
    assert list(directory.runs.iterdir()) == []
    assert list(directory.delivered.iterdir()) == []


@pytest.mark.parametrize("content", [b'{"fact":"run_began","id":"w.1"}\n', b"\0?\0\n", b'{"fact":"event"}\n~\n'])
def test_what_cannot_be_read_is_not_deleted(content: bytes, directory: Directory) -> None:
    """A run whose lines are whole and say nothing to this version, as a later one's may, stays."""
    directory.journal(KEY).write_bytes(content)
    assert not discard_stillborn(directory, KEY)
    assert directory.journal(KEY).read_bytes() == content


def test_what_is_being_born_is_left_alone(directory: Directory) -> None:
    """An empty journal that a living process has open, and a run that has a fact, stay."""
    writer = AppendFile(directory.journal(KEY), create=True)
    assert try_lock(writer.fd, shared=True)
    assert not discard_stillborn(directory, KEY)
    writer.append(facts.encode(opened()))
    writer.close()
    assert not discard_stillborn(directory, KEY)
    assert len(read(directory)) == 1


def test_a_process_that_dies_at_its_first_fact(directory: Directory) -> None:
    """A real process that is killed between making its journal and writing to it leaves a run that is deleted."""
    code = (
        "import os, mission_tracer as mt\n"
        "from mission_tracer._base import held_write\n"
        "held_write._hold = lambda: lambda fd, data, size: os.kill(os.getpid(), 9)\n"
        "mt.mission_run('m').__enter__()"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(directory.root), check=False)
    assert done.returncode == -signal.SIGKILL
    [key] = directory.keys()
    assert directory.journal(key).read_bytes() == b""
    assert discard_stillborn(directory, key)
    assert directory.keys() == []
