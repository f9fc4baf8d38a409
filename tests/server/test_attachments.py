"""Knowledge bases, MCP servers and tools: whatever was sent, with an id."""

import pytest

from .driver import UUID, api, data, faults, new_mission, refused

KINDS = ["knowledge-bases", "mcp-servers", "tools"]


@pytest.mark.parametrize("kind", KINDS)
def test_create_read_list_update_delete(kind):
    """What is attached is stored as sent, with an id and times; PUT replaces it; DELETE takes it away."""
    with api() as client:
        where = f"{new_mission(client)}/{kind}"
        assert data(client.get(where)) == []
        first = data(client.post(where, json={"name": "n", "url": "u"}), 201)
        assert (first["name"], first["url"], first["created_at"]) == ("n", "u", first["updated_at"])
        assert data(client.get(f"{where}/{first['id']}")) == first
        changed = data(client.put(f"{where}/{first['id']}", json={"url": "v"}))
        assert changed == {
            "url": "v",
            "id": first["id"],
            "created_at": first["created_at"],
            "updated_at": changed["updated_at"],
        }
        assert data(client.get(where)) == [changed]
        assert client.delete(f"{where}/{first['id']}").status_code == 204
        assert refused(client.delete(f"{where}/{first['id']}"), 404)
        assert refused(client.get(f"{where}/{first['id']}"), 404)
        assert refused(client.put(f"{where}/{first['id']}"), 404)


@pytest.mark.parametrize("kind", KINDS)
def test_no_body_is_fine(kind):
    """Nothing need be sent, also under a JSON content type."""
    with api() as client:
        where = f"{new_mission(client)}/{kind}"
        made = data(client.post(where, headers={"content-type": "application/json"}), 201)
        assert set(made) == {"id", "created_at", "updated_at"}
        assert data(client.put(f"{where}/{made['id']}"))["id"] == made["id"]


def test_the_server_chooses_the_id():
    """An id or time in the body does not count."""
    with api() as client:
        where = f"{new_mission(client)}/tools"
        made = data(client.post(where, json={"id": "mine", "created_at": "then"}), 201)
        assert made["id"] != "mine"
        assert made["created_at"] != "then"
        assert data(client.put(f"{where}/{made['id']}", json={"id": "mine"}))["id"] == made["id"]


def test_what_is_no_object_becomes_a_value():
    """A body that is no object is kept under `value`; one that is no JSON is 422."""
    with api() as client:
        where = f"{new_mission(client)}/tools"
        assert data(client.post(where, json=["a"]), 201)["value"] == ["a"]
        assert faults(client.post(where, content=b"{")) == [("body", "json_invalid")]


def test_kinds_and_missions_do_not_mix():
    """A tool is no knowledge base, and not another mission's."""
    with api() as client:
        mine, other = new_mission(client), new_mission(client)
        tool = data(client.post(f"{mine}/tools"), 201)
        assert refused(client.get(f"{mine}/knowledge-bases/{tool['id']}"), 404)
        assert refused(client.get(f"{other}/tools/{tool['id']}"), 404)


@pytest.mark.parametrize("mission_id", [UUID, "not-a-uuid"])
def test_an_unknown_mission_is_404_whatever_its_id_looks_like(mission_id):
    """The contract takes any text as a mission's id here, so an unknown one is 404 and never 422."""
    with api() as client:
        for kind in KINDS:
            where = f"/ai/missions/{mission_id}/{kind}"
            for method, path in [("GET", ""), ("POST", ""), ("GET", "/x"), ("PUT", "/x"), ("DELETE", "/x")]:
                assert mission_id in refused(client.request(method, where + path), 404)
