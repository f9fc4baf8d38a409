"""SIGTERM closes the open runs, and then does what it would have done without us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mission_tracer as mt
from mission_tracer import facts
from mission_tracer._disk.directory import Directory
from mission_tracer._disk.journal import iterate_lines
from tests.processes import environment

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no signals")

PROGRAM = """
import os, signal, sys, threading, time
import mission_tracer as mt

def own(number, frame):
    print("own handler", flush=True)
    sys.exit(7)

{before}
with mt.mission_run("Wash windows"):
    {inside}
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.1)
    print("alive", flush=True)
"""


def run(state: Path, before: str = "", inside: str = "pass") -> tuple[int, str, facts.RunClosed]:
    """Run the program; return its status, what it said, and how its run was closed."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(before=before, inside=inside)],
        env=environment(state, MISSION_TRACER_LOG_LEVEL="off", MISSION_TRACER_HANDLE_SIGNALS="1"),
        stdout=-1,
        text=True,
        timeout=60,
        check=False,
    )
    directory = Directory(state)
    [key] = directory.keys()
    found = [facts.read(line.content) for line in iterate_lines(directory.journal(key))]
    [closed] = [fact for fact in found if isinstance(fact, facts.RunClosed)]
    return done.returncode, done.stdout, closed


def test_a_handler_may_come_while_the_recorder_is_made_or_integrations_are_switched_on(tmp_path: Path) -> None:
    """A signal's handler records and switches off in the middle of what makes those ready, and nothing stands still."""
    program = """
import signal, sys
import mission_tracer as mt
from mission_tracer import recorder

def handle(*_):
    with mt.mission_run("of the handler"):
        pass
    mt.uninstrument()

signal.signal(signal.SIGUSR1, handle)
with recorder._default_lock, sys.modules["mission_tracer.instrument"]._installed.lock:
    signal.raise_signal(signal.SIGUSR1)
"""
    quiet = environment(tmp_path, MISSION_TRACER_LOG_LEVEL="off")
    assert subprocess.run([sys.executable, "-c", program], env=quiet, timeout=30, check=False).returncode == 0
    assert len(list(Directory(tmp_path).keys())) == 1


def test_a_handler_may_come_while_what_delivers_is_imported(api: Any, tmp_path: Path) -> None:
    """A handler that records and flushes in the middle of that raises nothing, does not wait, and all is delivered."""
    program = """
import signal, sys
import mission_tracer as mt
from mission_tracer import log_event, mission_run

class Finder:
    def find_spec(name, *_):
        if name == "httpcore":
            signal.raise_signal(signal.SIGUSR1)

def handle(*_):
    with mission_run("Of the handler") as run:
        log_event("of the handler")
    print(mt.flush(30), run.flush(30))

sys.meta_path.insert(0, Finder)
signal.signal(signal.SIGUSR1, handle)
with mission_run("Of the program"):
    log_event("of the program")
print(mt.flush(30), mt.stats())
"""
    env = environment(tmp_path, TELNYX_API_KEY="x", TELNYX_BASE_URL=api.base_url)
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    books = "Stats(recorded=6, delivered=6, pending=0, rejected=0, dropped={})"
    assert (done.returncode, done.stdout, done.stderr) == (0, f"False False\nTrue {books}\n", "")
    said = {mission["mission"].name: [e.summary for e in mission["runs"][0]["events"]] for mission in api.tree()}
    assert said == {"Of the handler": ["of the handler"], "Of the program": ["of the program"]}


def test_a_terminated_program_dies_of_it_and_its_run_failed(tmp_path: Path) -> None:
    """Without a handler of its own a program dies of SIGTERM, and its run failed by that signal's name."""
    status, said, closed = run(tmp_path)
    assert (status, said) == (-signal.SIGTERM, "")
    assert (closed.status, closed.error) == ("failed", "ended by SIGTERM")
    assert not closed.recovered


def test_a_handler_of_the_programs_own_follows(tmp_path: Path) -> None:
    """The handler that was there before runs after the run is closed, and decides how the program ends."""
    status, said, closed = run(tmp_path, "signal.signal(signal.SIGTERM, own)")
    assert (status, said, closed.error) == (7, "own handler\n", "ended by SIGTERM")


def test_a_signal_that_was_ignored_ends_nothing(tmp_path: Path) -> None:
    """A program that ignores SIGTERM goes on."""
    status, said, closed = run(tmp_path, "signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    assert (status, said, closed.error) == (0, "alive\n", "ended by SIGTERM")


def test_a_handler_set_later_replaces_ours(tmp_path: Path) -> None:
    """A handler that the program sets while it records is the only one."""
    status, said, closed = run(tmp_path, inside="signal.signal(signal.SIGTERM, own)")
    assert (status, said) == (7, "own handler\n")
    assert closed.error != "ended by SIGTERM"


def test_a_handler_set_later_is_followed_from_the_next_run_on(tmp_path: Path) -> None:
    """A handler that the program sets after `configure` follows ours as soon as a run begins."""
    before = "mt.configure(handle_signals=True)\nsignal.signal(signal.SIGTERM, own)"
    status, said, closed = run(tmp_path, before)
    assert (status, said, closed.error) == (7, "own handler\n", "ended by SIGTERM")


def test_configured_in_the_main_thread_it_holds_for_runs_of_others(tmp_path: Path) -> None:
    """`configure(handle_signals=True)` in the main thread closes runs that are opened in other threads."""
    before = """
mt.configure(handle_signals=True)
opened = threading.Event()
def work():
    with mt.mission_run("Wash windows"):
        opened.set()
        threading.Event().wait()
threading.Thread(target=work, daemon=True).start()
opened.wait()
os.kill(os.getpid(), signal.SIGTERM)
"""
    status, said, closed = run(tmp_path, before)
    assert (status, said, closed.error) == (-signal.SIGTERM, "", "ended by SIGTERM")


def test_a_run_outside_of_the_main_thread_watches_nothing(tmp_path: Path) -> None:
    """From another thread no handler can be set: the first run there leaves SIGTERM as it is, without an error."""
    before = """
runs = []
thread = threading.Thread(target=lambda: runs.append(mt.mission_run("x").__enter__()))
thread.start()
thread.join()
assert runs and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
os._exit(5)
"""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(before=before, inside="pass")],
        env=environment(tmp_path, MISSION_TRACER_HANDLE_SIGNALS="1", MISSION_TRACER_STRICT="1"),
        stderr=-1,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (5, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_childs_end_is_not_its_parents(tmp_path: Path) -> None:
    """A forked child that is terminated dies of it, and leaves its parent's run open."""
    inside = """pid = os.fork()
    if pid:
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
        os._exit(0)"""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(before="", inside=inside)],
        env=environment(tmp_path, MISSION_TRACER_LOG_LEVEL="off", MISSION_TRACER_HANDLE_SIGNALS="1"),
        stdout=-1,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == f"{-signal.SIGTERM}\n"
    directory = Directory(tmp_path)
    [key] = directory.keys()
    assert not any(b"run_closed" in line.content for line in iterate_lines(directory.journal(key)))


def test_a_run_of_another_process_goes_on(tmp_path: Path, journal: Callable[[], list[facts.Fact]]) -> None:
    """A process that is terminated while it takes part in a run of another one ends its own runs only."""
    with mt.mission_run("theirs"):
        given = environment(tmp_path / "state", MISSION_TRACER_HANDLE_SIGNALS="1", MISSION_TRACER_LOG_LEVEL="off")
        program = PROGRAM.format(before='mt.log_event("here")', inside="pass")
        done = subprocess.run([sys.executable, "-c", program], env=mt.inject(given), timeout=60, check=False)
    assert done.returncode == -signal.SIGTERM
    found = journal()
    assert [fact.mission.name for fact in found if isinstance(fact, facts.RunOpened)] == ["theirs", "Wash windows"]
    closed = [(fact.status, fact.error) for fact in found if isinstance(fact, facts.RunClosed)]
    assert closed == [("succeeded", None), ("failed", "ended by SIGTERM")]
    assert any(isinstance(fact, facts.Event) for fact in found)
