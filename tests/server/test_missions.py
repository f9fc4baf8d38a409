"""Missions: created, read, listed, replaced, cloned and deleted."""

from tests import contract

from .driver import UUID, api, data, faults, new_mission, new_run, refused, steps


def test_create_gives_back_all_that_was_sent():
    """Creating a mission answers 201 with every field sent, an id and two equal times."""
    with api() as client:
        sent = contract.sample("CreateMissionRequest")
        mission = data(client.post("/ai/missions", json=sent), 201)
        assert {name: mission[name] for name in sent} == sent
        assert mission["created_at"] == mission["updated_at"]
        assert data(client.get(f"/ai/missions/{mission['mission_id']}")) == mission


def test_create_with_a_name_alone_is_external_and_has_nothing_else():
    """A mission created with nothing but a name is external; unset fields are left out, not null."""
    with api() as client:
        mission = data(client.post("/ai/missions", json={"name": "n"}), 201)
        assert mission["execution_mode"] == "external"
        assert set(mission) == {"mission_id", "name", "execution_mode", "created_at", "updated_at"}


def test_times_are_utc_with_a_z():
    """Times are RFC 3339 in UTC, written with a Z."""
    with api() as client:
        mission = data(client.get(new_mission(client)))
        assert mission["created_at"].endswith("Z")


def test_create_names_every_fault():
    """A wrong body is answered 422 with the place and kind of each fault."""
    with api() as client:
        assert faults(client.post("/ai/missions", json={})) == [("body.name", "missing")]
        assert faults(client.post("/ai/missions")) == [("body", "missing")]
        assert faults(client.post("/ai/missions", json=[])) == [("body", "model_attributes_type")]
        assert faults(client.post("/ai/missions", content=b"{")) == [("body", "json_invalid")]
        wrong = {"name": None, "description": 3, "execution_mode": "remote", "metadata": []}
        assert faults(client.post("/ai/missions", json=wrong)) == [
            ("body.name", "string_type"),
            ("body.description", "string_type"),
            ("body.execution_mode", "enum"),
            ("body.metadata", "dict_type"),
        ]
        assert data(client.get("/ai/missions")) == []


def test_a_body_too_deep_or_not_text_is_a_fault_not_a_failure():
    """JSON nested beyond reason, and bytes that are no text, are answered 422."""
    with api() as client:
        deep = b'{"name": "n", "metadata": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}"
        for content in (deep, b'{"name": "\xff"}', b'{"name": "\\ud800"}', b'{"name": NaN}'):
            assert faults(client.post("/ai/missions", content=content)) == [("body", "json_invalid")]


def test_any_json_survives():
    """What is stored in a free-form object comes back the same, numbers of any size included."""
    with api() as client:
        metadata = {"big": 10**40, "float": 0.1, "deep": [[{"": None}]], "text": "ü\u2028🙂\x00", "no": False}
        mission = data(client.post("/ai/missions", json={"name": "n", "metadata": metadata}), 201)
        assert mission["metadata"] == metadata
        assert data(client.get(f"/ai/missions/{mission['mission_id']}"))["metadata"] == metadata


def test_the_content_type_does_not_matter():
    """A JSON body is read whatever its content type says."""
    with api() as client:
        data(client.post("/ai/missions", content=b'{"name": "n"}', headers={"content-type": "text/plain"}), 201)


def test_list_pages_through_all_in_the_order_of_creation():
    """Pages follow each other in the order of creation, and meta counts them."""
    with api() as client:
        for number in range(5):
            new_mission(client, name=str(number))
        names, page = [], 1
        while True:
            answer = client.get("/ai/missions", params={"page[number]": page, "page[size]": 2})
            names += [mission["name"] for mission in data(answer)]
            meta = answer.json()["meta"]
            assert meta == {"page_number": page, "page_size": 2, "total_pages": 3, "total_results": 5}
            if page == meta["total_pages"]:
                break
            page += 1
        assert names == ["0", "1", "2", "3", "4"]


def test_list_reads_brackets_raw_and_encoded():
    """`page[size]` and `page%5Bsize%5D` are the same parameter."""
    with api() as client:
        for _ in range(3):
            new_mission(client)
        assert len(data(client.get("/ai/missions?page[size]=2"))) == 2
        assert len(data(client.get("/ai/missions?page%5Bsize%5D=2"))) == 2


def test_list_beyond_the_end_is_an_empty_page():
    """A page after the last is empty, however large its number, and still says how many there are."""
    with api() as client:
        new_mission(client)
        for number in (2, 10**25):
            answer = client.get(f"/ai/missions?page[number]={number}")
            assert data(answer) == []
            assert answer.json()["meta"]["total_results"] == 1


def test_list_has_twenty_a_page_unless_told():
    """Missions come twenty to a page when the query does not say; an empty server has no pages."""
    with api() as client:
        meta = client.get("/ai/missions").json()["meta"]
        assert meta == {"page_number": 1, "page_size": 20, "total_pages": 0, "total_results": 0}


def test_list_refuses_pages_out_of_range():
    """A page number below 1, a size outside 1..1000, and what is no integer, are answered 422."""
    with api() as client:
        number, size = "query.page[number]", "query.page[size]"
        cases = {
            "page[number]=0": [(number, "greater_than_equal")],
            "page[number]=-1": [(number, "greater_than_equal")],
            "page[size]=0": [(size, "greater_than")],
            "page[size]=1001": [(size, "less_than_equal")],
            "page[size]=": [(size, "int_parsing")],
            "page[size]=1.5&page[number]=x": [(number, "int_parsing"), (size, "int_parsing")],
        }
        for query, expected in cases.items():
            assert faults(client.get(f"/ai/missions?{query}")) == expected
        assert client.get("/ai/missions?page[size]=1000").status_code == 200


def test_retrieve_shows_what_is_attached():
    """Getting a mission includes its tools, knowledge bases and MCP servers; the list does not."""
    with api() as client:
        where = new_mission(client)
        tool = data(client.post(f"{where}/tools", json={"name": "t"}), 201)
        assert data(client.get(where))["tools"] == [tool]
        assert "tools" not in data(client.get("/ai/missions"))[0]


def test_update_keeps_what_it_does_not_name():
    """PUT changes the named fields, keeps the others and moves `updated_at`; an empty object is fine."""
    with api() as client:
        where = new_mission(client, description="old", metadata={"a": 1})
        before = data(client.get(where))
        after = data(client.put(where, json={"name": "new", "metadata": {"b": 2}}))
        assert after["updated_at"] > before["updated_at"]
        expected = {**before, "name": "new", "metadata": {"b": 2}, "updated_at": after["updated_at"]}
        assert after == data(client.get(where)) == expected
        assert data(client.put(where, json={}))["name"] == "new"


def test_delete_takes_everything_along():
    """Deleting a mission deletes its runs, steps, events, links and attachments."""
    with api() as client:
        where, other = new_mission(client), new_mission(client)
        run = new_run(client, where)
        data(client.post(f"{run}/plan", json=steps("a")), 201)
        data(client.post(f"{run}/events", json={"type": "custom", "summary": "s"}), 201)
        data(client.post(f"{run}/telnyx-agents", json={"telnyx_agent_id": "a"}), 201)
        data(client.post(f"{where}/tools"), 201)
        answer = client.delete(where)
        assert (answer.status_code, answer.content) == (204, b"")
        assert refused(client.get(where), 404)
        assert refused(client.get(run), 404)
        assert data(client.get("/ai/missions/events")) == data(client.get("/ai/missions/runs")) == []
        assert [mission["mission_id"] for mission in data(client.get("/ai/missions"))] == [other.rpartition("/")[2]]


def test_clone_copies_the_definition_and_what_is_attached():
    """A clone has a new id, `(copy)` in its name, the same definition and attachments, and no runs."""
    with api() as client:
        where = new_mission(client, **contract.sample("CreateMissionRequest"))
        tool = data(client.post(f"{where}/tools", json={"x": 1}), 201)
        new_run(client, where)
        original = data(client.get(where))
        clone = data(client.post(f"{where}/clone"), 201)
        assert clone["mission_id"] != original["mission_id"]
        assert clone["name"] == f"{original['name']} (copy)"
        same = ("description", "model", "instructions", "execution_mode", "metadata")
        assert [clone[name] for name in same] == [original[name] for name in same]
        copy = f"/ai/missions/{clone['mission_id']}"
        (copied,) = data(client.get(f"{copy}/tools"))
        assert copied["x"] == 1
        assert copied["id"] != tool["id"]
        assert data(client.get(f"{copy}/runs")) == []


def test_an_unknown_mission_is_404_and_no_uuid_is_422():
    """What does not exist is 404; where the contract wants a UUID, another text is 422."""
    with api() as client:
        for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("GET", "/runs"), ("POST", "/runs")):
            body = {} if method in {"PUT", "POST"} else None
            assert UUID in refused(client.request(method, f"/ai/missions/{UUID}{path}", json=body), 404)
            wrong = client.request(method, f"/ai/missions/abc{path}", json=body)
            assert faults(wrong) == [("path.mission_id", "uuid_parsing")]
        assert refused(client.post("/ai/missions/abc/clone"), 404)


def test_a_wrong_body_is_said_before_an_unknown_mission():
    """A malformed body is answered 422 even if the mission does not exist either."""
    with api() as client:
        assert faults(client.put(f"/ai/missions/{UUID}", json={"name": 1})) == [("body.name", "string_type")]
