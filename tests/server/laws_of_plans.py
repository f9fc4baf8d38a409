"""What the switches about plans and steps mean."""

from .driver import data, faults, new_run, refused, steps
from .laws import law, moved, plan, planned


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


@law("step_times", "server")
def _(client):
    assert {"started_at", "completed_at"} <= data(moved(client, "in_progress", "completed")).keys()


@law("step_times", "none")
def _(client):
    assert not {"started_at", "completed_at"} & data(moved(client, "in_progress", "completed")).keys()
