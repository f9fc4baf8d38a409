"""Look after what the server refused for good: list it, have it sent again, or give it up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, suppress

import msgspec

from mission_tracer._base.locks import await_lock
from mission_tracer._disk.directory import Directory
from mission_tracer._disk.journal import AppendFile, iterate_lines
from mission_tracer._planning import records

_PATIENCE = 0.5  # seconds
_MOST = 20.0  # seconds


class DeadFact(msgspec.Struct, frozen=True, kw_only=True):
    """A fact that the server refused.

    Args:
        key: The run's key.
        fact: The fact's id; empty when its line is damaged.
        position: Where in the journal it stands.
        operation: The request that was refused; empty when there was none.
        status: The HTTP status; 0 when there was none.
        reason: The server's words.
    """

    key: str
    fact: str
    position: int
    operation: str
    status: int
    reason: str


def listing(directory: Directory) -> Iterator[DeadFact]:
    """List the refused facts of every run, the oldest run first; a log that cannot be read is left out."""
    for key in sorted({*directory.keys(), *directory.delivered_keys()}):
        yield from _refused(directory, key)


def retry(directory: Directory, *, key: str | None = None, fact: str | None = None) -> int:
    """Have refused facts sent again, by whoever delivers their run; return how many.

    Args:
        directory: The state directory.
        key: Only this run's; `None`: those of every run.
        fact: Only the fact of this id; `None`: all.

    Raises:
        OSError: A delivery log cannot be written.
    """
    return _decide(directory, records.Retried, key, fact)


def drop(directory: Directory, *, key: str | None = None, fact: str | None = None) -> int:
    """Give refused facts up, so that they count as dropped; return how many.

    Args:
        directory: The state directory.
        key: Only this run's; `None`: those of every run.
        fact: Only the fact of this id; `None`: all.

    Raises:
        OSError: A delivery log cannot be written.
    """
    return _decide(directory, records.Dropped, key, fact)


def _decide(
    directory: Directory,
    record: type[records.Retried | records.Dropped],
    key: str | None,
    fact: str | None,
) -> int:
    chosen = [item for item in listing(directory) if key in {None, item.key} and fact in {None, item.fact}]
    for item in chosen:
        _note(directory, item.key, records.encode(record(item.position)))
    return len(chosen)


def _note(directory: Directory, key: str, line: bytes) -> None:
    """Append to a delivery log. One `write` needs no lock, and whoever delivers the run looks for such lines.

    Meanwhile we count as a writer of the journal: nobody puts the run away without having seen them.
    """
    deadline = time.monotonic() + _MOST
    while time.monotonic() < deadline:
        directory.bring_back(key)
        try:
            journal = AppendFile(directory.journal(key), create=False)
        except FileNotFoundError:
            if directory.find(key) is None:
                raise
            continue  # put away again in the same moment
        with closing(journal):
            if await_lock(journal.fd, shared=True, patience=_PATIENCE) and journal.is_in_place():
                with closing(AppendFile(directory.log(key), create=False)) as log:
                    log.append(line)
                return
    raise TimeoutError(f"the run {key} is held by somebody who does not go on")


def _refused(directory: Directory, key: str) -> list[DeadFact]:
    found: dict[int, DeadFact] = {}
    place = directory.find(key)
    if place is None:
        return []
    with suppress(OSError):
        for line in iterate_lines(place[1]):
            try:
                record = records.decode(line.content)
            except msgspec.MsgspecError:
                continue
            if isinstance(record, records.Rejected):
                found[record.position] = DeadFact(
                    key=key,
                    fact=record.fact,
                    position=record.position,
                    operation=record.operation,
                    status=record.status,
                    reason=record.reason,
                )
            elif isinstance(record, (records.Retried, records.Dropped)):
                found.pop(record.position, None)
    return [found[position] for position in sorted(found)]
