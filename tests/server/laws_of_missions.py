"""What the switches about missions, runs, lists and errors mean."""

from .driver import UUID, data, faults, new_mission, new_run, refused, steps
from .laws import finished_run, law, moved, plan, planned


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
