"""The page and the administration."""

import re

from mission_tracer.server import Behaviour, Store
from mission_tracer.server.local import SHOWN_EVENTS

from .driver import UUID, api, data, faults, new_mission, new_run, refused, steps

SEED = {"missions": [{"id": UUID, "name": "seeded"}]}


def test_the_page_stands_alone():
    """`GET /` serves one HTML page that loads nothing from elsewhere."""
    with api(prefix="") as client:
        answer = client.get("/")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/html")
        assert "<title>Missions</title>" in answer.text
        assert not re.search(r"https?://|src=|@import|innerHTML", answer.text)


def test_the_overview_has_what_the_page_shows():
    """The overview needs no key and has the newest missions and runs first, and one run in full."""
    with api() as client:
        old, new = new_mission(client, name="old"), new_mission(client, name="new")
        run = new_run(client, old)
        new_run(client, new)
        data(client.post(f"{run}/plan", json=steps("b", "a")), 201)
        data(client.post(f"{run}/telnyx-agents", json={"telnyx_agent_id": "x"}), 201)
        for summary in ("first", "last"):
            data(client.post(f"{run}/events", json={"type": "custom", "summary": summary}), 201)
        client.headers.pop("authorization")
        run_id = run.rpartition("/")[2]
        shown = client.get("/_local/overview", params={"run": run_id}).json()
        assert [mission["name"] for mission in shown["missions"]] == ["new", "old"]
        assert shown["runs"][1]["run_id"] == shown["run"]["run"]["run_id"] == run_id
        assert [step["step_id"] for step in shown["run"]["steps"]] == ["b", "a"]
        assert [event["summary"] for event in shown["run"]["events"]] == ["last", "first"]
        assert shown["run"]["event_count"] == 2
        assert shown["run"]["agents"][0]["telnyx_agent_id"] == "x"
        assert client.get("/_local/overview?run=unknown").json()["run"] is None


def test_the_overview_says_when_nothing_changed():
    """With the version shown now, the overview is 204 until something changes, here or in another process."""
    store = Store()
    with api(store=store) as client:
        version = client.get("/_local/overview").json()["version"]
        assert client.get("/_local/overview", params={"since": version}).status_code == 204
        new_mission(client)
        assert client.get("/_local/overview", params={"since": version}).json()["missions"]
    store.close()


def test_the_overview_shows_the_last_events():
    """Of many events the overview has the last ones and the number of all."""
    seed = {
        **SEED,
        "runs": [{"id": UUID, "mission_id": UUID}],
        "events": [{"run_id": UUID, "summary": str(number)} for number in range(SHOWN_EVENTS + 1)],
    }
    with api(seed=seed) as client:
        shown = client.get(f"/_local/overview?run={UUID}").json()["run"]
        assert shown["event_count"] == SHOWN_EVENTS + 1
        assert len(shown["events"]) == SHOWN_EVENTS
        assert shown["events"][-1]["summary"] == "1"


def test_without_admin_there_is_no_administration():
    """The endpoints that change the server exist only if they were asked for."""
    with api() as client:
        assert refused(client.post("/_local/reset"), 404)
        assert refused(client.get("/_local/behaviour"), 404)
        assert refused(client.put("/_local/behaviour", json={}), 404)


def test_reset_brings_back_the_seed():
    """A reset without a body deletes everything and loads the seed again."""
    with api(admin=True, seed=SEED) as client:
        new_mission(client)
        counts = client.post("/_local/reset").json()
        assert counts["missions"] == 1
        assert [mission["name"] for mission in data(client.get("/ai/missions"))] == ["seeded"]


def test_reset_takes_another_seed():
    """A reset with a body loads that instead, once; `{}` leaves nothing."""
    with api(admin=True, seed=SEED) as client:
        assert client.post("/_local/reset", json={"missions": [{"id": UUID, "name": "other"}]}).status_code == 200
        assert data(client.get(f"/ai/missions/{UUID}"))["name"] == "other"
        client.post("/_local/reset", json={})
        assert data(client.get("/ai/missions")) == []
        client.post("/_local/reset")
        assert data(client.get(f"/ai/missions/{UUID}"))["name"] == "seeded"


def test_a_refused_reset_changes_nothing():
    """A reset with a seed that does not fit together is 422 and leaves everything as it was."""
    with api(admin=True) as client:
        mission = new_mission(client)
        answer = client.post("/_local/reset", json={"missions": [{"id": "a"}], "runs": [{"id": "r"}]})
        assert faults(answer) == [("body", "value_error")]
        assert "runs[0]" in answer.json()["detail"][0]["msg"]
        assert faults(client.post("/_local/reset", content=b"{")) == [("body", "json_invalid")]
        assert data(client.get(mission))
        assert len(data(client.get("/ai/missions"))) == 1


def test_behaviour_is_read_and_changed_while_running():
    """PUT changes the switches it names, for the requests after it; GET shows all."""
    with api(admin=True, error_shape="fastapi", prefix="", checked=False) as client:
        assert Behaviour(**client.get("/_local/behaviour").json()) == Behaviour(error_shape="fastapi")
        changed = client.put("/_local/behaviour", json={"second_plan": "append", "key_lifetime": 5})
        expected = Behaviour(error_shape="fastapi", second_plan="append", key_lifetime=5)
        assert Behaviour(**changed.json()) == Behaviour(**client.get("/_local/behaviour").json()) == expected
        run = new_run(client)
        for name in ("a", "b"):
            data(client.post(f"{run}/plan", json=steps(name)), 201)


def test_behaviour_refuses_what_it_does_not_know():
    """An unknown switch or value is 422, names the allowed ones and changes nothing, not even what was right."""
    with api(admin=True) as client:
        answer = client.put("/_local/behaviour", json={"list_order": "newest", "second_plan": "maybe"})
        assert faults(answer) == [("body", "value_error")]
        assert "conflict, replace, append" in answer.json()["detail"][0]["msg"]
        answer = client.put("/_local/behaviour", json={"colour": "red"})
        assert "second_plan" in answer.json()["detail"][0]["msg"]
        assert faults(client.put("/_local/behaviour", json=[])) == [("body", "dict_type")]
        assert faults(client.put("/_local/behaviour")) == [("body", "missing")]
        assert Behaviour(**client.get("/_local/behaviour").json()) == Behaviour()
