"""Answer delivery's requests from memory, as a server would that takes everything."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import msgspec

from mission_tracer import facts
from mission_tracer._planning import actions as a
from mission_tracer._planning.flows import deliver
from mission_tracer._planning.lane_state import LaneState


class Rehearsal:
    """Deliver runs to memory: what a server would hold of each is then a plain dictionary."""

    def __init__(self) -> None:
        """Begin with an empty server."""
        self._number = itertools.count(1).__next__

    def run(self, recorded: Iterable[facts.Fact]) -> dict[str, Any]:
        """Deliver the facts of one run; return what the server holds of it.

        The result has the API's fields of a run, with `mission`, `steps`, `events` and `agents` beside them.
        """
        state = LaneState()
        held: dict[str, Any] = {"status": "pending", "mission": {}, "steps": [], "events": [], "agents": []}
        for position, fact in enumerate(recorded):
            flow = deliver(fact, a.Situation(state, position=position))
            reply: Any = None
            while True:
                try:
                    action = flow.send(reply)
                except StopIteration:
                    break
                reply = self._act(action, held, state)
            state.learn(fact)
        return held

    def _act(self, action: Any, held: dict[str, Any], state: LaneState) -> Any:
        if isinstance(action, a.Call):
            return self._answer(action, held)
        if not isinstance(action, (a.Settle, a.Recall, a.Remember, a.Forget, a.Refusal)):
            state.apply(action)
        return None

    def _answer(self, call: a.Call, held: dict[str, Any]) -> a.Answer:
        body = call.body
        if isinstance(body, (bytes, msgspec.Raw)):
            body = msgspec.json.decode(body)
        act = _ACTS.get(call.operation.removeprefix("missions."))
        data = act(held, call.path, body or {}) if act is not None else []
        if isinstance(data, str):
            data = {data: f"{data}-{self._number()}"}
        return a.Answer(200, data)


def _create(held: dict[str, Any], _path: Any, body: dict[str, Any]) -> str:
    held["mission"] = body
    return "mission_id"


def _create_run(held: dict[str, Any], _path: Any, body: dict[str, Any]) -> str:
    held.update(body)
    return "run_id"


def _update_run(held: dict[str, Any], _path: Any, body: dict[str, Any]) -> dict[str, Any]:
    held.update(body)
    return held


def _declare(held: dict[str, Any], _path: Any, body: dict[str, Any]) -> list[Any]:
    held["steps"].extend({"status": "pending", "metadata": {}, **step} for step in body["steps"])
    return []


def _update_step(held: dict[str, Any], path: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
    step: dict[str, Any] = next(step for step in held["steps"] if step["step_id"] == path["step_id"])
    step["metadata"].update(body.get("metadata", {}))
    step["status"] = body["status"]
    return step


def _log(held: dict[str, Any], _path: Any, body: dict[str, Any]) -> dict[str, Any]:
    keys = {event.get("idempotency_key") for event in held["events"]}
    if body.get("idempotency_key") not in keys:
        held["events"].append(body)
    return body


def _link(held: dict[str, Any], _path: Any, body: dict[str, Any]) -> dict[str, Any]:
    held["agents"].append(body["telnyx_agent_id"])
    return body


def _unlink(held: dict[str, Any], path: dict[str, str], _body: Any) -> None:
    if path["telnyx_agent_id"] in held["agents"]:
        held["agents"].remove(path["telnyx_agent_id"])


def _pause(held: dict[str, Any], _path: Any, _body: Any) -> dict[str, Any]:
    held["status"] = "paused"
    return held


def _resume(held: dict[str, Any], _path: Any, _body: Any) -> dict[str, Any]:
    held["status"] = "running"
    return held


_ACTS: dict[str, Any] = {
    "create": _create,
    "runs.create": _create_run,
    "runs.update": _update_run,
    "runs.retrieve": lambda held, _path, _body: held,
    "runs.pause": _pause,
    "runs.resume": _resume,
    "runs.plan.create": _declare,
    "runs.plan.add_steps": _declare,
    "runs.plan.update_step": _update_step,
    "runs.events.log": _log,
    "runs.telnyx_agents.link": _link,
    "runs.telnyx_agents.unlink": _unlink,
}
