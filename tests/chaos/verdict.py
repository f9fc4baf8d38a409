"""Compare what programs wrote down with what the server holds."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FINAL = {"succeeded", "failed", "cancelled"}


@dataclass
class Verdict:
    """What was compared, and each thing that is not as it must be."""

    recorded: int = 0
    missions: int = 0
    runs: int = 0
    steps: int = 0
    events: int = 0
    in_flight: int = 0
    recovered: int = 0
    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """Every fault found, with its kind."""
        kinds = ("lost", "duplicated", "disordered", "open", "wrong")
        return [f"{kind}: {what}" for kind in kinds for what in getattr(self, kind)]

    def __str__(self) -> str:
        return (
            f"{self.recorded} facts written down; the server holds {self.missions} missions, {self.runs} runs, "
            f"{self.steps} steps, {self.events} events\n"
            f"lost {len(self.lost)}, duplicated {len(self.duplicated)}, out of order {len(self.disordered)}, "
            f"left open {len(self.open)}, wrong {len(self.wrong)}; "
            f"in flight at a kill {self.in_flight}, runs closed on recovery {self.recovered}"
        )


class Server:
    """What the server's database holds, in the order in which it came."""

    def __init__(self, path: Path) -> None:
        db = sqlite3.connect(path)
        try:
            tables = {name: self._read(db, name) for name in ("missions", "runs", "steps", "events")}
        finally:
            db.close()
        self.missions, self.runs = tables["missions"], tables["runs"]
        self.steps: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.events: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for step in tables["steps"]:
            self.steps[step["run_id"]].append(step)
        for event in tables["events"]:
            self.events[event["run_id"]].append(event)

    @staticmethod
    def _read(db: sqlite3.Connection, table: str) -> list[dict[str, Any]]:
        return [json.loads(doc) for (doc,) in db.execute(f"SELECT doc FROM {table} ORDER BY seq")]

    def markers(self) -> Iterator[str]:
        """Give the marker of every recording call that arrived."""
        for run in self.runs:
            yield (run.get("metadata") or {}).get("marker", "none")
            if "marker" in (run.get("result_payload") or {}):
                yield run["result_payload"]["marker"]
        for step in (step for steps in self.steps.values() for step in steps):
            if "left" in (step.get("metadata") or {}):
                yield step["metadata"]["left"]
        for event in (event for events in self.events.values() for event in events):
            if "marker" in (event.get("payload") or {}):
                yield event["payload"]["marker"]
            elif event["type"] == "step_started":
                yield event["summary"].rpartition(" ")[2]


def judge(audit: Iterable[dict[str, Any]], database: Path) -> Verdict:
    """Hold the server's state against the audit."""
    notes, server = list(audit), Server(database)
    verdict = Verdict(
        recorded=len(notes),
        missions=len(server.missions),
        runs=len(server.runs),
        steps=sum(map(len, server.steps.values())),
        events=sum(map(len, server.events.values())),
    )
    _judge_markers(notes, server, verdict)
    _judge_names(notes, server, verdict)
    _judge_runs(notes, server, verdict)
    return verdict


def _judge_markers(notes: list[dict[str, Any]], server: Server, verdict: Verdict) -> None:
    """Every recording call that returned arrived once; at most one of each thread arrived without having returned."""
    arrived = Counter(server.markers())
    told = {note["marker"] for note in notes}
    # Another attempt of a step overwrites what the one before left behind.
    overwritten = set()
    last_leave: dict[tuple[str, str], str] = {}
    for note in notes:
        if note["kind"] == "leave":
            where = (note["run"], note["step"])
            if where in last_leave:
                overwritten.add(last_leave[where])
            last_leave[where] = note["marker"]
    # So does one whose end was in flight at the kill.
    for run in server.runs:
        key = run["metadata"]["mission_tracer"]["key"]
        for step in server.steps[run["run_id"]]:
            left, before = (step.get("metadata") or {}).get("left"), last_leave.get((key, step["step_id"]))
            if before is not None and left is not None and left not in told:
                overwritten.add(before)
    verdict.lost += [f"marker {marker}" for marker in sorted(told - overwritten - set(arrived))]
    verdict.duplicated += [f"marker {marker} {count} times" for marker, count in arrived.items() if count > 1]
    highest = defaultdict(int)
    for note in notes:
        series, _, number = note["marker"].rpartition(":")
        highest[series] = max(highest[series], int(number))
    for marker in set(arrived) - told:
        series, _, number = marker.rpartition(":")
        if not series:
            verdict.wrong.append("a run arrived without its metadata")
            continue
        verdict.in_flight += 1
        if int(number) != highest[series] + 1:
            verdict.wrong.append(f"marker {marker} arrived, and nobody recorded it")


def _judge_names(notes: list[dict[str, Any]], server: Server, verdict: Verdict) -> None:
    """Nothing has a twin: no mission of a name, no run of a key, no step of an id, no event of a fact."""
    verdict.duplicated += _twins("mission", (mission["name"] for mission in server.missions))
    verdict.duplicated += _twins("run", (run["metadata"]["mission_tracer"]["key"] for run in server.runs))
    for run in server.runs:
        key = run["metadata"]["mission_tracer"]["key"]
        verdict.duplicated += _twins(f"step of {key}:", (step["step_id"] for step in server.steps[run["run_id"]]))
        ids = (((event.get("payload") or {}).get("mission_tracer") or {}).get("id") for event in _ours(server, run))
        verdict.duplicated += _twins(f"event of {key}:", (str(i) for i in ids))


def _ours(server: Server, run: dict[str, Any]) -> list[dict[str, Any]]:
    return [event for event in server.events[run["run_id"]] if not _is_change(event)]


def _is_change(event: dict[str, Any]) -> bool:
    return event["type"] == "status_change" and "from" in (event.get("payload") or {})


def _twins(what: str, names: Iterable[str]) -> list[str]:
    return [f"{what} {name} {count} times" for name, count in Counter(names).items() if count > 1]


def _judge_runs(notes: list[dict[str, Any]], server: Server, verdict: Verdict) -> None:
    by_key = {run["metadata"]["mission_tracer"]["key"]: run for run in server.runs}
    names = {mission["mission_id"]: mission["name"] for mission in server.missions}
    of_run: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for note in notes:
        of_run[note["run"]].append(note)
    for key, mine in of_run.items():
        run = by_key.get(key)
        if run is None:
            verdict.lost.append(f"run {key}")
            continue
        for note in mine:
            if note["kind"] == "open" and names[run["mission_id"]] != note["mission"]:
                verdict.wrong.append(f"run {key} is of mission {names[run['mission_id']]}")
            if note["kind"] == "close" and run["status"] != note["status"]:
                verdict.wrong.append(f"run {key} is {run['status']}, not {note['status']}")
    for key, run in by_key.items():
        _judge_run(key, run, of_run.get(key, []), server, verdict)


def _judge_run(key: str, run: dict[str, Any], notes: list[dict[str, Any]], server: Server, verdict: Verdict) -> None:
    changes = [e["payload"]["to"] for e in server.events[run["run_id"]] if _is_change(e)]
    if run["status"] not in FINAL | {"paused"}:
        verdict.open.append(f"run {key} is {run['status']}")
    verdict.recovered += "process ended" in (run.get("error") or "")
    allowed = {"running": {"paused", *FINAL}, "paused": {"running", *FINAL}}
    for before, after in zip(["running", *changes[1:]], changes[1:], strict=False):
        if after not in allowed.get(before, set()):
            verdict.disordered.append(f"run {key}: {' '.join(changes)}")
    if not changes or changes[0] != "running":
        verdict.disordered.append(f"run {key}: {' '.join(changes) or 'never ran'}")
    steps = {step["step_id"]: step for step in server.steps[run["run_id"]]}
    last: dict[str, str] = {}
    for note in notes:
        if note["kind"] == "leave":
            last[note["step"]] = note["status"]
        elif note["kind"] == "enter":
            last.pop(note["step"], None)
    for step_id, status in last.items():
        # What was in flight at the kill may have begun the step again.
        if step_id in steps and steps[step_id]["status"] not in {status, "failed"}:
            verdict.wrong.append(f"step {step_id} of {key} is {steps[step_id]['status']}, not {status}")
        if step_id not in steps:
            verdict.lost.append(f"step {step_id} of {key}")
    if run["status"] in FINAL:
        verdict.open += [
            f"step {step['step_id']} of {key} is {step['status']}"
            for step in steps.values()
            if step["status"] in {"pending", "in_progress"}
        ]
    _judge_order(key, _ours(server, run), verdict)


def _judge_order(key: str, events: list[dict[str, Any]], verdict: Verdict) -> None:
    """A step's events arrive in the order in which they happened, and one thread's changes in its own order."""
    state: dict[str, str] = {}
    newest: dict[tuple[str, str], int] = {}
    for event in events:
        mark = (event.get("payload") or {}).get("mission_tracer") or {}
        if event["type"] in {"step_started", "step_completed", "step_failed"}:
            step, before = event["step_id"], state.get(event["step_id"])
            if (event["type"] == "step_started") == (before == "step_started"):
                verdict.disordered.append(f"step {step} of {key}: {before} then {event['type']}")
            state[step] = event["type"]
            writer = str(mark["id"]).rpartition(".")[0]
            if mark["seq"] < newest.get((key, writer), 0):
                verdict.disordered.append(f"{event['type']} of {step} of {key} came after a later one")
            newest[key, writer] = mark["seq"]
