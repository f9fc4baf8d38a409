"""Lay out the state directory: `runs/` with what is not delivered yet, `delivered/`, and `missions/` with what is known.

Everything is made for the user alone: directories 0700, files 0600.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import msgspec

from mission_tracer import facts
from mission_tracer._journal import AppendFile, iterate_lines
from mission_tracer._locks import LockFile, try_lock

_JOURNAL = ".jsonl"
_LOG = ".sent.jsonl"


class RememberedMission(msgspec.Struct):
    """What a mission's name stands for at one address of the API."""

    base_url: str
    name: str
    mission_id: str


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
        """Move a delivered run out of the way; its log goes last, so that a half move is seen and done again.

        Raises:
            OSError: They cannot be moved.
        """
        self.delivered.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in (self.journal(key), self.log(key)):
            with suppress(FileNotFoundError):
                path.replace(self.delivered / path.name)
        self.journal(key).with_suffix(".lock").unlink(missing_ok=True)

    def bring_back(self, key: str) -> bool:
        """Move a delivered run back because more is recorded; say whether there was one."""
        moved = False
        for path in (self.log(key), self.journal(key)):
            with suppress(FileNotFoundError):
                (self.delivered / path.name).replace(path)
                moved = True
        return moved

    def find_log(self, key: str) -> None:
        """Bring a run's delivery log back if it was put away without its journal, as a crash in between leaves it.

        Without its log a run would be delivered a second time.
        """
        log = self.log(key)
        if not log.exists():
            with suppress(FileNotFoundError):
                (self.delivered / log.name).replace(log)

    def prune(self, *, before: float, most_bytes: int) -> list[str]:
        """Delete delivered runs last touched before a time, and the oldest ones over a size; return their keys.

        Args:
            before: Seconds since the epoch.
            most_bytes: How much may stay.
        """
        kept = 0
        gone = []
        for key in reversed(self.delivered_keys()):
            paths = [self.delivered / f"{key}{suffix}" for suffix in (_JOURNAL, _LOG)]
            stats = [path.stat() for path in paths if path.exists()]
            kept += sum(stat.st_size for stat in stats)
            if kept > most_bytes or max((stat.st_mtime for stat in stats), default=0.0) < before:
                for path in paths:
                    path.unlink(missing_ok=True)
                gone.append(key)
        return gone

    def mission_lock(self, base_url: str, name: str) -> LockFile:
        """Return the lock under which a mission's name is looked up and, when it is new, created."""
        return LockFile(self._mission(base_url, name).with_suffix(".lock"))

    def recall(self, base_url: str, name: str) -> str | None:
        """Return the mission id that a name is known to stand for; `None` when it is not known."""
        try:
            known = msgspec.json.decode(self._mission(base_url, name).read_bytes(), type=RememberedMission)
        except (OSError, msgspec.MsgspecError):
            return None
        return known.mission_id if (known.base_url, known.name) == (base_url, name) else None

    def remember(self, base_url: str, name: str, mission_id: str) -> None:
        """Note the mission id that a name stands for.

        Raises:
            OSError: It cannot be written.
        """
        path = self._mission(base_url, name)
        fresh = path.with_suffix(f".{os.getpid()}.new")
        fresh.touch(mode=0o600)
        fresh.write_bytes(msgspec.json.encode(RememberedMission(base_url, name, mission_id)))
        fresh.replace(path)

    def forget(self, base_url: str, name: str) -> None:
        """Drop what a name stands for: the server does not know that mission any more."""
        self._mission(base_url, name).unlink(missing_ok=True)

    def _mission(self, base_url: str, name: str) -> Path:
        import hashlib  # loads OpenSSL: only whoever delivers needs it

        digest = hashlib.sha256(f"{base_url}\n{name}".encode("utf-8", "surrogatepass")).hexdigest()
        return self.missions / f"{digest[:32]}.json"


def _keys(place: Path) -> list[str]:
    try:
        names = os.listdir(place)
    except OSError:
        return []
    return sorted(n[: -len(_JOURNAL)] for n in names if n.endswith(_JOURNAL) and not n.endswith(_LOG))


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
        with suppress(msgspec.MsgspecError):
            fact = facts.decode(line.content)
            if isinstance(fact, (facts.RunOpened, facts.RunJoined)):
                return fact
        break
    return None
