"""The state of the local server: documents in SQLite, one transaction per request."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from mission_tracer import models
from mission_tracer.errors import ConfigurationError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

Table = Literal["missions", "runs", "steps", "events", "agents", "attachments"]
Order = Literal["seq", "seq DESC", "sequence, seq"]

APPLICATION_ID = 0x4D495353  # "MISS": tells our files from other SQLite files
LAYOUT = 1
BUSY_SECONDS = 30.0  # for another process that has the same file open

# `doc` is the JSON object that the API answers with; the other columns exist to find it.
SCHEMA = """
CREATE TABLE missions (
    seq INTEGER PRIMARY KEY, mission_id TEXT NOT NULL UNIQUE, doc BLOB NOT NULL);
CREATE TABLE runs (
    seq INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE,
    mission_id TEXT NOT NULL REFERENCES missions(mission_id) ON DELETE CASCADE,
    status TEXT NOT NULL, planned INTEGER NOT NULL DEFAULT 0, doc BLOB NOT NULL);
CREATE INDEX runs_of_mission ON runs(mission_id);
CREATE TABLE steps (
    seq INTEGER PRIMARY KEY, run_id TEXT NOT NULL REFERENCES runs(run_id) ON DELETE CASCADE,
    step_id TEXT NOT NULL, sequence INTEGER NOT NULL, doc BLOB NOT NULL);
CREATE INDEX steps_of_run ON steps(run_id, step_id);
CREATE TABLE events (
    seq INTEGER PRIMARY KEY, event_id TEXT NOT NULL UNIQUE,
    run_id TEXT NOT NULL REFERENCES runs(run_id) ON DELETE CASCADE,
    mission_id TEXT NOT NULL, type TEXT NOT NULL, step_id TEXT, agent_id TEXT,
    key TEXT, at REAL NOT NULL, doc BLOB NOT NULL);
CREATE INDEX events_of_run ON events(run_id);
CREATE INDEX events_by_key ON events(key) WHERE key IS NOT NULL;
CREATE TABLE agents (
    seq INTEGER PRIMARY KEY, run_id TEXT NOT NULL REFERENCES runs(run_id) ON DELETE CASCADE,
    telnyx_agent_id TEXT NOT NULL, doc BLOB NOT NULL, UNIQUE (run_id, telnyx_agent_id));
CREATE TABLE attachments (
    seq INTEGER PRIMARY KEY, mission_id TEXT NOT NULL REFERENCES missions(mission_id) ON DELETE CASCADE,
    kind TEXT NOT NULL, id TEXT NOT NULL, doc BLOB NOT NULL, UNIQUE (mission_id, kind, id));
"""


class Store:
    """Hold missions, runs, plans, events, linked agents and attachments.

    One connection behind one lock: any thread may use it. Several processes may open the same file.

    Args:
        path: the database file, created when absent; None keeps everything in memory.

    Raises:
        ConfigurationError: the file cannot be opened, or is not a database of this server.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = None if path is None else Path(path)
        self._lock = threading.RLock()
        try:
            self._db = sqlite3.connect(
                ":memory:" if self.path is None else self.path,
                timeout=BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise ConfigurationError(f"cannot open {self.path}: {error}") from error
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._db.close()
            raise ConfigurationError(f"cannot use {self.path} as a database: {error}") from error
        except ConfigurationError:
            self._db.close()
            raise

    def _prepare(self) -> None:
        """Create the tables in an empty database; refuse one that is not ours."""
        execute = self._db.execute
        execute("PRAGMA foreign_keys = ON")
        # NORMAL: a killed process loses nothing; only a power cut may take the last moments
        execute("PRAGMA synchronous = NORMAL")
        execute("BEGIN IMMEDIATE")
        try:
            if not execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                for statement in SCHEMA.split(";\n"):
                    execute(statement)
                execute(f"PRAGMA application_id = {APPLICATION_ID}")
                execute(f"PRAGMA user_version = {LAYOUT}")
            ours = execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
            layout = execute("PRAGMA user_version").fetchone()[0]
        finally:
            execute("COMMIT")
        if not ours:
            raise ConfigurationError(f"{self.path} is a database of another program")
        if layout != LAYOUT:
            raise ConfigurationError(f"{self.path} has layout {layout}; this version reads layout {LAYOUT}")
        execute("PRAGMA journal_mode = WAL")

    def close(self) -> None:
        """Close the database; a second call does nothing."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self, *, write: bool = True) -> Iterator[None]:
        """Make what happens inside one unit: all of it, or nothing when an exception leaves the block.

        Args:
            write: take the write lock at the start, so that what was read inside is still true when it is written.
        """
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    # S608 below: the names come from this package's code, the values are bound.

    def insert(self, table: Table, doc: bytes, **columns: str | float | None) -> None:
        """Append one document with the columns it is found by."""
        names = ", ".join(columns)
        marks = "?, " * len(columns)
        self._db.execute(f"INSERT INTO {table} ({names}, doc) VALUES ({marks}?)", (*columns.values(), doc))  # noqa: S608

    def fetch(self, table: Table, **where: str) -> bytes | None:
        """Return the oldest document with these columns, or None."""
        query, values = _conditions(where)
        row = self._db.execute(f"SELECT doc FROM {table}{query} ORDER BY seq LIMIT 1", values).fetchone()  # noqa: S608
        return row[0] if row else None

    def select(
        self, table: Table, *, order: Order = "seq", limit: int = -1, offset: int = 0, **where: str | None
    ) -> list[bytes]:
        """Return documents.

        Args:
            table: where from.
            order: by creation (`seq`) or, for steps, by `sequence` first.
            limit: how many at most; -1 means all.
            offset: how many to leave out at the start.
            where: the columns to filter by; None does not filter.
        """
        query, values = _conditions(where)
        rows = self._db.execute(
            f"SELECT doc FROM {table}{query} ORDER BY {order} LIMIT ? OFFSET ?",  # noqa: S608
            (*values, limit, offset),
        )
        return [row[0] for row in rows]

    def count(self, table: Table, **where: str | None) -> int:
        """Return how many documents there are; a column of None does not filter."""
        query, values = _conditions(where)
        count: int = self._db.execute(f"SELECT count(*) FROM {table}{query}", values).fetchone()[0]  # noqa: S608
        return count

    def replace(self, table: Table, doc: bytes, /, where: dict[str, str], **columns: str | int) -> None:
        """Put a new document in the place of the oldest one with the columns of `where`."""
        query, values = _conditions(where)
        names = "".join(f", {name} = ?" for name in columns)
        self._db.execute(
            f"UPDATE {table} SET doc = ?{names} WHERE seq = (SELECT min(seq) FROM {table}{query})",  # noqa: S608
            (doc, *columns.values(), *values),
        )

    def delete(self, table: Table, **where: str) -> int:
        """Delete documents and what hangs on them; return how many there were."""
        query, values = _conditions(where)
        return self._db.execute(f"DELETE FROM {table}{query}", values).rowcount  # noqa: S608

    def is_planned(self, run_id: str) -> bool:
        """Tell whether a plan was created for the run, be it an empty one."""
        return bool(self._db.execute("SELECT planned FROM runs WHERE run_id = ?", (run_id,)).fetchone()[0])

    def mark_planned(self, run_id: str) -> None:
        """Remember that the run has a plan."""
        self._db.execute("UPDATE runs SET planned = 1 WHERE run_id = ?", (run_id,))

    def find_key(self, key: str, *, since: float, **scope: str) -> bytes | None:
        """Return the first event with this idempotency key.

        Args:
            key: the event's `idempotency_key`.
            since: seconds since 1970; older events do not count.
            scope: `run_id` or `mission_id`; nothing for the whole server.
        """
        query, values = _conditions({"key": key, **scope})
        row = self._db.execute(
            f"SELECT doc FROM events{query} AND at > ? ORDER BY seq LIMIT 1",  # noqa: S608
            (*values, since),
        ).fetchone()
        return row[0] if row else None

    def clear(self) -> None:
        """Delete everything."""
        self.delete("missions")

    def version(self) -> str:
        """Return a text that changes when anything in the database changed, by this process or another."""
        with self._lock:
            others = self._db.execute("PRAGMA data_version").fetchone()[0]
            return f"{others}.{self._db.total_changes}"

    # What tests ask after the fact, as the API's own types.

    def missions(self) -> list[models.MissionData]:
        """Return all missions in the order of their creation."""
        return self._read("missions", models.MissionData)

    def runs(self, mission_id: str | None = None) -> list[models.MissionRunData]:
        """Return the runs of one mission, or of all."""
        return self._read("runs", models.MissionRunData, mission_id=mission_id)

    def steps(self, run_id: str | None = None) -> list[models.PlanStepData]:
        """Return the plan steps of one run, or of all, in the order of `sequence`."""
        return self._read("steps", models.PlanStepData, order="sequence, seq", run_id=run_id)

    def events(self, run_id: str | None = None) -> list[models.EventData]:
        """Return the events of one run, or of all, in the order of their arrival."""
        return self._read("events", models.EventData, run_id=run_id)

    def agents(self, run_id: str | None = None) -> list[models.TelnyxAgentData]:
        """Return the agents linked to one run, or to any."""
        return self._read("agents", models.TelnyxAgentData, run_id=run_id)

    def _read(self, table: Table, kind: Any, *, order: Order = "seq", **where: str | None) -> list[Any]:
        with self.transaction(write=False):
            docs = self.select(table, order=order, limit=-1, offset=0, **where)
        return [msgspec.json.decode(doc, type=kind) for doc in docs]


def _conditions(where: dict[str, Any]) -> tuple[str, tuple[Any, ...]]:
    """Return the WHERE clause and its values; a column of None is left out."""
    given = {name: value for name, value in where.items() if value is not None}
    if not given:
        return "", ()
    return " WHERE " + " AND ".join(f"{name} = ?" for name in given), tuple(given.values())
