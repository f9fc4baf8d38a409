"""Drive the flow that delivers one fact with nothing but data: no server, no clock, no file."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from mission_tracer import facts
from mission_tracer._planning.actions import Again, Answer, Call, Flow, NotYet, Park, Refusal, Situation
from mission_tracer._planning.flows import deliver
from mission_tracer._planning.lane_state import LaneState
from mission_tracer._planning.records import Record

AT = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
KEY = "01key"
OK = Answer(200, {})


def no(status: int) -> Answer:
    """Refuse a request."""
    return Answer(status, why=f"no {status}")


@dataclass
class Course:
    """What a flow did: its requests with their bodies, all else that it asked for, and how it ended."""

    calls: list[str] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    asked: list[Call] = field(default_factory=list)
    others: list[Any] = field(default_factory=list)
    end: str = "done"

    @property
    def refused(self) -> list[str]:
        """What the server refused for good."""
        return [action.reason for action in self.others if isinstance(action, Refusal)]


def bound(**known: Any) -> LaneState:
    """Know a run that exists on the server."""
    return LaneState(key=KEY, mission_id="m", run_id="r", **known)


def fact(kind: Any, **fields: Any) -> Any:
    """Make a fact as a journal's reader gets it."""
    return facts.read(facts.encode(kind(id="w.1", at=AT, **fields)))


def drive(what: Any, state: LaneState, *answers: Any, flow: Callable[..., Flow] = deliver, **known: Any) -> Course:
    """Deliver a fact to a server that gives these answers, then takes everything; see what was done.

    An answer that is a plain value is what the host says to a `Recall`.
    """
    course, given = Course(), list(answers)
    running = flow(what, Situation(state, **known))
    reply: Any = None
    try:
        while True:
            action = running.send(reply)
            reply = None
            if isinstance(action, Call):
                course.asked.append(action)
                course.calls.append(action.operation.removeprefix("missions.").removeprefix("runs."))
                raw = isinstance(action.body, (bytes, msgspec.Raw))
                course.bodies.append(msgspec.json.decode(action.body) if raw else action.body)
                reply = given.pop(0) if given else OK
                continue
            course.others.append(action)
            if type(action).__name__ == "Recall":
                reply = given.pop(0)
            elif isinstance(action, Record):
                state.apply(action)
    except StopIteration:
        pass
    except (Park, Again, NotYet) as error:
        course.end = f"{type(error).__name__}: {error}"
    assert not given, "answers that nobody asked for"
    return course
