"""The official SDK against the local server, in a process of its own: every operation, strictly validated."""

import re
import subprocess
import sys

import httpx
import pytest

from tests import contract

telnyx = pytest.importorskip("telnyx")
pytest.importorskip("uvicorn")
pytest.importorskip("starlette")

UUID = "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"


@pytest.fixture(scope="module")
def server():
    """The base URL of a server process."""
    words = [sys.executable, "-W", "error", "-m", "mission_tracer.server", "--port", "0"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    yield re.fullmatch(r"Missions API on (http://\S+/v2)\n", line)[1]
    process.terminate()
    assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == 0


class Watched:
    """The SDK's client, with every exchange held against the contract.

    Args:
        base_url: the server's.
    """

    def __init__(self, base_url):
        self.operations = []
        self.attempts = 0
        hooks = {"response": [self._check]}
        self.http = httpx.Client(event_hooks=hooks, base_url=base_url, timeout=30)
        self.sdk = telnyx.Telnyx(
            api_key="KEY_test", base_url=base_url, http_client=self.http, _strict_response_validation=True
        )

    def _check(self, answer):
        self.attempts += 1
        request = answer.request
        target = request.url.raw_path.decode()
        answer.read()
        if answer.status_code < 400:
            row = contract.check_request(request.method, target, request.read())
            self.operations.append((row["method"], row["path"]))
        contract.check_answer(request.method, target, answer.status_code, answer.content)


@pytest.fixture
def watched(server):
    watched = Watched(server)
    yield watched
    watched.http.close()


@pytest.fixture
def missions(watched):
    return watched.sdk.ai.missions


def start(missions):
    """Create a mission and a run; return the ids as the SDK's methods take them."""
    mission_id = missions.create(name="n").data.mission_id
    run_id = missions.runs.create(mission_id).data.run_id
    return {"mission_id": mission_id, "run_id": run_id}


def drive_missions(missions):
    mission = missions.create(**contract.sample("CreateMissionRequest")).data
    assert missions.retrieve(mission.mission_id).data == mission
    assert missions.update_mission(mission.mission_id, name="new").data.name == "new"
    assert mission.mission_id in {one.mission_id for one in missions.list()}
    clone = missions.clone_mission(mission.mission_id)["data"]
    assert clone["name"] == "new (copy)"
    assert missions.delete_mission(clone["mission_id"]) is None


def drive_runs(missions):
    mission_id = missions.create(name="n").data.mission_id
    run = missions.runs.create(mission_id, input={"city": "Chicago"}, metadata={"a": 1}).data
    where = {"mission_id": mission_id}
    assert missions.runs.retrieve(run.run_id, **where).data == run
    assert missions.runs.update(run.run_id, **where, status="running").data.status == "running"
    assert missions.runs.pause_run(run.run_id, **where).data.status == "paused"
    assert missions.runs.resume_run(run.run_id, **where).data.status == "running"
    assert missions.runs.cancel_run(run.run_id, **where).data.finished_at
    assert [one.run_id for one in missions.runs.list(mission_id, status="cancelled")] == [run.run_id]
    assert run.run_id in {one.run_id for one in missions.runs.list_runs()}


def drive_plan(missions):
    ids = start(missions)
    run_id, where = ids["run_id"], {"mission_id": ids["mission_id"]}
    plan = missions.runs.plan
    step = contract.sample("CreatePlanStepRequest")
    assert plan.create(run_id, **where, steps=[step]).data[0].status == "pending"
    more = {"step_id": "a/b c", "description": "d", "sequence": 2}
    assert plan.add_steps_to_plan(run_id, **where, steps=[more]).data[0].step_id == "a/b c"
    assert [one.step_id for one in plan.retrieve(run_id, **where).data] == [step["step_id"], "a/b c"]
    assert plan.update_step("a/b c", **ids, status="in_progress").data.started_at
    assert plan.get_step_details("a/b c", **ids).data.status == "in_progress"


def drive_events(missions):
    ids = start(missions)
    run_id, where = ids["run_id"], {"mission_id": ids["mission_id"]}
    events = missions.runs.events
    sent = contract.sample("CreateEventRequest")
    event = events.log(run_id, **where, **sent).data
    assert events.log(run_id, **where, **sent).data.event_id == event.event_id
    assert events.get_event_details(event.event_id, **ids).data == event
    filters = {name: sent[name] for name in ("type", "step_id", "agent_id")}
    assert list(events.list(run_id, **where, **filters)) == [event]
    assert event.event_id in {one.event_id for one in missions.list_events(type=sent["type"])}


def drive_agents(missions):
    ids = start(missions)
    run_id, where = ids["run_id"], {"mission_id": ids["mission_id"]}
    agents = missions.runs.telnyx_agents
    link = agents.link(run_id, **where, telnyx_agent_id="assistant-1").data
    assert agents.list(run_id, **where).data == [link]
    assert agents.unlink("assistant-1", **ids) is None


def drive_attachments(missions):
    mission_id = missions.create(name="n").data.mission_id
    for resource, one in (
        (missions.knowledge_bases, "knowledge_base"),
        (missions.mcp_servers, "mcp_server"),
        (missions.tools, "tool"),
    ):
        operations = {verb: getattr(resource, f"{verb}_{one}") for verb in ("create", "get", "update", "delete")}
        made = operations["create"](mission_id)["data"]
        assert operations["get"](made["id"], mission_id=mission_id) == {"data": made}
        changed = operations["update"](made["id"], mission_id=mission_id, extra_body={"name": "n"})["data"]
        assert changed["name"] == "n"
        assert getattr(resource, f"list_{one}s")(mission_id) == {"data": [changed]}
        assert operations["delete"](made["id"], mission_id=mission_id) is None


def test_every_operation(watched, missions):
    """The SDK's 41 methods get what they declare, in strict validation, each at the first attempt."""
    for drive in (drive_missions, drive_runs, drive_plan, drive_events, drive_agents, drive_attachments):
        drive(missions)
    declared = {(row["method"], row["path"]) for row in contract.OPERATIONS}
    assert set(watched.operations) == declared
    assert len(declared) == 41
    assert watched.attempts == len(watched.operations)


def test_pages_are_walked_to_the_end(watched, missions):
    """The SDK's iterators follow the pages and give everything once, in order."""
    ids = start(missions)
    run_id, where = ids["run_id"], {"mission_id": ids["mission_id"]}
    for number in range(7):
        missions.runs.events.log(run_id, **where, type="custom", summary=str(number))
    before = watched.attempts
    listed = missions.runs.events.list(run_id, **where, page_size=3)
    assert listed.meta.total_results == 7
    assert [event.summary for event in listed] == list("0123456")
    assert watched.attempts - before == 3
    assert list(missions.runs.list(ids["mission_id"], status="status")) == []


def test_refusals_become_the_sdks_errors(watched, missions):
    """404, 409, 422 and 401 arrive as the SDK's error classes, and none of them is tried again."""
    ids = start(missions)
    run_id, where = ids["run_id"], {"mission_id": ids["mission_id"]}
    missions.runs.telnyx_agents.link(run_id, **where, telnyx_agent_id="a")
    before = watched.attempts
    with pytest.raises(telnyx.NotFoundError, match=UUID):
        missions.retrieve(UUID)
    with pytest.raises(telnyx.ConflictError, match="linked already"):
        missions.runs.telnyx_agents.link(run_id, **where, telnyx_agent_id="a")
    with pytest.raises(telnyx.ConflictError, match="cannot become"):
        missions.runs.pause_run(run_id, **where)
    with pytest.raises(telnyx.UnprocessableEntityError) as caught:
        missions.runs.events.log(run_id, **where, type="note", summary="s")
    assert caught.value.body["detail"][0]["loc"] == ["body", "type"]
    with pytest.raises(telnyx.UnprocessableEntityError):
        missions.retrieve("no-uuid")
    with pytest.raises(telnyx.AuthenticationError):
        missions.list(extra_headers={"Authorization": "Basic x"})
    assert watched.attempts - before == 6


def test_an_event_sent_twice_is_there_once(missions):
    """The SDK replays a lost event blindly: under its key it is stored once."""
    ids = start(missions)
    run_id, where = ids["run_id"], {"mission_id": ids["mission_id"]}
    for _ in range(3):
        missions.runs.events.log(run_id, **where, type="custom", summary="s", idempotency_key="k")
    assert missions.runs.events.list(run_id, **where).meta.total_results == 1
