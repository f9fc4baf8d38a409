"""Every value of every switch does what its description says."""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from mission_tracer.server import Behaviour
from mission_tracer.server.behaviour import allowed_values

from .driver import UUID, api, data, faults, new_mission, new_run, refused, steps

EVENT = {"type": "custom", "summary": "s", "idempotency_key": "k"}
LAWS: dict[tuple[str, Any], Callable[[Any], None]] = {}


def law(switch: str, *values: Any) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Register what holds under these values of a switch."""

    def register(function: Callable[[Any], None]) -> Callable[[Any], None]:
        for value in values:
            assert (switch, value) not in LAWS
            LAWS[switch, value] = function
        return function

    return register


def planned(client, *names, **fields):
    run = new_run(client)
    data(client.post(f"{run}/plan", json=steps(*names, **fields)), 201)
    return run


def plan(client, run):
    return [step["step_id"] for step in data(client.get(f"{run}/plan"))]


@law("repeated_key", "created")
def _(client):
    events = f"{new_run(client)}/events"
    assert data(client.post(events, json=EVENT), 201) == data(client.post(events, json=EVENT), 201)


@law("repeated_key", "ok")
def _(client):
    events = f"{new_run(client)}/events"
    assert data(client.post(events, json=EVENT), 201) == data(client.post(events, json=EVENT), 200)


@law("repeated_key", "conflict")
def _(client):
    events = f"{new_run(client)}/events"
    data(client.post(events, json=EVENT), 201)
    assert "'k'" in refused(client.post(events, json=EVENT), 409)
    assert len(data(client.get(events))) == 1


def same_event_in(client, *runs):
    ids = [data(client.post(f"{run}/events", json=EVENT), 201)["event_id"] for run in runs]
    return len(set(ids)) == 1


@law("key_scope", "run")
def _(client):
    mission = new_mission(client)
    assert not same_event_in(client, new_run(client, mission), new_run(client, mission))


@law("key_scope", "mission")
def _(client):
    mission = new_mission(client)
    assert same_event_in(client, new_run(client, mission), new_run(client, mission))
    assert not same_event_in(client, new_run(client, mission), new_run(client))


@law("key_scope", "organization")
def _(client):
    assert same_event_in(client, new_run(client), new_run(client))


@law("key_lifetime", "forever")
def _(client):
    run = new_run(client)
    client.clock.forward(days=10_000)
    assert same_event_in(client, run, run)


@law("key_lifetime", 60.0)
def _(client):
    run = new_run(client)
    assert same_event_in(client, run, run)
    client.clock.forward(seconds=59)
    assert same_event_in(client, run, run)
    client.clock.forward(seconds=2)
    assert same_event_in(client, run, run)
    assert len(data(client.get(f"{run}/events"))) == 2


@law("key_lifetime", 0.0)
def _(client):
    run = new_run(client)
    assert not same_event_in(client, run, run)


@law("second_plan", "conflict")
def _(client):
    run = planned(client, "a")
    answer = client.post(f"{run}/plan", json=steps("b"))
    assert refused(answer, 409)
    assert answer.headers["x-should-retry"] == "false"
    assert plan(client, run) == ["a"]


@law("second_plan", "replace")
def _(client):
    run = planned(client, "a", "b")
    data(client.post(f"{run}/plan", json=steps("b", "c")), 201)
    assert plan(client, run) == ["b", "c"]


@law("second_plan", "append")
def _(client):
    run = planned(client, "a")
    assert len(data(client.post(f"{run}/plan", json=steps("b")), 201)) == 1
    assert plan(client, run) == ["a", "b"]
    assert refused(client.post(f"{run}/plan", json=steps("a")), 409)


@law("absent_plan", "empty")
def _(client):
    assert plan(client, new_run(client)) == []


@law("absent_plan", "not_found")
def _(client):
    run = new_run(client)
    assert refused(client.get(f"{run}/plan"), 404)
    data(client.post(f"{run}/plan", json={"steps": []}), 201)
    assert plan(client, run) == []


@law("steps_without_plan", "create")
def _(client):
    run = new_run(client)
    data(client.post(f"{run}/plan/steps", json=steps("a")), 201)
    assert plan(client, run) == ["a"]
    assert refused(client.post(f"{run}/plan", json=steps("b")), 409)


@law("steps_without_plan", "conflict")
def _(client):
    run = new_run(client)
    assert refused(client.post(f"{run}/plan/steps", json=steps("a")), 409)
    data(client.post(f"{run}/plan", json={"steps": []}), 201)
    data(client.post(f"{run}/plan/steps", json=steps("a")), 201)


@law("duplicate_step", "conflict")
def _(client):
    run = planned(client, "a")
    assert "'a'" in refused(client.post(f"{run}/plan/steps", json=steps("b", "a")), 409)
    assert faults(client.post(f"{run}/plan/steps", json=steps("c", "c"))) == [("body.steps.1.step_id", "value_error")]
    assert plan(client, run) == ["a"]


@law("duplicate_step", "ignore")
def _(client):
    run = planned(client, "a")
    first = data(client.get(f"{run}/plan"))[0]
    answered = data(client.post(f"{run}/plan/steps", json=steps("b", "a", "b", metadata={})), 201)
    assert [step["step_id"] for step in answered] == ["b", "a", "b"]
    assert answered[1] == first
    assert plan(client, run) == ["a", "b"]


@law("duplicate_step", "accept")
def _(client):
    run = planned(client, "a")
    data(client.post(f"{run}/plan/steps", json=steps("a", "a")), 201)
    assert plan(client, run) == ["a", "a", "a"]
    data(client.patch(f"{run}/plan/steps/a", json={"status": "completed"}))
    assert data(client.get(f"{run}/plan/steps/a"))["status"] == "completed"
    assert [step["status"] for step in data(client.get(f"{run}/plan"))] == ["completed", "pending", "pending"]


def child(parent):
    return {"step_id": "child", "description": "d", "sequence": 2, "parent_step_id": parent}


@law("parent_in_request", "accept")
def _(client):
    run = planned(client)
    data(client.post(f"{run}/plan/steps", json={"steps": [child("a"), *steps("a")["steps"]]}), 201)
    assert data(client.get(f"{run}/plan/steps/child"))["parent_step_id"] == "a"


@law("parent_in_request", "reject")
def _(client):
    run = planned(client, "before")
    answer = client.post(f"{run}/plan/steps", json={"steps": [*steps("a")["steps"], child("a")]})
    assert faults(answer) == [("body.steps.1.parent_step_id", "value_error")]
    data(client.post(f"{run}/plan/steps", json={"steps": [child("before")]}), 201)


@law("unknown_parent", "accept")
def _(client):
    run = planned(client)
    data(client.post(f"{run}/plan/steps", json={"steps": [child("nobody")]}), 201)


@law("unknown_parent", "reject")
def _(client):
    run = planned(client, "a")
    answer = client.post(f"{run}/plan/steps", json={"steps": [child("nobody")]})
    assert faults(answer) == [("body.steps.0.parent_step_id", "value_error")]
    data(client.post(f"{run}/plan/steps", json={"steps": [child("a")]}), 201)


def finished_run(client):
    run = new_run(client)
    data(client.patch(run, json={"status": "succeeded"}))
    return run


@law("run_transitions", "conflict")
def _(client):
    run = finished_run(client)
    assert refused(client.patch(run, json={"status": "running"}), 409)
    assert refused(client.post(f"{run}/cancel"), 409)


@law("run_transitions", "accept")
def _(client):
    run = finished_run(client)
    reopened = data(client.patch(run, json={"status": "running"}))
    assert reopened["status"] == "running"
    assert "finished_at" not in reopened
    pending = new_run(client)
    assert data(client.post(f"{pending}/pause"))["status"] == "paused"
    assert data(client.post(f"{finished_run(client)}/resume"))["status"] == "running"
    assert data(client.post(f"{finished_run(client)}/cancel"))["status"] == "cancelled"


def moved(client, *statuses):
    step = f"{planned(client, 'a')}/plan/steps/a"
    for status in statuses[:-1]:
        data(client.patch(step, json={"status": status}))
    return client.patch(step, json={"status": statuses[-1]})


@law("step_transitions", "conflict")
def _(client):
    assert data(moved(client, "failed", "in_progress"))
    assert refused(moved(client, "completed", "in_progress"), 409)
    assert refused(moved(client, "in_progress", "pending"), 409)


@law("step_transitions", "strict")
def _(client):
    assert data(moved(client, "in_progress", "failed"))
    assert refused(moved(client, "failed", "in_progress"), 409)
    assert refused(moved(client, "completed", "in_progress"), 409)


@law("step_transitions", "accept")
def _(client):
    assert data(moved(client, "skipped", "failed"))
    back = data(moved(client, "completed", "pending"))
    assert not {"started_at", "completed_at"} & back.keys()


@law("same_status", "accept")
def _(client):
    run = finished_run(client)
    before = data(client.get(run))
    after = data(client.patch(run, json={"status": "succeeded"}))
    assert {**before, "updated_at": ""} == {**after, "updated_at": ""}
    assert data(moved(client, "completed", "completed"))
    assert data(moved(client, "pending"))


@law("same_status", "conflict")
def _(client):
    run = finished_run(client)
    assert "already" in refused(client.patch(run, json={"status": "succeeded"}), 409)
    data(client.patch(run, json={"result_summary": "no status, no conflict"}))
    assert "already" in refused(moved(client, "completed", "completed"), 409)
    paused = new_run(client)
    data(client.patch(paused, json={"status": "running"}))
    data(client.post(f"{paused}/pause"))
    assert "already" in refused(client.post(f"{paused}/pause"), 409)


@law("step_times", "server")
def _(client):
    assert {"started_at", "completed_at"} <= data(moved(client, "in_progress", "completed")).keys()


@law("step_times", "none")
def _(client):
    assert not {"started_at", "completed_at"} & data(moved(client, "in_progress", "completed")).keys()


def status_events(client):
    run = new_run(client)
    data(client.patch(run, json={"status": "running"}))
    data(client.patch(run, json={"status": "running"}))
    data(client.post(f"{run}/cancel"))
    return data(client.get(f"{run}/events"))


@law("status_event", "none")
def _(client):
    assert status_events(client) == []


@law("status_event", "write")
def _(client):
    events = status_events(client)
    assert [event["type"] for event in events] == ["status_change"] * 2
    assert [event["payload"] for event in events] == [
        {"from": "pending", "to": "running"},
        {"from": "running", "to": "cancelled"},
    ]


@law("event_unknown_step", "accept")
def _(client):
    run = planned(client, "a")
    assert data(client.post(f"{run}/events", json={**EVENT, "step_id": "b"}), 201)["step_id"] == "b"


@law("event_unknown_step", "reject")
def _(client):
    run = planned(client, "a")
    assert faults(client.post(f"{run}/events", json={**EVENT, "step_id": "b"})) == [("body.step_id", "value_error")]
    data(client.post(f"{run}/events", json={**EVENT, "step_id": "a"}), 201)
    data(client.post(f"{run}/events", json={"type": "custom", "summary": "no step"}), 201)


@law("event_after_finish", "accept")
def _(client):
    data(client.post(f"{finished_run(client)}/events", json=EVENT), 201)


@law("event_after_finish", "conflict")
def _(client):
    run = new_run(client)
    first = data(client.post(f"{run}/events", json=EVENT), 201)
    data(client.patch(run, json={"status": "failed"}))
    assert refused(client.post(f"{run}/events", json={**EVENT, "idempotency_key": "l"}), 409)
    assert data(client.post(f"{run}/events", json=EVENT), 201) == first


def patched_metadata(client):
    run = planned(client, "a", metadata={"a": 1, "b": 1})
    data(client.patch(run, json={"metadata": {"a": 1, "b": 1}}))
    for where in (run, f"{run}/plan/steps/a"):
        yield data(client.patch(where, json={"metadata": {"b": 2}}))["metadata"]


@law("patch_metadata", "merge")
def _(client):
    assert list(patched_metadata(client)) == [{"a": 1, "b": 2}] * 2


@law("patch_metadata", "replace")
def _(client):
    assert list(patched_metadata(client)) == [{"b": 2}] * 2


def put_mission(client):
    mission = new_mission(client, description="d", execution_mode="managed", metadata={"a": 1})
    return data(client.put(mission, json={"model": "m"}))


@law("put_omitted", "keep")
def _(client):
    mission = put_mission(client)
    assert (mission["description"], mission["metadata"], mission["model"]) == ("d", {"a": 1}, "m")


@law("put_omitted", "clear")
def _(client):
    mission = put_mission(client)
    assert not {"description", "metadata"} & mission.keys()
    assert (mission["name"], mission["execution_mode"], mission["model"]) == ("Find window washers", "managed", "m")


@law("second_link", "conflict")
def _(client):
    run = new_run(client)
    data(client.post(f"{run}/telnyx-agents", json={"telnyx_agent_id": "a"}), 201)
    assert refused(client.post(f"{run}/telnyx-agents", json={"telnyx_agent_id": "a"}), 409)


@law("second_link", "accept")
def _(client):
    run = new_run(client)
    first = data(client.post(f"{run}/telnyx-agents", json={"telnyx_agent_id": "a"}), 201)
    assert data(client.post(f"{run}/telnyx-agents", json={"telnyx_agent_id": "a"}), 201) == first
    assert data(client.get(f"{run}/telnyx-agents")) == [first]


def absent_deletes(client):
    mission = new_mission(client)
    run = new_run(client, mission)
    for path in (f"{run}/telnyx-agents/a", f"{mission}/tools/t", f"/ai/missions/{UUID}"):
        yield client.delete(path).status_code


@law("absent_delete", "not_found")
def _(client):
    assert list(absent_deletes(client)) == [404] * 3


@law("absent_delete", "accept")
def _(client):
    assert list(absent_deletes(client)) == [204] * 3


@law("attached_in_mission", "include")
def _(client):
    mission = new_mission(client)
    tool = data(client.post(f"{mission}/tools"), 201)
    assert data(client.get(mission))["tools"] == [tool]


@law("attached_in_mission", "omit")
def _(client):
    mission = new_mission(client)
    data(client.post(f"{mission}/tools"), 201)
    assert "tools" not in data(client.get(mission))


@law("mission_delete", "cascade")
def _(client):
    mission = new_mission(client)
    new_run(client, mission)
    assert client.delete(mission).status_code == 204
    assert data(client.get("/ai/missions/runs")) == []


@law("mission_delete", "conflict")
def _(client):
    mission = new_mission(client)
    new_run(client, mission)
    assert refused(client.delete(mission), 409)
    assert data(client.get(mission))
    assert client.delete(new_mission(client)).status_code == 204


def names(client):
    for name in "abc":
        run = new_run(client, new_mission(client, name=name))
        data(client.post(f"{run}/events", json={"type": "custom", "summary": name}), 201)
    listed = "".join(mission["name"] for mission in data(client.get("/ai/missions")))
    events = "".join(event["summary"] for event in data(client.get("/ai/missions/events?page[size]=2")))
    assert plan(client, planned(client, "x", "y")) == ["x", "y"]
    return listed, events


@law("list_order", "oldest")
def _(client):
    assert names(client) == ("abc", "ab")


@law("list_order", "newest")
def _(client):
    assert names(client) == ("cba", "cb")


@law("unknown_fields", "ignore")
def _(client):
    assert "colour" not in data(client.post("/ai/missions", json={"name": "n", "colour": "red"}), 201)


@law("unknown_fields", "reject")
def _(client):
    answer = client.post("/ai/missions", json={"name": "n", "colour": "red"})
    assert faults(answer) == [("body.colour", "extra_forbidden")]
    run = planned(client, "a", metadata={"any": "key"})
    answer = client.post(f"{run}/plan/steps", json=steps("b", title="t"))
    assert faults(answer) == [("body.steps.0.title", "extra_forbidden")]


@law("max_body", "unlimited")
def _(client):
    new_mission(client, description="x" * 5_000_000)


@law("max_body", 100)
def _(client):
    data(client.post("/ai/missions", content=b'{"name":"' + b"x" * 89 + b'"}'), 201)
    assert "101" in refused(client.post("/ai/missions", content=b'{"name":"' + b"x" * 90 + b'"}'), 413)


@law("error_shape", "telnyx")
def _(client):
    (error,) = client.get(f"/ai/missions/{UUID}").json()["errors"]
    assert error == {
        "code": "10005",
        "title": "Resource not found",
        "detail": f"there is no mission '{UUID}'",
    }


@law("error_shape", "fastapi")
def _(client):
    assert client.get(f"/ai/missions/{UUID}").json() == {"detail": f"there is no mission '{UUID}'"}
    assert faults(client.post("/ai/missions", json={})) == [("body.name", "missing")]


class Clock:
    """A clock that moves a microsecond per look, and when it is told to."""

    def __init__(self):
        self.now = datetime(2026, 11, 7, 5, 31, 56, tzinfo=timezone.utc)

    def __call__(self):
        self.now += timedelta(microseconds=1)
        return self.now

    def forward(self, **duration):
        self.now += timedelta(**duration)


@pytest.mark.parametrize(("switch", "value"), LAWS, ids=str)
def test_switch(switch, value):
    """A server started with a switch behaves as the switch's description says."""
    # the contract declares neither a 200 to POST nor these fields: it cannot judge what it leaves open
    checked = (switch, value) not in {("repeated_key", "ok"), ("error_shape", "fastapi"), ("unknown_fields", "ignore")}
    clock = Clock()
    with api(checked=checked, clock=clock, **{switch: value}) as client:
        client.clock = clock
        LAWS[switch, value](client)


def test_every_value_of_every_switch_has_its_law():
    """No switch and no named value is untested, and one number at least for those that take numbers."""
    tested = {}
    for switch, value in LAWS:
        number = isinstance(value, (int, float))
        tested.setdefault(switch, set()).add("number" if number else value)
    allowed = {
        switch: {"number" if word.startswith("number of") else word for word in words}
        for switch, words in allowed_values().items()
    }
    assert tested == allowed


def test_the_default_is_the_first_value():
    """A behaviour built from nothing has the first value of each switch."""
    defaults = {name: getattr(Behaviour(), name) for name in Behaviour.__struct_fields__}
    assert defaults == {switch: words[0] for switch, words in allowed_values().items()}
