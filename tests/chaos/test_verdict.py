"""The judge of chaos finds what is wrong, and nothing else."""

from __future__ import annotations

import json
import sqlite3
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.verdict import Verdict, judge

KEY = "01k8"
WHERE = {"run": KEY}
NOTES = [
    {"kind": "open", "marker": "1.main:1", "mission": "m", **WHERE},
    {"kind": "enter", "marker": "1.main:2", "step": "call", "attempt": 1, **WHERE},
    {"kind": "event", "marker": "1.main:3", **WHERE},
    {"kind": "leave", "marker": "1.main:4", "step": "call", "status": "completed", **WHERE},
    {"kind": "close", "marker": "1.main:5", "status": "succeeded", **WHERE},
]


def event(number: int, kind: str, summary: str, **fields: Any) -> dict[str, Any]:
    payload = {**fields.pop("payload", {}), "mission_tracer": {"id": f"w.{number}", "seq": number}}
    return {"run_id": "r", "type": kind, "summary": summary, "step_id": "call", "payload": payload, **fields}


def change(to: str) -> dict[str, Any]:
    return {"run_id": "r", "type": "status_change", "payload": {"from": "x", "to": to}}


@pytest.fixture
def held() -> dict[str, list[dict[str, Any]]]:
    """What a server holds of these notes."""
    metadata = {"marker": "1.main:1", "mission_tracer": {"key": KEY}}
    run = {"run_id": "r", "mission_id": "m1", "status": "succeeded", "metadata": metadata}
    return {
        "missions": [{"mission_id": "m1", "name": "m"}],
        "runs": [{**run, "result_payload": {"marker": "1.main:5"}}],
        "steps": [{"run_id": "r", "step_id": "call", "status": "completed", "metadata": {"left": "1.main:4"}}],
        "events": [
            change("running"),
            event(2, "step_started", "Started: 1.main:2"),
            event(3, "custom", "event", payload={"marker": "1.main:3"}),
            event(4, "step_completed", "Completed"),
            change("succeeded"),
        ],
    }


def verdict(tmp_path: Path, held: dict[str, list[dict[str, Any]]], notes: list[dict[str, Any]] = NOTES) -> Verdict:
    with sqlite3.connect(tmp_path / "server.db") as db:
        for table, docs in held.items():
            db.execute(f"CREATE TABLE {table} (seq INTEGER PRIMARY KEY, doc TEXT)")
            db.executemany(f"INSERT INTO {table} (doc) VALUES (?)", [(json.dumps(doc),) for doc in docs])
    db.close()
    return judge(notes, tmp_path / "server.db")


def test_what_arrived_once_is_right(tmp_path: Path, held: Any) -> None:
    """A server that holds what was written down is without fault."""
    assert verdict(tmp_path, held).faults == []


def test_each_fault_is_found(tmp_path: Path, held: Any) -> None:
    """What is missing, there twice, in the wrong order, open or made up is a fault of that kind."""

    def lose(held: Any) -> None:
        del held["events"][2]

    def repeat(held: Any) -> None:
        held["events"].insert(3, held["events"][2])

    def reverse(held: Any) -> None:
        held["events"][0], held["events"][4] = held["events"][4], held["events"][0]

    def leave_open(held: Any) -> None:
        held["steps"][0]["status"] = "in_progress"

    def make_up(held: Any) -> None:
        held["events"].insert(3, event(9, "custom", "event", payload={"marker": "1.main:9"}))

    wanted = {"lost": lose, "duplicated": repeat, "out of order": reverse, "open": leave_open, "wrong": make_up}
    for number, (kind, spoil) in enumerate(wanted.items()):
        spoiled = deepcopy(held)
        spoil(spoiled)
        place = tmp_path / str(number)
        place.mkdir()
        found = verdict(place, spoiled)
        assert getattr(found, "disordered" if kind == "out of order" else kind), kind


def test_an_end_in_flight_overwrites_the_one_before(tmp_path: Path, held: Any) -> None:
    """A step that was ended again in the moment of the kill shows that end; the one before is not lost."""
    again = {"kind": "enter", "marker": "1.main:5", "step": "call", "attempt": 2, **WHERE}
    held["events"].insert(4, event(5, "step_started", "Started: 1.main:5"))
    held["events"].insert(5, event(6, "step_completed", "Completed"))
    held["steps"][0]["metadata"]["left"] = "1.main:6"
    del held["runs"][0]["result_payload"]
    found = verdict(tmp_path, held, [*NOTES[:4], again])
    assert (found.faults, found.in_flight) == ([], 1)
