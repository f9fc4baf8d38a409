"""Delete delivered runs that are old, or more than may stay; never one with anything left to deliver or to decide."""

from __future__ import annotations

from contextlib import closing, suppress

from mission_tracer._disk.books import count_files
from mission_tracer._disk.directory import JOURNAL, LOG, Directory
from mission_tracer._disk.journal_file import AppendFile


def prune(directory: Directory, *, now: float, retention: float, most_bytes: int) -> list[str]:
    """Delete delivered runs last touched longer ago than `retention`, and the oldest ones over a size.

    A run with refused facts that nobody has answered stays, and does not count. What is known of missions goes after
    the same time. Several processes may prune at once.

    Args:
        directory: The state directory.
        now: Seconds since the epoch.
        retention: How long they stay, in seconds.
        most_bytes: How much may stay.

    Returns:
        The keys of what was deleted.
    """
    kept = 0
    gone = []
    keys = directory.delivered_keys()
    _drop_orphans(directory, set(keys))
    directory.forget_missions(now=now, retention=retention)
    for key in reversed(keys):
        size, touched = _measure(directory, key)
        kept += size
        if kept > most_bytes or now - touched > retention:
            if _delete(directory, key):
                gone.append(key)
            else:
                kept -= size
    return gone


def _drop_orphans(directory: Directory, keys: set[str]) -> None:
    """Delete delivery logs whose journals are gone, as a crash in the middle of pruning leaves them."""
    for path in directory.delivered.glob(f"*{LOG}"):
        key = path.name.removesuffix(LOG)
        if key not in keys:
            with suppress(OSError), closing(AppendFile(path, create=False)) as log:
                # Whoever puts a run away holds its log, which comes here first.
                if log.try_lock() and directory.find(key) is None:
                    path.unlink()


def _measure(directory: Directory, key: str) -> tuple[int, float]:
    size, touched = 0, 0.0
    for suffix in (JOURNAL, LOG):
        with suppress(OSError):
            stat = (directory.delivered / f"{key}{suffix}").stat()
            size, touched = size + stat.st_size, max(touched, stat.st_mtime)
    return size, touched


def _delete(directory: Directory, key: str) -> bool:
    """Delete a delivered run; False when it must stay, or is in somebody's hands."""
    journal, log = directory.delivered / f"{key}{JOURNAL}", directory.delivered / f"{key}{LOG}"
    with suppress(OSError), closing(AppendFile(journal, create=False)) as file:
        if file.try_lock() and file.is_in_place():
            sums = count_files(journal, log)
            if not (sums.pending or sums.rejected):
                journal.unlink()
                log.unlink(missing_ok=True)
                return True
    return False
