"""Every disk: full, read-only, gone, without locks, unreadable: recording goes on, nothing raises, books balance."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import mission_tracer as mt
from mission_tracer import dead, recorder
from mission_tracer._disk.delivery_log import read_log
from mission_tracer._disk.journal import iterate_lines
from mission_tracer._disk.journal_file import whole_length
from mission_tracer._planning.lane_state import LaneState
from mission_tracer.facts import RunOpened, read
from tests.disks import fill, read_only, small_disk
from tests.processes import CLI, environment, free_port, run

pytest.importorskip("starlette")

from mission_tracer.client import MissionsClient
from mission_tracer.server import Behaviour, running_server

COUNT = 40


def log(first: int, last: int) -> None:
    """Log events, and see that none waits for the disk."""
    for number in range(first, last):
        mt.log_event(f"event {number}")


def events(first: int = 0, last: int = COUNT) -> list[str]:
    return [f"event {number}" for number in range(first, last)]


def balance() -> Any:
    """Return the books; fails when they do not balance."""
    stats = mt.stats()
    assert stats.recorded == stats.delivered + stats.pending + stats.rejected + sum(stats.dropped.values()), stats
    return stats


def arrived(base_url: str) -> list[tuple[str, list[str]]]:
    """Return each run's status and custom events, as the server has them."""
    with MissionsClient(api_key="KEY1", base_url=base_url) as client:
        return [
            (
                each.status,
                [
                    event.summary
                    for event in client.missions.runs.events.list(each.run_id, mission_id=mission.mission_id)
                    if event.type == "custom"
                ],
            )
            for mission in client.missions.list()
            for each in client.missions.runs.list(mission.mission_id)
        ]


def wait_for(condition: Callable[[], bool], *, most: float = 30) -> None:
    deadline = time.monotonic() + most
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        pause.wait(0.01)


# ---- disks that are no good from the beginning, each in a program of its own ----

PROGRAM = """
import os, sys, time, mission_tracer as mt
{trouble}
with mt.mission_run("Disk") as run:
    longest = 0.0
    for number in range(40):
        began = time.perf_counter()
        mt.log_event(f"event {{number}}")
        longest = max(longest, time.perf_counter() - began)
assert mt.flush(60)
stats = mt.stats()
assert stats.recorded == stats.delivered == 42, stats
assert longest < 5, longest
"""

NO_LOCKS = """
import fcntl
def refuse(fd, how):
    raise OSError({errno}, os.strerror({errno}))
fcntl.flock = refuse
"""

NOBODY = """
import encodings.idna, httpx, structlog
from mission_tracer._recording import delivery
from mission_tracer._sending import transport  # what may be read now
os.setgroups([]); os.setgid(65534); os.setuid(65534)
"""

NO_ROOM = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
"""

FULL_IN_MID_LINE = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
"""

TROUBLES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a file in its place": ("", lambda state: state.write_text("x")),
    "a file above it": ("", lambda state: (state.parent.rmdir(), state.parent.write_text("x"))),
    "a file in the place of runs": ("", lambda state: (state.mkdir(), (state / "runs").write_text("x"))),
    "no locks (ENOLCK)": (NO_LOCKS.format(errno=37), lambda state: None),
    "no locks (EOPNOTSUPP)": (NO_LOCKS.format(errno=95), lambda state: None),
    "another user's": (NOBODY, lambda state: state.mkdir(mode=0o700)),
    "readable only": (NOBODY, lambda state: (state.mkdir(mode=0o755), (state / "runs").mkdir(mode=0o755))),
    "no room": (NO_ROOM, lambda state: None),
    "room for a few lines": (FULL_IN_MID_LINE, lambda state: None),
}


@contextmanager
def serving(port: int = 0, **switches: Any) -> Iterator[str]:
    with running_server(port=port, behaviour=Behaviour(**switches)) as running:
        yield running.base_url


@pytest.fixture
def server() -> Iterator[str]:
    with serving() as base_url:
        yield base_url
        recorder.discard()


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_bad_disk_from_the_beginning(trouble: str, tmp_path: Path) -> None:
    """Where the state directory cannot be used at all, everything is delivered from memory, and one line says so."""
    code, prepare = TROUBLES[trouble]
    if code == NOBODY and os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    for path in (tmp_path, *tmp_path.parents[:3]):
        path.chmod(0o755)  # what somebody else may not do is to be up to the state directory alone
    state = tmp_path / "place" / "state"
    state.parent.mkdir()
    prepare(state)
    with serving() as base_url:
        done = run(
            [sys.executable, "-c", PROGRAM.format(trouble=code)],
            environment(state, TELNYX_API_KEY="KEY1", TELNYX_BASE_URL=base_url),
        )
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert arrived(base_url) == [("succeeded", events())]
    said = [line for line in done.stderr.splitlines() if "journal cannot be written" in line]
    assert len(said) == 1, done.stderr


@pytest.mark.parametrize("name", ["with spaces", "ümläut 状態", "a\nline", "%41&?#"])
def test_any_name_will_do(name: str, tmp_path: Path) -> None:
    """A state directory may have any name the system allows; nothing is said, and everything is kept and delivered."""
    with serving() as base_url:
        env = environment(tmp_path / name, TELNYX_API_KEY="KEY1", TELNYX_BASE_URL=base_url)
        done = run([sys.executable, "-c", PROGRAM.format(trouble="")], env)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert arrived(base_url) == [("succeeded", events())]
    assert len(list((tmp_path / name / "delivered").iterdir())) == 2


def test_a_relative_name_is_meant_where_the_program_began(tmp_path: Path) -> None:
    """A relative state directory stays where it is when the program goes to another directory."""
    code = """
import os, mission_tracer as mt
with mt.mission_run("m"):
    os.chdir("/")
    mt.log_event("x")
with mt.mission_run("m"):
    mt.log_event("y")
"""
    done = run(
        [sys.executable, "-c", code], environment(Path("state here"), MISSION_TRACER_LOG_LEVEL="off"), cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "state here" / "runs").iterdir())) == 2
    assert not Path("/state here").exists()


@pytest.mark.parametrize("umask", ["000", "077", "777"])
def test_every_file_is_the_users_alone(umask: str, tmp_path: Path) -> None:
    """Whatever the umask is, all that a program and its delivery make are files 0600 in directories 0700."""
    with serving() as base_url:
        env = environment(tmp_path / "a" / "state", TELNYX_API_KEY="KEY1", TELNYX_BASE_URL=base_url)
        code = (
            f"import os; os.umask(0o{umask})\n"
            + PROGRAM.format(trouble="")
            + "\nwith mt.mission_run('open'): os._exit(0)"
        )
        done = run([sys.executable, "-c", code], env)
        assert done.returncode == 0, done.stderr
    found = [tmp_path / "a", *(tmp_path / "a").rglob("*")]
    assert len([path for path in found if path.is_file()]) >= 5
    assert {oct(path.stat().st_mode & 0o777) for path in found if path.is_file()} == {"0o600"}
    assert {oct(path.stat().st_mode & 0o777) for path in found if path.is_dir()} == {"0o700"}


# ---- disks that go bad in the middle, and come back ----


def configure(base_url: str, **given: Any) -> None:
    mt.configure(api_key="KEY1", base_url=base_url, settle=0.2, **given)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a small disk; what runs on it has ended when it goes."""
    with small_disk(tmp_path / "disk") as place:
        yield place
        recorder.discard()


def test_a_disk_that_fills_up_and_is_freed(disk: Path, server: str, capsys: pytest.CaptureFixture[str]) -> None:
    """While the disk is full facts go to memory, and to the server; when there is room they go to the disk again.

    All arrive, once and in their order; no torn line is taken for a refused fact; one line is said.
    """
    configure(server, dir=disk / "state")
    with mt.mission_run("Full disk") as run_:
        log(0, 20)
        ballast = fill(disk)
        log(20, 60)
        assert not run_.stream.journal.is_on_disk
        balance()
        assert mt.flush(30)
        log(60, 80)
        assert balance().pending > 0 or mt.flush(30)
        ballast.unlink()
        wait_for(lambda: (log(0, 0), run_.stream.journal.append(b""), run_.stream.journal.is_on_disk)[-1])
        log(80, 100)
        assert len(run_.stream.journal.memory) == 0
    assert mt.flush(30)
    assert balance().delivered == 102
    assert arrived(server)[-1:] == [("succeeded", events(0, 100))]
    assert list(dead.listing(recorder.default().directory)) == []
    said = [line for line in capsys.readouterr().err.splitlines() if "journal cannot be written" in line]
    assert len(said) == 1


def test_a_full_disk_with_the_server_away(disk: Path, tmp_path: Path) -> None:
    """With disk and server both away facts wait in memory; when the disk is back they go there, and survive a kill."""
    port = free_port()
    configure(f"http://127.0.0.1:{port}/v2", dir=disk / "state", log_level="off", max_backoff=0.05)
    with mt.mission_run("Both away") as run_:
        log(0, 20)
        ballast = fill(disk)
        log(20, 40)
        wait_for(lambda: not run_.stream.journal.is_on_disk)
        ballast.unlink()
        number = 40

        def is_back() -> bool:
            nonlocal number
            log(number, number + 1)
            number += 1
            return bool(run_.stream.journal.is_on_disk)

        wait_for(is_back)
        assert balance().pending == number + 1
        assert len(run_.stream.journal.memory) == 0
    lines = [read(line.content) for line in iterate_lines(run_.stream.journal.path) if line.content]
    assert len(lines) == number + 2
    with serving(port) as base_url:
        assert mt.flush(30)
        assert arrived(base_url) == [("succeeded", events(0, number))]
    assert balance().delivered == number + 2


def test_what_does_not_fit_is_counted_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With neither disk nor server, and the memory full, facts are dropped: counted by their reason, said once."""
    configure(f"http://127.0.0.1:{free_port()}/v2", dir=tmp_path / "file" / "state", max_memory_facts=10)
    (tmp_path / "file").write_text("x")
    with mt.mission_run("No room"):
        log(0, 50)
    stats = balance()
    assert (stats.recorded, stats.pending, stats.dropped) == (52, 10, {"no room on disk or in memory": 42})
    recorder.discard()
    said = capsys.readouterr().err.splitlines()
    assert len([line for line in said if "a fact was dropped" in line]) == 1
    assert len([line for line in said if "journal cannot be written" in line]) == 1


def test_a_read_only_disk_becomes_writable(disk: Path, server: str) -> None:
    """What begins on a read-only disk is delivered from memory; what begins when it is writable goes there."""
    configure(server, dir=disk / "state", log_level="off")
    with read_only(disk):
        with mt.mission_run("Read-only"):
            log(0, 10)
        assert mt.flush(30)
        assert balance().delivered == 12

    pause = threading.Event()

    def is_back() -> bool:
        pause.wait(0.3)
        with mt.mission_run("Read-write") as run_:
            log(0, 10)
            return run_.stream.journal.path.exists()

    wait_for(is_back)
    assert mt.flush(30)
    assert {(status, *sorted(found)) for status, found in arrived(server)} == {("succeeded", *events(0, 10))}
    assert balance().delivered == balance().recorded


@pytest.mark.parametrize("how", ["everything", "one journal"])
@pytest.mark.parametrize("when", ["at once", "when some is delivered"])
def test_a_directory_that_vanishes(how: str, when: str, tmp_path: Path, server: str) -> None:
    """What was recorded before and after its files were deleted is delivered while the process lives."""
    state = tmp_path / "vanishing"
    configure(server, dir=state)
    with mt.mission_run("Vanishing") as run_:
        log(0, 20)
        if when != "at once":
            assert mt.flush(30)
        if how == "everything":
            shutil.rmtree(state.rename(tmp_path / "going"))  # at once, so that nothing new comes in between
        else:
            run_.stream.journal.path.unlink()
        log(20, 40)
        balance()
    balance()
    with mt.mission_run("Vanishing") as after:
        log(0, 5)
        assert after.stream.journal.path.exists()
    assert mt.flush(30)
    stats = balance()
    assert (stats.delivered, stats.dropped) == (42 + 7, {})
    assert sorted(arrived(server)) == sorted([("succeeded", events()), ("succeeded", events(0, 5))])
    assert mt.shutdown(10)
    assert list(state.glob("runs/*")) == []


def test_a_run_that_was_deleted_after_its_end_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Facts whose file was deleted when nobody held it any more are lost: counted by their reason, and said."""
    state = tmp_path / "deleted"
    mt.configure(dir=state)
    with mt.mission_run("Deleted"):
        log(0, 5)
    assert balance().pending == 7
    shutil.rmtree(state)
    assert balance().dropped == {"the journal was deleted": 7}
    configure(f"http://127.0.0.1:{free_port()}/v2", dir=state)
    wait_for(lambda: "was deleted before it was delivered" in capsys.readouterr().err)
    assert balance().dropped == {"the journal was deleted": 7}


AT_THE_LIMIT = """
import resource, mission_tracer as mt
with mt.mission_run("Before"):
    for number in range(10):
        mt.log_event(f"event {number}")
        if number == 5:
            assert mt.flush(30)  # the connection stands
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    with mt.mission_run("At the limit"):
        for number in range(10):
            mt.log_event(f"event {number}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
assert mt.flush(60)
stats = mt.stats()
assert stats.recorded == stats.delivered == 25, stats
"""


FEW_FILES = """
import resource, mission_tracer as mt
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
for number in range(200):
    with mt.mission_run("Waiting"):
        pass
assert not mt.flush(1.0)
files = [open("/dev/null") for _ in range(180)]
assert not mt.flush(1.0)
"""


def test_an_outage_leaves_the_program_its_files(tmp_path: Path) -> None:
    """While many runs wait for a server, most of the files that may be open, and they are few, are the program's."""
    env = environment(
        tmp_path / "state",
        TELNYX_API_KEY="KEY1",
        TELNYX_BASE_URL=f"http://127.0.0.1:{free_port()}/v2",
        MISSION_TRACER_FLUSH_STALL="0.1",
        MISSION_TRACER_LOG_LEVEL="error",
    )
    done = run([sys.executable, "-c", FEW_FILES], env)
    assert (done.returncode, done.stderr) == (0, "")


def test_no_more_files_may_be_opened(tmp_path: Path, server: str) -> None:
    """At the limit of open files new runs are recorded in memory; when there is room again all are delivered."""
    env = environment(tmp_path / "state", TELNYX_API_KEY="KEY1", TELNYX_BASE_URL=server)
    done = run([sys.executable, "-c", AT_THE_LIMIT], env)
    assert done.returncode == 0, done.stderr
    found = [(status, sorted(each for each in said if "Started" not in each)) for status, said in arrived(server)]
    assert found == [("succeeded", events(0, 10))] * 2


# ---- a disk that does not take the delivery log ----


def test_what_cannot_be_noted_is_not_sent_twice(disk: Path) -> None:
    """While the disk does not take the delivery log nothing is sent twice, nor once there is room again."""
    port = free_port()
    base_url = f"http://127.0.0.1:{port}/v2"
    configure(base_url, dir=disk / "state", log_level="off", max_backoff=0.05)
    with mt.mission_run("No notes") as run_:
        log(0, 40)
        ballast = fill(disk)
        with serving(port, key_lifetime=0):
            assert mt.flush(30)
            assert arrived(base_url) == [("running", events())]
            ballast.unlink()
            lane = recorder.default().roster.lane(run_.key)
            assert lane is not None
            wait_for(lambda: not lane.is_behind)
            # Whoever takes over finds in the log what was delivered.
            taken_over = LaneState()
            read_log(recorder.default().directory.log(run_.key), taken_over)
            assert taken_over.run_id == run_.run_id
            assert taken_over.cursor == whole_length(run_.stream.journal.path)


def test_a_run_that_ends_on_a_full_disk_is_not_delivered_again(disk: Path) -> None:
    """A run that was delivered while its log could not be written leaves nothing that is sent again later."""
    port = free_port()
    base_url = f"http://127.0.0.1:{port}/v2"
    configure(base_url, dir=disk / "state", log_level="off", max_backoff=0.05)
    with mt.mission_run("Ends"):
        log(0, 40)
    fill(disk)
    with serving(port, key_lifetime=0):
        assert mt.flush(30)
        assert mt.shutdown(10)
        balance()
        env = environment(disk / "state", TELNYX_API_KEY="KEY1", TELNYX_BASE_URL=base_url)
        run([*CLI, "sync"], env)
        assert arrived(base_url) == [("succeeded", events())]


# ---- the end of the process ----

AT_THE_END = """
import os, resource, signal, sys, mission_tracer as mt
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
with mt.mission_run("End") as run:
    for number in range(20):
        mt.log_event(f"event {number}")
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    for number in range(20, 40):
        mt.log_event(f"event {number}")
    assert len(run.stream.journal.memory) > 0
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]) or soft, hard))
"""


@pytest.mark.parametrize("offline", [True, False])
def test_at_the_end_memory_goes_to_the_disk(offline: bool, tmp_path: Path) -> None:
    """What memory holds when the process ends is put on the disk if that takes it by then, and nothing is said lost."""
    more = {} if offline else {"TELNYX_API_KEY": "KEY1", "TELNYX_BASE_URL": f"http://127.0.0.1:{free_port()}/v2"}
    env = environment(tmp_path / "state", MISSION_TRACER_FLUSH_STALL="0.5", **more)
    done = run([sys.executable, "-c", AT_THE_END, "0"], env)
    assert done.returncode == 0, done.stderr
    assert "lost with this process" not in done.stderr.splitlines()[-1]
    [journal] = [path for path in (tmp_path / "state" / "runs").glob("*.jsonl") if ".sent." not in path.name]
    found = [read(line.content) for line in iterate_lines(journal) if line.content]
    assert len(found) == 42
    assert isinstance(found[0], RunOpened)


def test_what_is_lost_at_the_end_is_said(tmp_path: Path) -> None:
    """What memory holds when the process ends, and the disk does not take, is counted and said."""
    done = run([sys.executable, "-c", AT_THE_END, "2000"], environment(tmp_path / "state"))
    assert done.returncode == 0, done.stderr
    [said] = [line for line in done.stderr.splitlines() if "lost with this process" in line and "on no disk" in line]
    assert int(said.rpartition("=")[2]) > 20
