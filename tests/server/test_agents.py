"""Telnyx agents: linked to a run once, listed, unlinked."""

from .driver import api, data, faults, new_run, refused


def test_link_list_unlink():
    """A linked agent is listed until it is unlinked; unlinking twice is 404."""
    with api() as client:
        run = new_run(client)
        first = data(client.post(f"{run}/telnyx-agents", json={"telnyx_agent_id": "assistant-1"}), 201)
        second = data(client.post(f"{run}/telnyx-agents", json={"telnyx_agent_id": "a/2"}), 201)
        assert first["run_id"] == run.rpartition("/")[2]
        assert data(client.get(f"{run}/telnyx-agents")) == [first, second]
        answer = client.delete(f"{run}/telnyx-agents/a%2F2")
        assert (answer.status_code, answer.content) == (204, b"")
        assert data(client.get(f"{run}/telnyx-agents")) == [first]
        assert "a/2" in refused(client.delete(f"{run}/telnyx-agents/a%2F2"), 404)


def test_link_twice_is_a_conflict_per_run():
    """An agent is linked to a run once, and may be linked to another."""
    with api() as client:
        run, other = new_run(client), new_run(client)
        body = {"telnyx_agent_id": "a"}
        data(client.post(f"{run}/telnyx-agents", json=body), 201)
        answer = client.post(f"{run}/telnyx-agents", json=body)
        assert refused(answer, 409)
        assert answer.headers["x-should-retry"] == "false"
        data(client.post(f"{other}/telnyx-agents", json=body), 201)


def test_link_needs_an_id():
    """Linking without an agent's id is 422."""
    with api() as client:
        run = new_run(client)
        assert faults(client.post(f"{run}/telnyx-agents", json={})) == [("body.telnyx_agent_id", "missing")]
