"""The state directory: a run's two files stay together, whoever moves them and whenever he dies."""

from __future__ import annotations

import math
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from mission_tracer._base.locks import LockFile, try_lock
from mission_tracer._disk.directory import Directory, claim_dead, is_there, read_head
from mission_tracer._disk.journal import AppendFile
from tests.disks import before_locking
from tests.journals import contents

KEY = "01key"
FACT = (
    b'{"fact":"run_opened","id":"w.1","at":"2026-01-01T00:00:00Z","key":"01key","mission":{"name":"m"},"metadata":{}}'
)
ACK = b'{"did":"ack","position":0,"end":1}'


def fill(directory: Directory, key: str = KEY, *, log: bool = True) -> None:
    """Make a run that has both its files."""
    directory.journal(key).write_bytes(FACT + b"\n")
    if log:
        directory.log(key).write_bytes(ACK + b"\n")


@contextmanager
def held(directory: Directory, key: str = KEY) -> Iterator[None]:
    """Hold both locks of a run, as whoever puts it away does."""
    files = [AppendFile(path, create=False) for path in (directory.journal(key), directory.log(key)) if path.exists()]
    try:
        assert all(try_lock(file.fd) for file in files)
        yield
    finally:
        for file in files:
            file.close()


def put_away(directory: Directory, key: str = KEY) -> None:
    with held(directory, key):
        directory.put_away(key)


def names(directory: Directory) -> set[str]:
    return {str(path.relative_to(directory.root)) for path in directory.root.rglob("*") if path.is_file()}


def test_everything_is_the_users_alone(directory: Directory) -> None:
    """The directories have mode 0700, and what is written in them has 0600."""
    for path in (directory.root, directory.runs, directory.delivered, directory.missions):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    directory.remember("url", "name", "id")
    assert directory.is_due(now=0.0, every=1.0)
    lock = directory.mission_lock("url", "name")
    assert lock.try_acquire()
    lock.release()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in directory.root.rglob("*") if path.is_file()}
    assert modes == {0o600}


def test_nothing_is_made_before_it_is_needed(tmp_path: Path) -> None:
    """Naming a directory, and asking what is in it, makes nothing."""
    directory = Directory(tmp_path / "absent")
    assert directory.keys() == directory.delivered_keys() == []
    assert directory.find(KEY) is None
    assert directory.changed_at() == 0
    assert directory.recall("url", "name") is None
    assert not directory.bring_back(KEY)
    directory.tidy()
    directory.forget("url", "name")
    assert list(tmp_path.iterdir()) == []


def test_keys_are_sorted_and_logs_are_none(directory: Directory) -> None:
    """The runs are listed by their journals, the oldest first."""
    for key in ("02", "01", "03"):
        fill(directory, key)
    (directory.runs / "04.lock").touch()
    put_away(directory, "02")
    assert directory.keys() == ["01", "03"]
    assert directory.delivered_keys() == ["02"]


def test_a_run_moves_with_its_log(directory: Directory) -> None:
    """Putting a run away moves journal and log, and removes what else stood beside them; both come back together."""
    fill(directory)
    (directory.runs / f"{KEY}.lock").touch()
    (directory.runs / f"{KEY}.outcome").touch()
    put_away(directory)
    assert names(directory) == {f"delivered/{KEY}.jsonl", f"delivered/{KEY}.sent.jsonl"}
    assert directory.find(KEY) == (directory.delivered / f"{KEY}.jsonl", directory.delivered / f"{KEY}.sent.jsonl")
    assert directory.bring_back(KEY)
    assert names(directory) == {f"runs/{KEY}.jsonl", f"runs/{KEY}.sent.jsonl"}
    assert directory.log(KEY).read_bytes() == ACK + b"\n"
    assert directory.bring_back(KEY)


def test_a_run_without_a_log_moves_too(directory: Directory) -> None:
    """A run that nobody delivered has no log; none appears."""
    fill(directory, log=False)
    put_away(directory)
    assert names(directory) == {f"delivered/{KEY}.jsonl"}
    assert directory.bring_back(KEY)
    assert names(directory) == {f"runs/{KEY}.jsonl"}


def test_who_puts_away_is_let_finish(directory: Directory) -> None:
    """A run whose journal is held is not brought back, after a short wait, as long as it is held."""
    fill(directory)
    put_away(directory)
    holder = AppendFile(directory.delivered / f"{KEY}.jsonl", create=False)
    assert try_lock(holder.fd)
    assert not directory.bring_back(KEY)
    holder.close()
    assert directory.bring_back(KEY)


# ---- crashes ----


class Crash(BaseException):
    """The process is killed in this moment."""


CALLS = ("link", "rename", "replace", "unlink")


@contextmanager
def dying(monkeypatch: pytest.MonkeyPatch, after: int, *, links: bool) -> Iterator[None]:
    """Have the process die before its n-th change of a directory; perhaps on a file system without second names."""
    left = after

    def make(real: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            if name == "link" and not links:
                raise PermissionError(1, "no second names here")
            if left == 0:
                raise Crash
            left -= 1
            return real(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, make(getattr(os, name), name))
        with suppress(Crash):
            yield


def check_whole(directory: Directory, key: str = KEY) -> None:
    """See that journal and log stand in one place, whole, with nothing of theirs elsewhere."""
    place = directory.find(key)
    assert place is not None
    assert place[0].read_bytes() == FACT + b"\n"
    assert place[1].read_bytes() == ACK + b"\n"
    assert {name for name in names(directory) if key in name} == {
        str(path.relative_to(directory.root)) for path in place
    }


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
@pytest.mark.parametrize("after", range(8))
@pytest.mark.parametrize("way", ["put away", "bring back"])
def test_a_crash_in_between_is_tidied(
    way: str, after: int, links: bool, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever dies while he moves a run leaves it whole, or such that tidying makes it whole."""
    fill(directory)
    (directory.runs / f"{KEY}.lock").touch()
    if way == "bring back":
        put_away(directory)
        with dying(monkeypatch, after, links=links):
            directory.bring_back(KEY)
    else:
        with held(directory), dying(monkeypatch, after, links=links):
            directory.put_away(KEY)
    journal_and_log = directory.find(KEY)
    assert journal_and_log is not None
    if links:
        assert journal_and_log[1].read_bytes() == ACK + b"\n"  # the log is there even before anyone tidies
    directory.tidy()
    put_away_again = directory.journal(KEY).exists()
    if put_away_again:
        put_away(directory)
    check_whole(directory)


def test_a_log_without_a_journal_is_deleted(directory: Directory) -> None:
    """What a deleted run left behind is tidied away: its log, its lock file, what was said of its outcome."""
    for suffix in (".sent.jsonl", ".lock", ".outcome"):
        (directory.runs / f"{KEY}{suffix}").touch()
    (directory.runs / "02.lock").touch()
    directory.tidy()
    assert names(directory) == set()


def test_a_log_that_is_held_is_left(directory: Directory) -> None:
    """A log whose journal was deleted stays as long as somebody delivers by it."""
    fill(directory)
    with held(directory):
        directory.journal(KEY).unlink()
        directory.tidy()
        assert names(directory) == {f"runs/{KEY}.sent.jsonl"}
    directory.tidy()
    assert names(directory) == set()


def test_a_log_made_too_late_is_deleted(directory: Directory) -> None:
    """An empty log that somebody made in the moment its run was put away is no second log."""
    fill(directory)
    put_away(directory)
    directory.log(KEY).touch()
    directory.tidy()
    check_whole(directory)


def test_a_second_log_that_says_something_is_kept(directory: Directory) -> None:
    """A log that is neither empty nor another name of the one that is away is nobody's to delete."""
    fill(directory)
    put_away(directory)
    directory.log(KEY).write_bytes(ACK * 2)
    before = names(directory)
    directory.tidy()
    assert names(directory) == before
    assert directory.log(KEY).read_bytes() == ACK * 2


def test_a_run_that_is_being_moved_is_not_tidied(directory: Directory) -> None:
    """While somebody holds the journal of a run that is away, the second name of its log is his to take."""
    fill(directory)
    put_away(directory)
    os.link(directory.delivered / f"{KEY}.sent.jsonl", directory.log(KEY))
    mover = AppendFile(directory.delivered / f"{KEY}.jsonl", create=False)
    assert try_lock(mover.fd)
    before = names(directory)
    directory.tidy_run(KEY)
    assert names(directory) == before
    mover.close()
    directory.tidy_run(KEY)
    check_whole(directory)


def test_a_log_that_took_the_name_meanwhile_is_left(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who opened a log that was buried before he got its lock does not bury the next one of that name."""
    log = directory.log(KEY)
    log.touch()

    def replaced() -> None:
        log.unlink()
        log.write_bytes(ACK)

    with before_locking(monkeypatch, replaced):
        directory.tidy_run(KEY)
    assert log.read_bytes() == ACK


def test_a_living_run_is_not_tidied(directory: Directory) -> None:
    """Tidying changes nothing of a run that has its journal, nor of one that is put away."""
    fill(directory)
    (directory.runs / f"{KEY}.lock").touch()
    fill(directory, "02")
    put_away(directory, "02")
    before = names(directory)
    directory.tidy()
    assert names(directory) == before


@pytest.fixture
def brought_back_at_a_look(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a run that is put away be brought back right after the first look at where it is not."""
    look, looked = is_there, False

    def look_and_move(path: Path) -> bool:
        nonlocal looked
        found = look(path)
        if not looked:
            looked = True
            assert not found
            assert directory.bring_back(KEY)
        return found

    fill(directory)
    put_away(directory)
    monkeypatch.setattr("mission_tracer._disk.directory.is_there", look_and_move)
    yield
    assert looked


@pytest.mark.usefixtures("brought_back_at_a_look")
def test_a_run_is_found_while_it_is_brought_back(directory: Directory) -> None:
    """A run that is moved between the looks at the two places it can have is not taken for gone."""
    assert directory.find(KEY) == (directory.journal(KEY), directory.log(KEY))


@pytest.mark.usefixtures("brought_back_at_a_look")
def test_the_log_of_a_run_that_is_brought_back_is_not_buried(directory: Directory) -> None:
    """Tidying leaves a log that has both its names, as in the middle of a move, to the run that comes back."""
    os.link(directory.delivered / f"{KEY}.sent.jsonl", directory.log(KEY))
    directory._bury_log(KEY)
    check_whole(directory)


MOVER = """
import sys, random
from contextlib import suppress
from pathlib import Path
from mission_tracer._disk.delivery_log import DeliveryLog
from mission_tracer._disk.directory import Directory, claim_dead, is_there
directory, seed = Directory(Path(sys.argv[1])), int(sys.argv[2])
draw = random.Random(seed)
for _ in range(300):
    choice = draw.randrange(4)
    if choice == 0:
        directory.bring_back("01key")
    elif choice == 1:
        directory.tidy()
    elif is_there(directory.journal("01key")):
        log = DeliveryLog(directory.log("01key"))
        if not log.try_open():
            continue
        if not is_there(directory.journal("01key")):
            log.close()
            directory.tidy_run("01key")
            continue
        if not log.is_in_place():
            log.close()
            continue
        assert log.state.cursor == 1, (directory.log("01key").read_bytes(), log.state)
        if choice == 2:
            with suppress(FileNotFoundError):
                file = claim_dead(directory.journal("01key"))
                if file is not None:
                    if file.is_in_place():
                        directory.put_away("01key")
                    file.close()
        log.close()
"""


def test_processes_move_one_run_at_once(directory: Directory) -> None:
    """Processes that put one run away, bring it back, open it and tidy, all at once, never find it without its log."""
    fill(directory)
    movers = [
        subprocess.Popen([sys.executable, "-c", MOVER, str(directory.root), str(seed)], stderr=-1, text=True)
        for seed in range(4)
    ]
    for mover in movers:
        said = mover.communicate(timeout=60)[1]
        assert mover.returncode == 0, said
    directory.tidy()
    if directory.bring_back(KEY):
        put_away(directory)
    check_whole(directory)


# ---- what is known of missions ----


def test_a_name_is_remembered(directory: Directory) -> None:
    """What a name stands for is known again for that address and that name only, until it is forgotten."""
    directory.remember("url", "näme", "id")
    found = directory.recall("url", "näme")
    assert found is not None
    assert found.mission_id == "id"
    assert directory.recall("other url", "näme") is None
    assert directory.recall("url", "other") is None
    directory.remember("url", "näme", None, tried_at=5.0)
    found = directory.recall("url", "näme")
    assert found is not None
    assert (found.mission_id, found.tried_at) == (None, 5.0)
    directory.forget("url", "näme")
    assert directory.recall("url", "näme") is None


@pytest.mark.parametrize("content", [b"", b"{", b"\0\0\0", b'{"base_url":"url","name":"another"}'])
def test_a_damaged_memory_is_none(content: bytes, directory: Directory) -> None:
    """What a power cut left of a memory, or another name's, is not believed."""
    directory.remember("url", "name", "id")
    [path] = directory.missions.glob("*.json")
    path.write_bytes(content)
    assert directory.recall("url", "name") is None
    directory.remember("url", "name", "id")
    assert directory.recall("url", "name") is not None


def test_a_name_is_looked_up_by_one_at_a_time(directory: Directory) -> None:
    """The lock of a name is one for all processes, and another name has another one."""
    lock = directory.mission_lock("url", "name")
    assert lock.try_acquire()
    assert not LockFile(next(directory.missions.glob("*.lock"))).try_acquire()
    other = directory.mission_lock("url", "other")
    assert other.try_acquire()
    other.release()
    lock.release()


def test_what_is_known_of_missions_is_forgotten_after_a_time(directory: Directory) -> None:
    """What was learnt longer ago goes with its lock, and is learnt anew; what is new, or in somebody's hands, stays."""
    held = directory.mission_lock("url", "held")
    for name in ("new", "old", "held", "looked up in vain"):
        lock = held if name == "held" else directory.mission_lock("url", name)
        assert lock.try_acquire()
        if "vain" not in name:
            directory.remember("url", name, f"id of {name}")
        if name != "new":
            for path in directory.missions.glob(f"{directory._mission('url', name).stem}.*"):
                os.utime(path, (0, 0))
        if lock is not held:
            lock.release()
    now = directory._mission("url", "new").stat().st_mtime + 50
    directory.forget_missions(now=now, retention=math.inf)
    assert len(list(directory.missions.iterdir())) == 7
    directory.forget_missions(now=now, retention=100)
    assert [directory.recall("url", name) is not None for name in ("new", "old", "held")] == [True, False, True]
    assert len(list(directory.missions.iterdir())) == 4
    held.release()
    directory.forget_missions(now=now, retention=100)
    assert len(list(directory.missions.iterdir())) == 2
    directory.remember("url", "old", "another id")
    assert directory.recall("url", "old") is not None


def test_a_creation_that_may_still_come_is_remembered(directory: Directory) -> None:
    """That a mission was tried to be created is known for as long as the settings allow its effect to take."""
    lock = directory.mission_lock("url", "tried")
    assert lock.try_acquire()
    directory.remember("url", "tried", None, tried_at=1000.0)
    lock.release()
    os.utime(directory._mission("url", "tried"), (1000.0, 1000.0))
    directory.forget_missions(now=1000.0 + 2 * 86400, retention=0)
    assert directory.recall("url", "tried") is not None
    directory.forget_missions(now=1001.0 + 2 * 86400, retention=0)
    assert directory.recall("url", "tried") is None
    assert list(directory.missions.iterdir()) == []


# ---- turns ----


def test_a_turn_is_taken_once(directory: Directory) -> None:
    """Of all who ask within an interval one gets the turn; a clock that jumped back costs at most one turn more."""
    assert directory.is_due(now=0.0, every=600.0)
    now = (directory.root / ".swept").stat().st_mtime
    assert not directory.is_due(now=now + 1, every=600.0)
    assert not directory.is_due(now=now + 599, every=600.0)
    assert directory.is_due(now=now + 601, every=600.0)
    assert directory.is_due(now=now - 3600, every=600.0)


# ---- heads, and the dead ----


def test_the_head_is_the_first_whole_fact(directory: Directory) -> None:
    """The head of a run is its opening or joining; of an empty, torn or absent beginning there is none."""
    journal = directory.journal(KEY)
    for content, name in ((b"", None), (FACT[:30], None), (b"\n~\n" + FACT + b"\n", KEY), (b"{}\n", None)):
        journal.write_bytes(content)
        head = read_head(directory, KEY)
        assert (head.key if head is not None else None) == name
    with pytest.raises(FileNotFoundError):
        read_head(directory, "02")


def test_only_the_dead_are_claimed(directory: Directory) -> None:
    """A journal is claimed when no living process writes it, and held until it is let go of."""
    fill(directory)
    writer = AppendFile(directory.journal(KEY), create=False)
    assert try_lock(writer.fd, shared=True)
    assert claim_dead(directory.journal(KEY)) is None
    writer.close()
    claimed = claim_dead(directory.journal(KEY))
    assert claimed is not None
    assert claim_dead(directory.journal(KEY)) is None
    claimed.close()
    again = claim_dead(directory.journal(KEY))
    assert again is not None
    again.close()


def test_what_the_dead_left_torn_is_ended(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is appended to a claimed journal begins a row of its own, though its writer died in the last moment."""
    fill(directory)
    journal = directory.journal(KEY)

    def die() -> None:
        with journal.open("ab") as writer:
            writer.write(FACT[:30])

    with before_locking(monkeypatch, die):
        claimed = claim_dead(journal)
    assert claimed is not None
    claimed.append(FACT)
    claimed.close()
    assert contents(journal) == [FACT, FACT]
