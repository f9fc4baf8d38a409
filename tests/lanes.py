"""Deliver real journals to a real application without a network, on a clock that a test turns, losing what it likes."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from mission_tracer import facts
from mission_tracer._api.endpoints import OPERATIONS, build
from mission_tracer._base import locks
from mission_tracer._base.notices import Notices
from mission_tracer._disk.directory import Directory
from mission_tracer._disk.journal import AppendFile
from mission_tracer._planning.actions import Answer, Call, Lost, Unsent
from mission_tracer._sending.lane import Lane
from mission_tracer._sending.lane_courier import Pause
from mission_tracer._sending.roster_opening import Opening
from mission_tracer.server import Behaviour, Store, create_app
from tests.server.driver import respond

EPOCH = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
PREFIX = "/v2"
BASE_URL = f"http://server{PREFIX}"
SETTLE = 5.0
TIMEOUT = 30.0
DELAY = 3.0  # seconds after which a delayed request takes effect: less than SETTLE

LOSSES = (
    "refused",
    "429",
    "401",
    "lost_before",
    "lost_after",
    "500_before",
    "500_after",
    "502_after",
    "garbled_after",
    "delayed",
)
DEATHS = ("dies_before", "dies_after")


_HEADERS = ((b"authorization", b"Bearer x"), (b"content-type", b"application/json"))


class Death(BaseException):
    """The process that delivers is killed in this moment."""


class World:
    """One server, one run, its journal, and whoever delivers it at the moment.

    Args:
        place: The state directory.
        switches: The server's behaviour.
    """

    def __init__(self, place: Path, **switches: Any) -> None:
        self.now = 1_800_000_000.0
        self.store = Store()
        self.app = create_app(self.store, behaviour=Behaviour(**switches), clock=self._server_clock)
        self.directory = Directory(place)
        self.directory.prepare()
        self.key = facts.new_key()
        self.journal = AppendFile(self.directory.journal(self.key), create=True)
        assert locks.try_lock(self.journal.fd, shared=True)  # the program lives
        self.number = 0
        self.faults: deque[str] = deque()
        self.delayed: list[tuple[float, Call]] = []
        self.asked: list[tuple[str, str]] = []
        self.deaths = 0
        self.lane: Lane | None = None

    def _server_clock(self) -> dt.datetime:
        return EPOCH + dt.timedelta(seconds=self.now - 1_800_000_000.0)

    # ---- the program ----

    def write(self, kind: Any, **fields: Any) -> str:
        """Append one fact; return its id."""
        self.number += 1
        fact_id = f"writer00.{self.number}"
        self.journal.append(facts.encode(kind(id=fact_id, at=self._server_clock(), **fields)))
        return fact_id

    def open(self, name: str = "A mission", **fields: Any) -> None:
        """Write the first fact."""
        given = {"metadata": {"mission_tracer": {"key": self.key}}, "base_url": BASE_URL, **fields}
        self.write(facts.RunOpened, key=self.key, mission=facts.MissionSpec(name), **given)

    def event(self, summary: str, *, step_id: str | None = None, payload: dict[str, Any] | None = None) -> None:
        """Write an event, as a recorder does."""
        fact_id = f"writer00.{self.number + 1}"
        mark = facts.mark(fact_id, self._server_clock())
        body = facts.EventBody(
            "custom",
            summary,
            step_id if step_id is not None else msgspec.UNSET,
            payload={**(payload or {}), "mission_tracer": mark},
            idempotency_key=f"{self.key}.{fact_id}",
        )
        self.write(facts.EventWritten, body=body)

    def enter(self, step_id: str, *, attempt: int = 1) -> None:
        """Write that a step began."""
        self.write(facts.StepEntered, step_id=step_id, description=step_id, attempt=attempt)

    def leave(self, step_id: str, status: str = "completed") -> None:
        """Write that a step ended."""
        self.write(facts.StepLeft, step_id=step_id, status=status)

    def close(self, status: str = "succeeded") -> None:
        """Write the last fact."""
        self.write(facts.RunClosed, status=status, summary="done")

    # ---- whoever delivers ----

    def start(self, *, anywhere: bool = False) -> Lane:
        """Take the run over, as a process does that starts now."""
        opening = Opening(
            directory=self.directory,
            base_url=BASE_URL,
            notices=Notices("off"),
            settle=SETTLE,
            timeout=TIMEOUT,
            power=False,
            anywhere=anywhere,
            clock=lambda: self.now,
            monotonic=lambda: self.now,
        )
        lane = opening.open(self.key, None)
        assert isinstance(lane, Lane), lane
        self.lane = lane
        return lane

    def die(self, torn: bytes = b"") -> None:
        """Kill whoever delivers, perhaps in the middle of a line of its log."""
        if self.lane is not None:
            self.lane.abandon()
            self.lane = None
            self.deaths += 1
        if torn:
            with self.directory.log(self.key).open("ab") as log:
                log.write(torn)
        self._set_age()

    def stop(self) -> None:
        """End whoever delivers, in order."""
        if self.lane is not None:
            self.lane.close()
            self.lane = None
        self._set_age()

    def _set_age(self) -> None:
        """Have the log's last change happen on our clock: the next one to deliver asks when it was."""
        with contextlib.suppress(FileNotFoundError):
            os.utime(self.directory.log(self.key), (self.now, self.now))

    def deliver(self, faults: Iterable[str] = (), *, most: int = 10_000) -> Lane | None:
        """Deliver until nothing is left, `most` attempts at most, or until the one who delivers dies."""
        self.faults = deque(faults)
        lane = self.lane or self.start()
        lane.look_again()
        for _ in range(most):
            item = lane.take(self.now)
            if item is None:
                if lane.next_at <= self.now:
                    break
                self.pass_time(lane.next_at - self.now + 0.001)
                continue
            try:
                pause = lane.run(item, self.exchange)
            except Death:
                self.die()
                break
            lane.give_back(item)
            if isinstance(pause, Pause):
                lane.rest(item, self.now + (pause.delay if pause.delay is not None else pause.asked or 0.3))
        return self.lane

    def pass_time(self, seconds: float) -> None:
        """Turn the clock; what was delayed takes effect on its way."""
        until = self.now + seconds
        for due, call in sorted(self.delayed, key=lambda entry: entry[0]):
            if due <= until:
                self.now = max(self.now, due)
                self.delayed.remove((due, call))
                self.ask(call)
        self.now = until

    # ---- the network ----

    def exchange(self, call: Call) -> Answer | Unsent | Lost:
        """Send one request, as far as the next fault lets it."""
        self.pass_time(0.01)
        fault = self.faults.popleft() if self.faults else "ok"
        self.asked.append((call.operation.removeprefix("missions."), fault))
        if fault in _UNSENT:
            return _UNSENT[fault]
        if fault.startswith("delayed"):
            self.delayed.append((self.now + DELAY, call))
            return Lost("reset")
        answer = self.ask(call) if fault == "ok" or fault.endswith("_after") else None
        if fault in DEATHS:
            raise Death
        return answer if fault == "ok" and answer is not None else _LOST[fault.partition("_")[0]]

    def ask(self, call: Call) -> Answer:
        """Have the application answer a request."""
        body = bytes(call.body) if isinstance(call.body, (bytes, msgspec.Raw)) else msgspec.json.encode(call.body)
        request = build(
            OPERATIONS[call.operation], call.path, call.query, **({} if call.body is None else {"body": body})
        )
        status, _, content = respond(
            self.app, request.method, PREFIX + request.target, headers=_HEADERS, body=request.content or b""
        )
        if status >= 300:
            return Answer(status, why=content.decode())
        if status == 204:
            return Answer(204)
        said = msgspec.json.decode(content)
        return Answer(status, said.get("data"), said.get("meta", {}).get("total_pages", 1 << 30))

    # ---- the server ----

    def rows(self, table: Any) -> list[dict[str, Any]]:
        """Read what the server holds, in the order in which it came."""
        return [msgspec.json.decode(doc) for doc in self.store.select(table, limit=10_000)]

    @property
    def run(self) -> dict[str, Any]:
        [run] = self.rows("runs")
        return run

    @property
    def steps(self) -> dict[str, str]:
        """Each step's status; fails when an id stands twice."""
        steps = self.rows("steps")
        found = {step["step_id"]: step["status"] for step in steps}
        assert len(found) == len(steps)
        return found

    @property
    def events(self) -> list[dict[str, Any]]:
        """Our own events, in the order in which they came."""
        return [event for event in self.rows("events") if "from" not in (event.get("payload") or {})]

    def finish(self) -> None:
        """Let go of everything."""
        with contextlib.suppress(Exception):
            self.die()
        self.journal.close()
        self.store.close()


_UNSENT = {
    "refused": Unsent("no connection"),
    "429": Unsent("later", after=0.5),
    "401": Unsent("who are you", locked_out=True),
}
_LOST = {
    "lost": Lost("reset"),
    "500": Lost("500", status=500, answered=True),
    "502": Lost("502", status=502),
    "garbled": Lost("201 with a body that is none", status=201, answered=True),
}
