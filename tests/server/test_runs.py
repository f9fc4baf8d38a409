"""Runs: started, moved from status to status, listed."""

import pytest

from tests import contract

from .driver import UUID, api, data, faults, new_mission, new_run, refused

TO_STATUS = {
    "pending": [],
    "running": ["running"],
    "paused": ["running", "paused"],
    "succeeded": ["running", "succeeded"],
    "failed": ["running", "failed"],
    "cancelled": ["running", "cancelled"],
}
FINISHED = {"succeeded", "failed", "cancelled"}
FOLLOWS = {
    "pending": {"running", *FINISHED},
    "running": {"paused", *FINISHED},
    "paused": {"running", *FINISHED},
}


def run_in(client, status):
    """Start a run and bring it to a status; return its path."""
    where = new_run(client)
    for step in TO_STATUS[status]:
        data(client.patch(where, json={"status": step}))
    return where


def test_create_starts_a_pending_run_at_once():
    """A new run is pending and has `started_at`, no `finished_at`."""
    with api() as client:
        mission = new_mission(client)
        sent = contract.sample("CreateMissionRunRequest")
        run = data(client.post(f"{mission}/runs", json=sent), 201)
        assert run["status"] == "pending"
        assert run["started_at"] == run["updated_at"]
        assert "finished_at" not in run
        assert (run["input"], run["metadata"]) == (sent["input"], sent["metadata"])
        assert data(client.get(f"{mission}/runs/{run['run_id']}")) == run


def test_create_needs_no_body():
    """A run can be started with no body at all, also under a JSON content type, and keeps an empty object empty."""
    with api() as client:
        mission = new_mission(client)
        run = data(client.post(f"{mission}/runs", headers={"content-type": "application/json"}), 201)
        assert not {"input", "metadata"} & run.keys()
        run = data(client.post(f"{mission}/runs", json={"input": {}}), 201)
        assert run["input"] == {}


@pytest.mark.parametrize("new", TO_STATUS)
@pytest.mark.parametrize("old", TO_STATUS)
def test_patch_allows_what_follows_and_refuses_the_rest(old, new):
    """A status follows another as documented; the same one is accepted; anything else is 409 and changes nothing."""
    with api() as client:
        where = run_in(client, old)
        before = data(client.get(where))
        answer = client.patch(where, json={"status": new, "metadata": {"a": 1}})
        if new == old or new in FOLLOWS.get(old, ()):
            assert data(answer)["status"] == new
        else:
            assert new in refused(answer, 409)
            assert data(client.get(where)) == before


@pytest.mark.parametrize(
    ("action", "needs", "gives"),
    [
        ("pause", {"running"}, "paused"),
        ("resume", {"paused"}, "running"),
        ("cancel", {"running", "paused"}, "cancelled"),
    ],
)
@pytest.mark.parametrize("old", TO_STATUS)
def test_actions_need_their_state(old, action, needs, gives):
    """Pause needs a running run, resume a paused one, cancel either; what is done already is accepted, the rest 409."""
    with api() as client:
        where = run_in(client, old)
        answer = client.post(f"{where}/{action}", headers={"content-type": "application/json"})
        if old in needs or old == gives:
            assert data(answer)["status"] == gives
        else:
            assert refused(answer, 409)
            assert answer.headers["x-should-retry"] == "false"


def test_finishing_sets_the_end():
    """`finished_at` is set by the first final status and stays when that is said again."""
    with api() as client:
        for status in FINISHED:
            where = new_run(client)
            first = data(client.patch(where, json={"status": status}))
            again = data(client.patch(where, json={"status": status, "result_summary": "late"}))
            assert first["finished_at"] == first["updated_at"] == again["finished_at"]
            assert again["result_summary"] == "late"
            assert first["started_at"] < first["finished_at"]


def test_patch_keeps_what_it_does_not_name():
    """PATCH sets the outcome's fields, merges metadata, keeps the rest; an empty object is fine."""
    with api() as client:
        where = new_run(client, metadata={"a": 1, "b": {"c": 2}})
        sent = {"result_summary": "s", "result_payload": {"p": 1}, "error": "e", "metadata": {"b": 3}}
        data(client.patch(where, json=sent))
        run = data(client.patch(where, json={}))
        assert run["status"] == "pending"
        assert run["metadata"] == {"a": 1, "b": 3}
        assert {name: run[name] for name in ("result_summary", "result_payload", "error")} == {
            "result_summary": "s",
            "result_payload": {"p": 1},
            "error": "e",
        }


def test_patch_refuses_an_unknown_status():
    """A status outside the enum, null in any field, and an empty body, are answered 422."""
    with api() as client:
        where = new_run(client)
        assert faults(client.patch(where, json={"status": "done"})) == [("body.status", "enum")]
        assert faults(client.patch(where, json={"status": None})) == [("body.status", "enum")]
        for name in ("result_summary", "result_payload", "error", "metadata"):
            [(place, _)] = faults(client.patch(where, json={name: None}))
            assert place == f"body.{name}"
        assert faults(client.patch(where)) == [("body", "missing")]


def test_lists_filter_by_status():
    """Runs are listed per mission and for all; an unknown status gives an empty page, not an error."""
    with api() as client:
        mine, other = new_mission(client), new_mission(client)
        first, second, third = new_run(client, mine), new_run(client, mine), new_run(client, other)
        data(client.patch(second, json={"status": "running"}))

        def ids(path):
            return [run["run_id"] for run in data(client.get(path))]

        by_path = {path.rpartition("/")[2]: path for path in (first, second, third)}
        assert ids(f"{mine}/runs") == list(by_path)[:2]
        assert ids("/ai/missions/runs") == list(by_path)
        assert ids(f"{mine}/runs?status=running") == ids("/ai/missions/runs?status=running") == [list(by_path)[1]]
        assert ids("/ai/missions/runs?status=status") == []
        assert ids("/ai/missions/runs?page[size]=1&page[number]=3") == [list(by_path)[2]]


def test_a_run_belongs_to_its_mission():
    """A run is 404 under another mission; ids that are no UUIDs are 422, each named."""
    with api() as client:
        run = new_run(client)
        other = new_mission(client)
        run_id = run.rpartition("/")[2]
        assert run_id in refused(client.get(f"{other}/runs/{run_id}"), 404)
        assert UUID in refused(client.get(f"{other}/runs/{UUID}"), 404)
        assert faults(client.get(f"{other}/runs/x")) == [("path.run_id", "uuid_parsing")]
        assert faults(client.get("/ai/missions/x/runs/y")) == [
            ("path.mission_id", "uuid_parsing"),
            ("path.run_id", "uuid_parsing"),
        ]
