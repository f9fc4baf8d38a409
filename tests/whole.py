"""One run that causes every kind of request, and what the server must hold of it in the end."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import mission_tracer as mt
from mission_tracer import recorder
from mission_tracer.client import MissionsClient

KEY = "KEY_of_the_tests"
OPERATIONS = {
    "create the mission": r"POST .*/missions$",
    "list the missions": r"GET .*/missions\?",
    "create the run": r"POST .*/missions/[^/]+/runs$",
    "start the run": r"PATCH .*/runs/[^/]+$",
    "create the plan": r"POST .*/plan$",
    "add a step": r"POST .*/plan/steps$",
    "change a step": r"PATCH .*/plan/steps/",
    "log an event": r"POST .*/events$",
    "link an agent": r"POST .*/telnyx-agents$",
    "pause the run": r"POST .*/pause$",
    "resume the run": r"POST .*/resume$",
}
"""Each kind of request that the program below causes."""


def record(name: str, *, at_once: bool = False) -> None:
    """Record a run that causes every kind of request, unless it is recorded at once."""
    with mt.mission_run(name, plan=["research", "calls", "never"], input={"city": "Chicago"}) as run:
        run.add_agent("assistant-1")
        with mt.plan_step("research"):
            mt.log_event("found some", payload={"hits": [1, 2]})
        # A refused key ends a flush at once, and the sender goes on; a run that cannot be created is parked.
        wait_for(lambda: at_once or mt.flush(30) or is_parked(run.key))
        with mt.plan_step("calls"), mt.plan_step("dial"):
            mt.log_event("called one")
        run.pause()
        run.resume()
        run.succeed(summary="done", payload={"best": "ABC"})


def is_parked(key: str) -> bool:
    lane = recorder.default().roster.own(key)
    return lane is not None and lane.parked is not None


def read_back(server: str, name: str) -> dict[str, Any]:
    """Read what the server holds of a mission; it must be one, with one run."""
    with MissionsClient(api_key=KEY, base_url=server) as client:
        [mission] = [mission for mission in client.missions.list() if mission.name == name]
        [run] = client.missions.runs.list(mission.mission_id)
        at = {"mission_id": mission.mission_id}
        events = list(client.missions.runs.events.list(run.run_id, **at))
        return {
            "run": (run.status, run.input, run.result_summary, run.result_payload),
            "changes": [e.payload["to"] for e in events if e.type == "status_change" and "from" in e.payload],
            "steps": [
                (step.step_id, step.status, step.parent_step_id)
                for step in client.missions.runs.plan.retrieve(run.run_id, **at)
            ],
            "events": [
                # An event whose step was refused says in its payload which one that was.
                (
                    e.type,
                    e.step_id or e.payload.get("step_id"),
                    e.summary,
                    {k: v for k, v in e.payload.items() if k in {"hits", "truncated"}},
                )
                for e in events
                if not (e.type == "status_change" and "from" in e.payload)
            ],
            "agents": [a.telnyx_agent_id for a in client.missions.runs.telnyx_agents.list(run.run_id, **at)],
        }


WHOLE: dict[str, Any] = {
    "run": ("succeeded", {"city": "Chicago"}, "done", {"best": "ABC"}),
    "changes": ["running", "paused", "running", "succeeded"],
    "steps": [
        ("research", "completed", None),
        ("calls", "completed", None),
        ("never", "skipped", None),
        ("dial", "completed", "calls"),
    ],
    "events": [
        ("step_started", "research", "Started research", {}),
        ("custom", "research", "found some", {"hits": [1, 2]}),
        ("step_completed", "research", "Completed research", {}),
        ("step_started", "calls", "Started calls", {}),
        ("step_started", "dial", "Started dial", {}),
        ("custom", "dial", "called one", {}),
        ("step_completed", "dial", "Completed dial", {}),
        ("step_completed", "calls", "Completed calls", {}),
    ],
    "agents": ["assistant-1"],
}


def ordered() -> list[str]:
    """List the patterns in the order in which their first requests are made: a script waits for each in turn."""
    order = (
        "list the missions",
        "create the mission",
        "create the run",
        "start the run",
        "create the plan",
        "link an agent",
        "change a step",
        "log an event",
        "add a step",
        "pause the run",
        "resume the run",
    )
    return [OPERATIONS[what] for what in order]


def wait_for(condition: Callable[[], bool], *, most: float = 30) -> None:
    deadline = time.monotonic() + most
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        threading.Event().wait(0.02)


def main(name: str) -> None:
    """Record a run as a program of its own, and stay until everything is delivered."""
    record(name, at_once=True)
    print("recorded", flush=True)
    wait_for(lambda: mt.flush(1), most=60)


if __name__ == "__main__":
    main(*sys.argv[1:])
