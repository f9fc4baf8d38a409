"""Seeds: rows with the ids given, in a store that is empty."""

import json
import re
from pathlib import Path

import pytest

from mission_tracer.errors import ConfigurationError
from mission_tracer.server import Store, create_app
from mission_tracer.server.seeds import SECTIONS

from .driver import UUID, api, data, faults

FULL = {
    "missions": [{"id": UUID, "name": "n"}, {"mission_id": "mission_id"}],
    "runs": [{"id": UUID, "mission_id": UUID, "status": "running", "started_at": "2026-11-07T07:00:00+02:00"}],
    "steps": [{"step_id": "a", "run_id": UUID}, {"id": "b", "run_id": UUID, "sequence": 0, "status": "in_progress"}],
    "events": [{"event_id": "event_id", "run_id": UUID, "idempotency_key": "k"}, {"run_id": UUID, "type": "message"}],
    "agents": [{"telnyx_agent_id": "agent", "run_id": UUID}],
    "knowledge_bases": [{"knowledge_base_id": "kb", "mission_id": "mission_id", "url": "u"}],
    "mcp_servers": [{"id": "mcp", "mission_id": "mission_id"}],
    "tools": [{"tool_id": "tool", "mission_id": UUID}],
}
RUN = f"/ai/missions/{UUID}/runs/{UUID}"


def test_rows_have_the_ids_given():
    """Everything seeded is found under its id, be it a UUID or not, and has what the API's answers require."""
    with api(seed=FULL) as client:
        assert data(client.get(f"/ai/missions/{UUID}"))["name"] == "n"
        run = data(client.get(RUN))
        assert (run["status"], run["started_at"]) == ("running", "2026-11-07T05:00:00Z")
        assert [step["step_id"] for step in data(client.get(f"{RUN}/plan"))] == ["b", "a"]
        assert data(client.get(f"{RUN}/plan/steps/b"))["status"] == "in_progress"
        assert data(client.get(f"{RUN}/events/event_id"))["type"] == "custom"
        assert [event["type"] for event in data(client.get(f"{RUN}/events"))] == ["custom", "message"]
        assert data(client.get(f"{RUN}/telnyx-agents"))[0]["telnyx_agent_id"] == "agent"
        assert data(client.get(f"/ai/missions/{UUID}/tools/tool"))["created_at"]
    with api(seed=FULL, checked=False) as client:  # the contract wants UUIDs where it says so
        mission = data(client.get("/ai/missions/mission_id"))
        assert mission["execution_mode"] == "external"
        assert mission["knowledge_bases"][0]["url"] == "u"
        assert data(client.get("/ai/missions/mission_id/mcp-servers/mcp"))["id"] == "mcp"
        assert data(client.post("/ai/missions/mission_id/runs"), 201)["mission_id"] == "mission_id"
        assert faults(client.get("/ai/missions/other_id")) == [("path.mission_id", "uuid_parsing")]


def test_seeded_state_counts():
    """What is seeded takes part: its plan exists, its keys are known, its agents are linked, its run can be paused."""
    with api(seed=FULL) as client:
        assert client.post(f"{RUN}/plan", json={"steps": []}).status_code == 409
        event = {"type": "custom", "summary": "s", "idempotency_key": "k"}
        assert data(client.post(f"{RUN}/events", json=event), 201)["event_id"] == "event_id"
        assert client.post(f"{RUN}/telnyx-agents", json={"telnyx_agent_id": "agent"}).status_code == 409
        assert data(client.post(f"{RUN}/pause"))["status"] == "paused"


def test_a_finished_run_has_an_end():
    """A seeded run in a final status has a `finished_at` even if none was given."""
    seed = {"missions": [{"id": UUID}], "runs": [{"id": UUID, "mission_id": UUID, "status": "failed"}]}
    with api(seed=seed) as client:
        assert data(client.get(RUN))["finished_at"]


def test_the_seed_may_be_a_file(tmp_path):
    """A seed is a mapping or the path of a JSON file."""
    path = tmp_path / "seed.json"
    path.write_text(json.dumps(FULL))
    for source in (path, str(path)):
        with api(seed=source) as client:
            assert data(client.get(RUN))["status"] == "running"


def test_a_store_that_has_missions_keeps_them(tmp_path):
    """The seed goes into an empty store only: a restart on the same file goes on where it was."""
    store = Store(tmp_path / "db")
    with api(store=store, seed=FULL) as client:
        data(client.post(f"{RUN}/pause"))
    with api(store=store, seed=FULL) as client:
        assert data(client.get(RUN))["status"] == "paused"
    store.close()


@pytest.mark.parametrize(
    ("seed", "words"),
    [
        ({"colours": []}, ["colours", *SECTIONS]),
        ({"missions": {}}, ["missions", "list"]),
        ({"missions": ["x"]}, ["missions", "list of objects"]),
        ({"missions": [{"id": 5}]}, ["missions[0]", "mission_id"]),
        ({"missions": [{"id": "a", "execution_mode": "remote"}]}, ["missions[0]", "external, managed"]),
        ({"missions": [{"id": "a"}, {"id": "a"}]}, ["missions[1]", "there already"]),
        ({"runs": [{"id": "r"}]}, ["runs[0]", "mission_id"]),
        ({"runs": [{"id": "r", "mission_id": "m"}]}, ["runs[0]", "mission or run is not there"]),
        ({"steps": [{"step_id": "s"}]}, ["steps[0]", "run_id"]),
        ({"steps": [{"run_id": "r"}]}, ["steps[0]", "step_id"]),
        ({"events": [{"run_id": "r"}]}, ["events[0]", "mission or run is not there"]),
        ({"agents": [{"run_id": "r"}]}, ["agents[0]", "telnyx_agent_id"]),
        ({"tools": [{"id": "t"}]}, ["tools[0]", "mission_id"]),
        ({"tools": [{"id": "t", "mission_id": "m"}]}, ["tools[0]", "not there"]),
        ({"missions": [{"id": "a", "created_at": "yesterday"}]}, ["missions[0]", "created_at"]),
        ({**FULL, "steps": [*FULL["steps"], {"step_id": "a", "run_id": UUID}]}, ["steps[2]", "there already"]),
        ({**FULL, "events": [{"run_id": UUID, "type": "note"}]}, ["events[0]", "tool_call"]),
        ([], ["object"]),
    ],
)
def test_a_wrong_seed_is_refused_in_one_line(tmp_path, seed, words):
    """A seed that does not fit together is refused with the row and the reason, and nothing of it is loaded."""
    path = tmp_path / "seed.json"
    path.write_text(json.dumps(seed))
    store = Store()
    with pytest.raises(ConfigurationError) as caught:
        create_app(store, seed=path)
    assert [word for word in words if word not in str(caught.value)] == []
    assert "\n" not in str(caught.value)
    assert store.missions() == []
    store.close()


def test_an_unreadable_seed_is_refused(tmp_path):
    """A seed file that is not there or no JSON is refused with its name or the fault."""
    store = Store()
    with pytest.raises(ConfigurationError, match=r"absent\.json"):
        create_app(store, seed=tmp_path / "absent.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ConfigurationError, match="no JSON"):
        create_app(store, seed=tmp_path / "bad.json")
    store.close()


def test_the_seed_in_the_documentation_loads():
    """The example in `docs/server.md` is a seed that loads whole."""
    page = (Path(__file__).parents[2] / "docs" / "server.md").read_text()
    (block,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    store = Store()
    create_app(store, seed=json.loads(block))
    assert [run.status for run in store.runs("m1")] == ["running"]
    assert len(store.steps("r1")) == len(store.events("r1")) == len(store.agents("r1")) == 1
    store.close()
