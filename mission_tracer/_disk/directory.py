"""Lay out the state directory: `runs/` with what is not delivered yet, `delivered/`, `missions/` with what is known.

A run's delivery log stands beside its journal at every moment, also while both are moved: without its log a run would
be delivered a second time. So a log that moves has two names until its journal has followed.
"""

from __future__ import annotations

import os
from contextlib import closing, suppress
from pathlib import Path

import msgspec

from mission_tracer import facts
from mission_tracer._base.locks import LockFile
from mission_tracer._base.private import make_directory, open_private
from mission_tracer._disk.journal import iterate_lines
from mission_tracer._disk.journal_file import AppendFile

JOURNAL = ".jsonl"
LOG = ".sent.jsonl"
_ASIDE = (".lock", ".outcome")
_PATIENCE = 0.5  # seconds
_SWEPT = ".swept"
_TRIED = 2 * 86400.0  # seconds; the settings allow a day for a request, and another one for its effect to be seen


class RememberedMission(msgspec.Struct, frozen=True):
    """What a mission's name stands for at one address of the API.

    Without an id: a process of this host tried to create the mission at `tried_at` (seconds since the epoch), and has
    not said what came of it.
    """

    base_url: str
    name: str
    mission_id: str | None = None
    tried_at: float = 0.0


class Directory:
    """Name the files below one root, and move what was delivered; nothing is made yet.

    Args:
        root: The state directory.
        power: True: what is made survives a power cut.
    """

    def __init__(self, root: Path, *, power: bool = False) -> None:
        self.root = root
        self.power = power
        self.runs = root / "runs"
        self._runs = os.fspath(self.runs)
        self.delivered = root / "delivered"
        self.missions = root / "missions"

    def prepare(self) -> None:
        """Make the directories.

        Raises:
            OSError: They cannot be made.
        """
        for path in (self.root, self.runs, self.delivered, self.missions):
            make_directory(path, sync=self.power)

    def journal(self, key: str) -> Path:
        """Name a run's journal."""
        return self.runs / f"{key}{JOURNAL}"

    def log(self, key: str) -> Path:
        """Name a run's delivery log."""
        return self.runs / f"{key}{LOG}"

    def keys(self) -> list[str]:
        """List the runs that are not put away, the oldest first; none when there is no directory."""
        return _keys(self.runs)

    def is_readable(self) -> bool:
        """Say whether it can be seen that a run is not there."""
        try:
            self.journal("").stat()
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    def changed_at(self) -> int:
        """Return when a run was begun or put away last, in nanoseconds; 0 when there is no directory."""
        try:
            return os.stat(self._runs).st_mtime_ns  # noqa: PTH116 - asked while idle: a path object takes as long again
        except OSError:
            return 0

    def delivered_keys(self) -> list[str]:
        """List the runs that were put away, the oldest first."""
        return _keys(self.delivered)

    def find(self, key: str) -> tuple[Path, Path] | None:
        """Return the journal and the delivery log of a run, wherever they are; `None` when there is no such run."""
        # The first place is looked at again: a run may be brought back between the looks.
        for place in (self.runs, self.delivered, self.runs):
            if is_there(place / f"{key}{JOURNAL}"):
                return place / f"{key}{JOURNAL}", place / f"{key}{LOG}"
        return None

    def put_away(self, key: str) -> None:
        """Move a delivered run out of the way; the caller holds the locks of both its files.

        Raises:
            OSError: They cannot be moved.
        """
        make_directory(self.delivered)
        log, away = self.log(key), self._away(key, LOG)
        linked = _link(log, away)
        _replace(self.journal(key), self._away(key, JOURNAL))
        if linked:
            log.unlink(missing_ok=True)
        else:
            _replace(log, away)
        self._clear_aside(key)

    def bring_back(self, key: str) -> bool:
        """Move a delivered run back because there is more to do; say whether it is there now.

        Whoever is putting it away in this moment is let finish.
        """
        with suppress(OSError), closing(AppendFile(self._away(key, JOURNAL), create=False)) as file:
            if file.try_lock(patience=_PATIENCE) and file.is_in_place():
                log, away = self.log(key), self._away(key, LOG)
                linked = _link(away, log)
                if not linked:
                    _replace(away, log)
                _replace(file.path, self.journal(key))
                if linked:
                    away.unlink(missing_ok=True)
        return is_there(self.journal(key))

    def delete(self, key: str) -> None:
        """Delete a run; the caller holds the lock of its journal, or has seen that it has none.

        Raises:
            OSError: It cannot be deleted.
        """
        for path in (self.journal(key), self.log(key)):
            path.unlink(missing_ok=True)
        self._clear_aside(key)

    def tidy(self) -> None:
        """Finish what a crash left half done: whatever stands in `runs/` without a journal."""
        names = _names(self.runs)
        whole = {name for name in names if name.endswith(JOURNAL) and not name.endswith(LOG)}
        for key in {name.partition(".")[0] for name in names} - {name.removesuffix(JOURNAL) for name in whole}:
            self.tidy_run(key)

    def tidy_run(self, key: str) -> None:
        """Finish the same for one run. What nobody can see to yet stays for the next time.

        Who has made a log for a run that is away does not delete it himself: in the same moment the run may be brought
        back, and its own log take the name.
        """
        with suppress(OSError):
            self._tidy_run(key)

    def _tidy_run(self, key: str) -> None:
        try:
            file = AppendFile(self._away(key, JOURNAL), create=False)
        except FileNotFoundError:
            self._bury_log(key)
            return
        with closing(file):
            # Nobody moves it now.
            if file.try_lock() and file.is_in_place() and not is_there(self.journal(key)):
                log, away = self.log(key), self._away(key, LOG)
                if not is_there(away):
                    _replace(log, away)
                elif is_there(log) and (log.samefile(away) or log.stat().st_size == 0):
                    log.unlink()  # its second name, or made by somebody who came too late
                self._clear_aside(key)

    def _bury_log(self, key: str) -> None:
        """Delete a delivery log whose journal is gone for good, unless somebody still delivers from what he holds."""
        with suppress(FileNotFoundError), closing(AppendFile(self.log(key), create=False)) as log:
            # While we hold a run's log nobody puts the run away: it is where it is, or comes back.
            if not log.try_lock() or self.find(key) is not None or not log.is_in_place():
                return
            log.path.unlink(missing_ok=True)
        self._clear_aside(key)

    def _clear_aside(self, key: str) -> None:
        for suffix in _ASIDE:
            self.journal(key).with_suffix(suffix).unlink(missing_ok=True)

    def _away(self, key: str, suffix: str) -> Path:
        return self.delivered / f"{key}{suffix}"

    def is_due(self, *, now: float, every: float) -> bool:
        """Say whether nobody has pruned for `every` seconds, and take the turn."""
        stamp = self.root / _SWEPT
        try:
            if 0 <= now - stamp.stat().st_mtime < every:
                return False
        except OSError:
            pass
        with suppress(OSError):
            os.close(open_private(stamp, os.O_CREAT | os.O_WRONLY))
            os.utime(stamp)
            return True
        return False

    def mission_lock(self, base_url: str, name: str) -> LockFile:
        """Return the lock under which a mission's name is looked up and, when it is new, created."""
        with suppress(OSError):
            make_directory(self.missions)
        return LockFile(self._mission(base_url, name).with_suffix(".lock"))

    def recall(self, base_url: str, name: str) -> RememberedMission | None:
        """Return what a mission's name is known to stand for; `None` when nothing is known of it."""
        known = _read_mission(self._mission(base_url, name))
        return known if known is not None and (known.base_url, known.name) == (base_url, name) else None

    def remember(self, base_url: str, name: str, mission_id: str | None, *, tried_at: float = 0.0) -> None:
        """Note what a mission's name stands for; without an id, that it is being created. The caller holds its lock.

        Raises:
            OSError: It cannot be written.
        """
        path = self._mission(base_url, name)
        fresh = path.with_suffix(".new")
        make_directory(path.parent)
        with os.fdopen(open_private(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY), "wb") as file:
            file.write(msgspec.json.encode(RememberedMission(base_url, name, mission_id, tried_at)))
        fresh.replace(path)

    def forget(self, base_url: str, name: str) -> None:
        """Drop what a name stands for: the server does not know that mission any more."""
        self._mission(base_url, name).unlink(missing_ok=True)

    def forget_missions(self, *, now: float, retention: float) -> None:
        """Drop what was learnt of missions longer ago than `retention`; it is looked up again when it is needed.

        A creation whose answer is not known is remembered for as long as it may still take effect.

        Args:
            now: Seconds since the epoch.
            retention: In seconds.
        """
        for name in {name.partition(".")[0] for name in _names(self.missions)}:
            path = self.missions / f"{name}.json"
            lock = LockFile(path.with_suffix(".lock"))
            with suppress(OSError):
                if _is_old(path, now, retention) and lock.try_acquire() and _is_old(path, now, retention):
                    for suffix in (".json", ".new", ".lock"):
                        path.with_suffix(suffix).unlink(missing_ok=True)
            lock.release()

    def _mission(self, base_url: str, name: str) -> Path:
        import hashlib  # loads OpenSSL: only whoever delivers needs it

        digest = hashlib.sha256(f"{base_url}\n{name}".encode("utf-8", "surrogatepass")).hexdigest()
        return self.missions / f"{digest[:32]}.json"


def _read_mission(path: Path) -> RememberedMission | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=RememberedMission)
    except (OSError, msgspec.MsgspecError):
        return None


def _is_old(path: Path, now: float, retention: float) -> bool:
    """Say whether what is remembered of a mission, or else its lock, is older than `retention`."""
    age = now - (path if is_there(path) else path.with_suffix(".lock")).stat().st_mtime
    if age <= retention:
        return False
    known = _read_mission(path)
    return age > _TRIED or known is None or known.mission_id is not None


def _keys(place: Path) -> list[str]:
    return sorted(n[: -len(JOURNAL)] for n in _names(place) if n.endswith(JOURNAL) and not n.endswith(LOG))


def _names(place: Path) -> list[str]:
    try:
        return os.listdir(place)  # noqa: PTH208 - names are all that is wanted of thousands
    except OSError:
        return []


def is_there(path: Path) -> bool:
    """Say whether there is such a file; False when that cannot be seen."""
    try:
        path.stat()
    except OSError:
        return False
    return True


def _link(old: Path, new: Path) -> bool:
    """Give a file a second name, whatever had that name before; say whether it has it now."""
    for _ in range(10):
        try:
            new.hardlink_to(old)
        except FileExistsError:
            new.unlink(missing_ok=True)
        except OSError:
            return False  # there is no such file, or its file system has no second names
        else:
            return True
    return False


def _replace(old: Path, new: Path) -> None:
    with suppress(FileNotFoundError):
        old.replace(new)


def claim_dead(path: Path, *, power: bool = False) -> AppendFile | None:
    """Open a journal that no living process writes, and hold it so; `None` while a writer lives.

    Raises:
        OSError: The file cannot be opened, or its file system has no locks.
    """
    file = AppendFile(path, create=False, power=power)
    try:
        if file.try_lock():
            file.recheck()
            return file
    except BaseException:
        file.close()
        raise
    file.close()
    return None


def is_free(path: Path) -> bool:
    """Say whether no living process holds a file: a journal as a writer, a log as the one who delivers.

    Raises:
        OSError: It cannot be opened, or its file system has no locks.
    """
    file = claim_dead(path)
    if file is not None:
        file.close()
    return file is not None


def read_head(directory: Directory, key: str) -> facts.RunOpened | facts.RunJoined | None:
    """Read the first fact of a run; `None` when there is none yet, or it is damaged.

    Raises:
        OSError: The journal cannot be read.
    """
    for line in iterate_lines(directory.journal(key)):
        fact = facts.read(line.content)
        if fact is not None:
            return fact if isinstance(fact, (facts.RunOpened, facts.RunJoined)) else None
    return None
