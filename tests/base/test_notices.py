"""Our own lines: few, on standard error, and never through the program's logging."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading

import pytest

from mission_tracer._base.notices import LEVELS, Notices


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_line_says_its_level_and_its_values() -> None:
    """A line names us, its level, what happened and the values that belong to it."""
    said: list[str] = []
    Notices("debug", write=said.append).say("warning", "the disk is full", path="/x y", facts=3)
    assert said == ["mission_tracer: warning: the disk is full path='/x y' facts=3"]


@pytest.mark.parametrize("least", LEVELS)
def test_only_a_level_and_above_is_said(least: str) -> None:
    """What is below the level is not said; `off` says nothing at all."""
    said: list[str] = []
    notices = Notices(least, write=said.append)
    for level in ("debug", "info", "warning", "error"):
        notices.say(level, level)
    assert len(said) == sum(LEVELS[level] >= LEVELS[least] for level in ("debug", "info", "warning", "error"))


def test_a_cause_is_said_once_a_minute() -> None:
    """The same cause is said at most once a minute, each cause for itself, and with `once` never again."""
    said: list[str] = []
    clock = Clock()
    notices = Notices("debug", monotonic=clock, write=said.append)
    for second in range(0, 180, 10):
        clock.now = float(second)
        notices.say("error", "disk", cause="disk")
        notices.say("error", "server", cause="server")
        notices.say("error", "key", cause="key", once=True)
        notices.say("error", "always")
    heads = [line.rpartition(" ")[2] for line in said]
    assert {each: heads.count(each) for each in set(heads)} == {"disk": 3, "server": 3, "key": 1, "always": 18}


def test_a_quiet_cause_counts_as_unsaid() -> None:
    """What was below the level has not been said: it takes no one's minute."""
    said: list[str] = []
    notices = Notices("error", monotonic=Clock(), write=said.append)
    notices.say("debug", "quiet", cause="disk")
    notices.say("error", "loud", cause="disk")
    assert len(said) == 1


def test_many_causes_take_little_memory() -> None:
    """However many causes there are, only so many are remembered."""
    notices = Notices("error", monotonic=Clock(), write=lambda _: None)
    for number in range(5000):
        notices.say("error", "x", cause=f"cause {number}")
    assert len(notices._said) <= 1001


def test_a_broken_standard_error_hurts_nobody() -> None:
    """A line that cannot be written is lost, and nothing is raised."""
    refused: list[str] = []

    def refuse(line: str) -> None:
        refused.append(line)
        raise BrokenPipeError

    Notices("debug", write=refuse).say("error", "x", cause="c")
    assert len(refused) == 1


@pytest.mark.parametrize("stderr", ["sys.stderr.close()", "sys.stderr = None", "os.close(2)"])
def test_no_standard_error_at_all(stderr: str) -> None:
    """A program without standard error records as any other."""
    code = (
        f"import os, sys; {stderr}\n"
        "from mission_tracer._base.notices import Notices\n"
        "Notices('debug').say('error', 'x', cause='c')\nprint('on')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "on\n")


def test_the_programs_logging_is_not_touched(caplog: pytest.LogCaptureFixture) -> None:
    """Neither our lines nor our logger go through the program's logging."""
    before = dict(logging.root.manager.loggerDict)
    with caplog.at_level(logging.DEBUG):
        Notices("debug", write=lambda _: None).say("error", "x")
    assert caplog.records == []
    assert not [name for name in set(logging.root.manager.loggerDict) - set(before) if "mission" in name]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_does_not_wait() -> None:
    """A child forked while another thread says something is not held up, with or without our hook."""
    notices = Notices("debug", write=lambda _: None)
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with notices._lock:
            held.set()
            free.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    pid = os.fork()
    if pid == 0:
        notices.say("error", "x", cause="c")
        notices.forked()
        notices.say("error", "x", cause="c")
        os._exit(0 if "c" in notices._said else 1)
    assert os.waitpid(pid, 0)[1] == 0
    free.set()
    thread.join()
