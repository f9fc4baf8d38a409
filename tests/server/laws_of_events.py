"""What the switches about events mean."""

from .driver import data, faults, new_mission, new_run, refused
from .laws import EVENT, finished_run, law, planned


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
