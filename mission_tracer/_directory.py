"""Lay out the state directory: `runs/` with what is not delivered yet, `delivered/`, `missions/` with what is known.

Everything is made for the user alone: directories 0700, files 0600.
"""

from __future__ import annotations

import os
from contextlib import closing, suppress
from pathlib import Path

import msgspec

from mission_tracer import facts
from mission_tracer._journal import iterate_lines
from mission_tracer._journal_file import AppendFile
from mission_tracer._locks import LockFile, await_lock, try_lock

_JOURNAL = ".jsonl"
_LOG = ".sent.jsonl"
_PATIENCE = 0.5  # seconds
_SWEPT = ".swept"


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
    """Name the files below one root, and move what was delivered."""

    def __init__(self, root: Path) -> None:
        """Name the root; nothing is made yet."""
        self.root = root
        self.runs = root / "runs"
        self.delivered = root / "delivered"
        self.missions = root / "missions"

    def prepare(self) -> None:
        """Make the directories.

        Raises:
            OSError: They cannot be made.
        """
        for path in (self.root, self.runs, self.delivered, self.missions):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def journal(self, key: str) -> Path:
        """Name a run's journal."""
        return self.runs / f"{key}{_JOURNAL}"

    def log(self, key: str) -> Path:
        """Name a run's delivery log."""
        return self.runs / f"{key}{_LOG}"

    def keys(self) -> list[str]:
        """List the runs that are not put away, the oldest first; none when there is no directory."""
        return _keys(self.runs)

    def changed_at(self) -> int:
        """Return when a run was begun or put away last, in nanoseconds; 0 when there is no directory."""
        try:
            return self.runs.stat().st_mtime_ns
        except OSError:
            return 0

    def delivered_keys(self) -> list[str]:
        """List the runs that were put away, the oldest first."""
        return _keys(self.delivered)

    def find(self, key: str) -> tuple[Path, Path] | None:
        """Return the journal and the delivery log of a run, wherever they are; `None` when there is no such run."""
        for place in (self.runs, self.delivered):
            if (place / f"{key}{_JOURNAL}").exists():
                return place / f"{key}{_JOURNAL}", place / f"{key}{_LOG}"
        return None

    def put_away(self, key: str) -> None:
        """Move a delivered run out of the way; the caller holds the locks of both its files.

        Raises:
            OSError: They cannot be moved.
        """
        self.delivered.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in (self.journal(key), self.log(key)):
            with suppress(FileNotFoundError):
                path.replace(self.delivered / path.name)
        self.journal(key).with_suffix(".lock").unlink(missing_ok=True)

    def bring_back(self, key: str) -> bool:
        """Move a delivered run back because there is more to do; say whether it is there now.

        Whoever is putting it away in this moment is let finish: a run without its log would be delivered again.
        """
        try:
            file = AppendFile(self.delivered / f"{key}{_JOURNAL}", create=False)
        except OSError:
            return self.journal(key).exists()
        with closing(file):
            if not await_lock(file.fd, patience=_PATIENCE):
                return False
            if file.is_in_place():
                # The log first: a run that is seen has its log beside it.
                self.find_log(key)
                file.path.replace(self.journal(key))
        return self.journal(key).exists()

    def find_log(self, key: str) -> None:
        """Bring a run's delivery log back if it was put away without its journal, as a crash in between leaves it.

        Without its log a run would be delivered a second time.
        """
        log = self.log(key)
        if not log.exists():
            with suppress(FileNotFoundError):
                (self.delivered / log.name).replace(log)

    def tidy(self) -> None:
        """Finish what a crash left half done: a delivery log in one place and its journal in the other."""
        for name in _names(self.runs):
            key = name.removesuffix(_LOG)
            if name.endswith(_LOG) and not self.journal(key).exists():
                with suppress(OSError), closing(AppendFile(self.delivered / f"{key}{_JOURNAL}", create=False)) as file:
                    if try_lock(file.fd) and file.is_in_place():
                        self._reunite(key)

    def _reunite(self, key: str) -> None:
        log = self.log(key)
        away = self.delivered / log.name
        if not away.exists():
            log.replace(away)
        elif log.stat().st_size == 0:
            log.unlink()  # made by somebody who came too late

    def prune(self, *, now: float, retention: float, most_bytes: int) -> list[str]:
        """Delete delivered runs last touched longer ago than `retention`, and the oldest ones over a size.

        Args:
            now: Seconds since the epoch.
            retention: How long they stay, in seconds.
            most_bytes: How much may stay.

        Returns:
            The keys of what was deleted.
        """
        kept = 0
        gone = []
        for key in reversed(self.delivered_keys()):
            size, touched = self._measure(key)
            kept += size
            if kept > most_bytes or now - touched > retention:
                for suffix in (_JOURNAL, _LOG):
                    (self.delivered / f"{key}{suffix}").unlink(missing_ok=True)
                gone.append(key)
        return gone

    def is_due(self, *, now: float, every: float) -> bool:
        """Say whether nobody has pruned for `every` seconds, and take the turn."""
        stamp = self.root / _SWEPT
        try:
            if 0 <= now - stamp.stat().st_mtime < every:
                return False
        except FileNotFoundError:
            pass
        with suppress(OSError):
            stamp.touch(mode=0o600)
            return True
        return False

    def _measure(self, key: str) -> tuple[int, float]:
        size, touched = 0, 0.0
        for suffix in (_JOURNAL, _LOG):
            with suppress(FileNotFoundError):
                stat = (self.delivered / f"{key}{suffix}").stat()
                size, touched = size + stat.st_size, max(touched, stat.st_mtime)
        return size, touched

    def mission_lock(self, base_url: str, name: str) -> LockFile:
        """Return the lock under which a mission's name is looked up and, when it is new, created."""
        with suppress(OSError):
            self.missions.mkdir(mode=0o700, parents=True, exist_ok=True)
        return LockFile(self._mission(base_url, name).with_suffix(".lock"))

    def recall(self, base_url: str, name: str) -> RememberedMission | None:
        """Return what a mission's name is known to stand for; `None` when nothing is known of it."""
        try:
            known = msgspec.json.decode(self._mission(base_url, name).read_bytes(), type=RememberedMission)
        except (OSError, msgspec.MsgspecError):
            return None
        return known if (known.base_url, known.name) == (base_url, name) else None

    def remember(self, base_url: str, name: str, mission_id: str | None, *, tried_at: float = 0.0) -> None:
        """Note what a mission's name stands for; without an id, that it is being created. The caller holds its lock.

        Raises:
            OSError: It cannot be written.
        """
        path = self._mission(base_url, name)
        fresh = path.with_suffix(".new")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh.touch(mode=0o600)
        fresh.write_bytes(msgspec.json.encode(RememberedMission(base_url, name, mission_id, tried_at)))
        fresh.replace(path)

    def forget(self, base_url: str, name: str) -> None:
        """Drop what a name stands for: the server does not know that mission any more."""
        self._mission(base_url, name).unlink(missing_ok=True)

    def _mission(self, base_url: str, name: str) -> Path:
        import hashlib  # loads OpenSSL: only whoever delivers needs it

        digest = hashlib.sha256(f"{base_url}\n{name}".encode("utf-8", "surrogatepass")).hexdigest()
        return self.missions / f"{digest[:32]}.json"


def _keys(place: Path) -> list[str]:
    return sorted(n[: -len(_JOURNAL)] for n in _names(place) if n.endswith(_JOURNAL) and not n.endswith(_LOG))


def _names(place: Path) -> list[str]:
    try:
        return os.listdir(place)  # noqa: PTH208 - names are all that is wanted of thousands
    except OSError:
        return []


def claim_dead(path: Path) -> AppendFile | None:
    """Open a journal that no living process writes, and hold it so; `None` while a writer lives.

    Raises:
        OSError: The file cannot be opened, or its file system has no locks.
    """
    file = AppendFile(path, create=False)
    try:
        if try_lock(file.fd):
            return file
    except BaseException:
        file.close()
        raise
    file.close()
    return None


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
