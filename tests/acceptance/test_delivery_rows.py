"""What users of such libraries complain about, as cases: everything that concerns delivery."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mission_tracer as mt
from tests.faults import faulty
from tests.processes import CLI, ROOT, environment, free_port, run, served

pytest.importorskip("starlette")
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

from mission_tracer.client import MissionsClient  # noqa: E402 - after the check that the server is here

FORTY = """
import os, sys, mission_tracer as mt
with mt.mission_run("Forty") as run:
    for number in range(40):
        mt.log_event(f"event {{number}}")
    {inside}
{after}
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "processes"


@pytest.fixture
def server() -> Iterator[str]:
    with served() as base_url:
        yield base_url


def settings(state: Path, base_url: str, **more: str) -> dict[str, str]:
    return environment(state, TELNYX_API_KEY="KEY1", TELNYX_BASE_URL=base_url, MISSION_TRACER_SETTLE="0.2", **more)


def python(code: str, env: dict[str, str], *, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    return run([sys.executable, "-c", code], env, timeout=timeout)


def sync(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return run([*CLI, "sync", "--timeout", "40"], env, timeout=80)


def summaries(base_url: str) -> tuple[list[str], list[str]]:
    """Return the statuses of all runs and the summaries of all custom events."""
    with MissionsClient(api_key="KEY1", base_url=base_url) as client:
        found = [(m.mission_id, r) for m in client.missions.list() for r in client.missions.runs.list(m.mission_id)]
        events = [
            event.summary
            for mission_id, each in found
            for event in client.missions.runs.events.list(each.run_id, mission_id=mission_id)
            if event.type == "custom"
        ]
    return [each.status for _, each in found], events


def forty() -> list[str]:
    return [f"event {number}" for number in range(40)]


@pytest.mark.parametrize("death", ["os.kill(os.getpid(), 9)", "os._exit(0)"])
def test_row_01_a_process_that_vanishes_loses_nothing(death: str, state: Path, server: str) -> None:
    """A process that is killed, or leaves by `os._exit`, right after its last event loses none."""
    env = settings(state, server)
    python(FORTY.format(inside=death, after=""), env)
    assert sync(env).returncode == 0
    statuses, events = summaries(server)
    assert (statuses, sorted(events)) == (["failed"], sorted(forty()))


def test_row_01_the_next_start_delivers_it(state: Path, server: str) -> None:
    """What a killed process left arrives with the next program, even if that one ends at once."""
    env = settings(state, server)
    python(FORTY.format(inside="os.kill(os.getpid(), 9)", after=""), env)
    python('import mission_tracer as mt\nwith mt.mission_run("Next"): pass', env)
    _, events = summaries(server)
    assert sorted(events) == sorted(forty())


def test_row_02_a_script_that_just_ends_loses_nothing(state: Path, server: str) -> None:
    """A script that ends right after its last call has delivered everything."""
    assert python(FORTY.format(inside="", after=""), settings(state, server)).returncode == 0
    statuses, events = summaries(server)
    assert (statuses, events) == (["succeeded"], forty())


@pytest.mark.parametrize("fault", ["hang_before", "503"])
def test_row_03_exit_does_not_hang(fault: str, state: Path, server: str) -> None:
    """With a server that accepts and never answers, exit gives up after `flush_stall`; nothing is lost."""
    env = settings(state, server, MISSION_TRACER_FLUSH_STALL="1")
    with faulty(server, rates={fault: 1.0}) as proxy:
        started = time.monotonic()
        assert python(FORTY.format(inside="", after=""), {**env, "TELNYX_BASE_URL": proxy.base_url}).returncode == 0
        assert time.monotonic() - started < 15
    assert sync(env).returncode == 0
    assert summaries(server) == (["succeeded"], forty())


@pytest.mark.parametrize("timeout", [0.0, 0.3])
def test_row_04_flush_is_punctual_and_honest(timeout: float, server: str) -> None:
    """`flush(timeout)` returns in time, and says that not everything is delivered."""
    with faulty(server, rates={"hang_before": 1.0}) as proxy:
        mt.configure(api_key="KEY1", base_url=proxy.base_url, log_level="off")
        with mt.mission_run("m"):
            mt.log_event("x")
        started = time.monotonic()
        assert mt.flush(timeout) is False
        assert time.monotonic() - started < timeout + 1.0  # 0.1 s on a machine of one's own


def test_row_05_ending_a_run_never_waits(server: str) -> None:
    """Recording and ending a run take no longer when the server hangs."""
    with faulty(server, rates={"hang_before": 1.0}) as proxy:
        mt.configure(api_key="KEY1", base_url=proxy.base_url, log_level="off")
        started = time.monotonic()
        for _ in range(20):
            with mt.mission_run("m"), mt.plan_step("s"):
                mt.log_event("x")
        assert time.monotonic() - started < 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_row_06_a_fork_amid_recording_does_not_deadlock(api: Any) -> None:
    """Children forked while other threads record, flush and count go on recording."""
    over = threading.Event()

    def busy(act: Any) -> None:
        while not over.is_set():
            act()

    with mt.mission_run("Forks") as run_:
        busy_events = iter(range(500))

        def step() -> None:
            if next(busy_events, None) is not None:
                run_.log_event("busy")

        threads = [threading.Thread(target=busy, args=(act,)) for act in (step, step, lambda: mt.flush(0.01), mt.stats)]
        for thread in threads:
            thread.start()
        children = []
        for number in range(10):
            pid = os.fork()
            if pid == 0:
                signal.alarm(10)  # a child that hangs is killed, and seen below
                with mt.plan_step("child"):
                    mt.log_event(f"child {number}")
                os._exit(0)
            children.append(pid)
        ends = [os.waitpid(pid, 0)[1] for pid in children]
        over.set()
        for thread in threads:
            thread.join()
    assert ends == [0] * 10
    assert mt.flush(60)
    found = api.only_run()
    said = [event.summary for event in found["events"] if event.summary.startswith("child ")]
    assert sorted(said) == sorted(f"child {n}" for n in range(10))
    assert len({step.step_id for step in found["steps"]}) == 10


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_row_06_a_fork_amid_an_import_of_the_sender(state: Path) -> None:
    """A child that is forked while the sender imports what says that the server is down can import it too."""
    code = """
import os, signal, sys, threading
import mission_tracer as mt

imports, forks = threading.Event(), threading.Event()

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "structlog._config" and threading.current_thread() is not threading.main_thread():
            imports.set()
            forks.wait(10)

sys.meta_path.insert(0, Finder())
with mt.mission_run("Forks"):
    os.register_at_fork(before=forks.set)  # runs before the hooks that are there by now
    assert imports.wait(10)
    pid = os.fork()
    if pid == 0:
        signal.alarm(10)
        import structlog
        structlog.get_config
        mt.log_event("the child")
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
"""
    done = python(code, settings(state, "http://127.0.0.1:1/v2", MISSION_TRACER_FLUSH_TIMEOUT="0"))
    assert done.returncode == 0, done.stderr
    events = [line for line in (state / "runs").glob("*.jsonl") if "the child" in line.read_text()]
    assert len(events) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_row_07_preloaded_workers_deliver_all(state: Path, server: str) -> None:
    """Workers forked from a process that has recorded already deliver each event once, and its own none twice."""
    code = """
import os, sys, mission_tracer as mt
with mt.mission_run("Preload"):
    mt.log_event("parent")
    pids = []
    for worker in range(4):
        pid = os.fork()
        if pid == 0:
            for number in range(50):
                mt.log_event(f"{worker}.{number}")
            os._exit(0)
        pids.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 4
"""
    env = settings(state, server)
    assert python(code, env).returncode == 0
    sync(env)
    statuses, events = summaries(server)
    assert statuses == ["succeeded"]
    assert sorted(events) == sorted(["parent", *(f"{w}.{n}" for w in range(4) for n in range(50))])


def _work(number: int) -> None:
    for event in range(10):
        mt.log_event(f"{number}.{event}")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_row_08_multiprocessing_children_deliver_all(method: str, api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Children of every start method, which leave by `os._exit`, deliver all; nothing is patched."""
    before = os._exit
    with mt.mission_run("Children"):
        work = mt.carry(_work)
        context = multiprocessing.get_context(method)
        children = [context.Process(target=work, args=(number,)) for number in range(3)]
        monkeypatch.setenv("MISSION_TRACER_DIR", str(mt.recorder.default().settings.dir))
        for child in children:
            child.start()
        for child in children:
            child.join(60)
        assert [child.exitcode for child in children] == [0, 0, 0]
    assert mt.flush(60)
    assert sorted(e.summary for e in api.only_run()["events"]) == sorted(
        f"{n}.{e}" for n in range(3) for e in range(10)
    )
    assert os._exit is before


@pytest.mark.skipif(sys.platform != "linux", reason="calls the C library's fork")
def test_row_09_a_fork_that_runs_no_hook(state: Path, server: str) -> None:
    """A child forked in C, past every hook, keeps its facts apart from its parent's, and all arrive."""
    code = """
import ctypes, os, mission_tracer as mt
libc = ctypes.PyDLL(None)
with mt.mission_run("C"):
    mt.log_event("before")
    pid = libc.fork()
    for number in range(20):
        mt.log_event(f"{'parent' if pid else 'child'} {number}")
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
"""
    env = settings(state, server)
    assert python(code, env).returncode == 0
    sync(env)
    _, events = summaries(server)
    assert sorted(events) == sorted(["before", *(f"{who} {n}" for who in ("parent", "child") for n in range(20))])


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_row_10_a_signal_loses_nothing(sent: signal.Signals, state: Path, server: str) -> None:
    """A process ended by a signal has everything in its journal; its run is closed as failed by the next start."""
    env = settings(state, server)
    done = python(FORTY.format(inside=f"os.kill(os.getpid(), {int(sent)}); import time; time.sleep(30)", after=""), env)
    assert done.returncode == -sent
    assert sync(env).returncode == 0
    statuses, events = summaries(server)
    assert (statuses, sorted(events)) == (["failed"], sorted(forty()))


def test_row_10_handled_signals_close_the_run(state: Path, server: str) -> None:
    """With `handle_signals` SIGTERM closes the run with the signal's name, and the process still dies of it."""
    env = settings(state, server, MISSION_TRACER_HANDLE_SIGNALS="true")
    done = python(FORTY.format(inside="os.kill(os.getpid(), 15); import time; time.sleep(30)", after=""), env)
    assert done.returncode == -signal.SIGTERM
    assert sync(env).returncode == 0
    with MissionsClient(api_key="KEY1", base_url=server) as client:
        [mission] = client.missions.list()
        [found] = client.missions.runs.list(mission.mission_id)
    assert found.status in {"failed", "cancelled"}
    assert "SIGTERM" in (found.error or "")


def test_row_11_the_dead_are_buried_and_the_living_left_alone(state: Path, server: str) -> None:
    """`sync` closes the run of a killed process with the reason, and leaves a living one's run running."""
    env = settings(state, server, MISSION_TRACER_SENDER="off")
    code = (
        "import sys, mission_tracer as mt\n"
        "with mt.mission_run('{0}'), mt.plan_step('s'):\n print('open', flush=True)\n sys.stdin.read()"
    )
    living, dead = (
        subprocess.Popen([sys.executable, "-c", code.format(name)], env=env, stdin=-1, stdout=-1, text=True)
        for name in ("Living", "Dead")
    )
    for process in (living, dead):
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
    dead.kill()
    dead.communicate()
    env_of_sync = {**env, "MISSION_TRACER_SENDER": "thread"}
    sync(env_of_sync)
    with MissionsClient(api_key="KEY1", base_url=server) as client:
        runs = {m.name: next(iter(client.missions.runs.list(m.mission_id))) for m in client.missions.list()}
    assert runs["Living"].status == "running"
    assert runs["Dead"].status == "failed"
    assert "process ended without closing the run" in (runs["Dead"].error or "")
    living.communicate("")
    assert sync(env_of_sync).returncode == 0
    assert sorted(summaries(server)[0]) == ["failed", "succeeded"]


def test_row_13_recording_and_flushing_race_without_deadlock(api: Any) -> None:
    """Eight recording threads and four flushing ones run into each other and lose nothing."""
    with mt.mission_run("Race") as run_:
        threads = [threading.Thread(target=lambda: [run_.log_event("x") for _ in range(100)]) for _ in range(8)]
        threads += [threading.Thread(target=lambda: [mt.flush(0.01) for _ in range(20)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in threads)
    assert mt.flush(60)
    assert len(api.only_run()["events"]) == 800


def test_row_14_memory_stays_flat_while_the_server_is_down() -> None:
    """A hundred thousand facts that cannot be delivered take no memory."""
    mt.configure(api_key="KEY1", base_url=f"http://127.0.0.1:{free_port()}/v2", log_level="off")
    with mt.mission_run("Down"):
        for _ in range(5_000):
            mt.log_event("warm up")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for number in range(100_000):
            mt.log_event(f"event {number}")
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 30 * 1024  # kilobytes, on Linux
    assert mt.stats().pending == mt.stats().recorded > 105_000


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    "facts", [5_000, pytest.param(1_000_000, marks=[pytest.mark.slow, pytest.mark.timeout(5_000)])]
)
def test_row_14_after_an_outage_everything_drains(facts: int) -> None:
    """What was recorded while the server was down arrives when it is back, once; memory stays flat all the time."""
    words = [sys.executable, "-m", "tests.chaos.outage", "--facts", str(facts)]
    done = run(words, dict(os.environ), cwd=ROOT, timeout=4_900)
    assert done.returncode == 0, done.stdout + done.stderr


def test_row_20_one_oversized_event_is_truncated(server: str) -> None:
    """Of a hundred events, one too large for the server, ninety-nine arrive unchanged and one with a marker."""
    with served("--behaviour", "max_body=200000") as strict_server:
        mt.configure(api_key="KEY1", base_url=strict_server, max_payload_bytes=10_000_000, strict=True)
        with mt.mission_run("Large"):
            for number in range(100):
                mt.log_event(f"event {number}", payload={"text": "x" * (5_000_000 if number == 50 else 10)})
        assert mt.flush(60)
        with MissionsClient(api_key="KEY1", base_url=strict_server) as client:
            [mission] = client.missions.list()
            [found] = client.missions.runs.list(mission.mission_id)
            events = list(client.missions.runs.events.list(found.run_id, mission_id=mission.mission_id))
    assert [event.summary for event in events] == [f"event {number}" for number in range(100)]
    assert [n for n, event in enumerate(events) if "truncated" in event.payload] == [50]
    assert mt.stats().rejected == 0


def test_row_24_an_outage_is_said_once_a_minute(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    """While the server is down, one warning a cause is written, not one a request."""
    with faulty(server, rates={"503": 1.0}) as proxy:
        mt.configure(api_key="KEY1", base_url=proxy.base_url, max_backoff=0.05)
        with mt.mission_run("m"):
            mt.log_event("x")
        wait_for(lambda: len(proxy.seen()) > 10)
    warnings = [line for line in capsys.readouterr().err.splitlines() if "mission_tracer: warning" in line]
    assert len(warnings) == 1


def test_row_24_disabled_is_silent_and_alone(tmp_path: Path) -> None:
    """Disabled: no thread, no file, no line."""
    code = FORTY.format(inside="", after="import threading; print(threading.active_count())")
    done = python(code, settings(tmp_path / "none", "http://127.0.0.1:9/v2", MISSION_TRACER_ENABLED="false"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")
    assert not (tmp_path / "none").exists()


def test_row_25_sync_repeats_nothing(state: Path, server: str) -> None:
    """`sync` beside a living writer, and again, sends each fact once."""
    env = settings(state, server)
    with subprocess.Popen(
        [sys.executable, "-c", FORTY.format(inside="print('open', flush=True); sys.stdin.read()", after="")],
        env=env,
        stdin=-1,
        stdout=-1,
        text=True,
    ) as living:
        assert living.stdout is not None
        assert living.stdout.readline() == "open\n"
        for _ in range(2):
            run([*CLI, "sync", "--timeout", "5"], env)
        living.communicate("")
    assert sync(env).returncode == 0
    assert summaries(server) == (["succeeded"], forty())


def test_row_25_no_thread_to_be_had_hurts_nobody(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the system gives no thread, recording goes on, and the facts wait in the journal."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with mt.mission_run("m"):
            mt.log_event("x")
        assert mt.stats().pending > 0
    mt.log_event("outside")
    assert mt.flush(30)
    assert [event.summary for event in api.only_run()["events"]] == ["x"]


def wait_for(condition: Any, *, most: float = 20) -> None:
    deadline = time.monotonic() + most
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        pause.wait(0.01)
