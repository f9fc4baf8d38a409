"""What holds for all operations: paths, prefixes, methods, keys."""

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from mission_tracer.server import Store, create_app
from mission_tracer.server.operations import HANDLERS, ROUTES
from tests import contract

from .driver import UUID, AppTransport, api, data, new_mission, new_run, refused


def test_every_operation_of_the_contract_has_its_handler():
    """Each of the 41 operations is found under its method and path, and nothing else is served."""
    found = set()
    for row in contract.OPERATIONS:
        routes, _ = ROUTES.find(row["path"].replace("{", "").replace("}", ""))
        route = routes[row["method"]]
        assert route.operation.path == row["path"]
        found.add(route.operation.name)
    assert len(contract.OPERATIONS) == len(found) == len(HANDLERS) == 41


@pytest.mark.parametrize("prefix", ["", "/v2"])
def test_the_prefix_is_optional(prefix):
    """Everything works with `/v2` in front and without."""
    with api(prefix=prefix) as client:
        run = new_run(client)
        assert data(client.get(run))["status"] == "pending"
        assert data(client.get("/ai/missions/runs"))


@pytest.mark.parametrize("place", ["", "/telnyx", "/a/telnyx", "/a b"])
def test_the_app_may_be_mounted_anywhere(place):
    """Below the place where another application mounts it, everything works as at the root."""
    store = Store()
    mounted = Starlette(routes=[Mount(place, app=create_app(store))])
    key = {"Authorization": "Bearer test"}
    with httpx.Client(transport=AppTransport(mounted), base_url=f"http://server{place}", headers=key) as client:
        run = new_run(client)
        assert data(client.get(run))["status"] == "pending"
        assert refused(client.get("/ai/missions/x/y"), 404)
    store.close()


def test_literal_paths_win_over_ids():
    """`/ai/missions/events` and `/runs` are the lists, even if a mission is called so."""
    with api(seed={"missions": [{"id": "runs"}, {"id": "events"}]}) as client:
        assert data(client.get("/ai/missions/events")) == data(client.get("/ai/missions/runs")) == []
        assert refused(client.delete("/ai/missions/runs"), 405)


def test_ids_arrive_decoded():
    """Path segments are split first and decoded then, so an escaped slash stays in its id."""
    routes, ids = ROUTES.find("/v2/ai/missions/a%2Fb/runs/%7B%7D")
    assert ids == ["a/b", "{}"]
    assert routes["GET"].operation.name == "missions.runs.retrieve"


@pytest.mark.parametrize(
    "path", ["/", "/ai", "/ai/missions/", "/ai/missions/x/", "/ai//missions", "/ai/missions/x/y", "/{}"]
)
def test_unknown_paths_are_404(path):
    """A path that no operation has is answered 404 in the usual shape."""
    with api() as client:
        assert refused(client.get(path), 404)


def test_a_wrong_method_is_405_and_names_the_right_ones():
    """A method that a path does not take is answered 405 with `Allow`."""
    with api() as client:
        answer = client.patch("/ai/missions")
        assert refused(answer, 405)
        assert answer.headers["allow"] == "GET, POST"


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic dTpw", "token"])
def test_without_a_bearer_token_nothing_is_answered(header):
    """A request without a bearer token is answered 401, before its body is looked at."""
    with api() as client:
        client.headers.pop("authorization")
        headers = {} if header is None else {"authorization": header}
        answer = client.post("/ai/missions", content=b"{", headers=headers)
        assert refused(answer, 401)
        assert answer.json()["errors"][0]["code"] == "10009"


@pytest.mark.parametrize("header", ["Bearer x", "bearer KEY_1"])
def test_any_token_will_do(header):
    """Any bearer token is accepted."""
    with api() as client:
        data(client.get("/ai/missions", headers={"authorization": header}))


def test_of_a_repeated_parameter_the_last_counts():
    """A query parameter given twice has its last value; unknown ones do not matter."""
    with api(checked=False) as client:
        for _ in range(3):
            new_mission(client)
        assert len(data(client.get("/ai/missions?page[size]=2&page[size]=1&colour=red"))) == 1


def post_in_pieces(client, *messages):
    """Send the messages of one POST of a mission; return what the application sent."""
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/ai/missions",
        "query_string": b"",
        "headers": [(b"authorization", b"Bearer x")],
    }
    waiting, sent = iter(messages), []

    async def receive():
        return next(waiting)

    async def send(message):
        sent.append(message)

    with pytest.raises(StopIteration):
        client._transport.app(scope, receive, send).send(None)
    return sent


def test_a_client_that_left_while_sending_changes_nothing():
    """A request whose body never ended is not carried out."""
    with api() as client:
        begun = {"type": "http.request", "body": b'{"name": "n"}', "more_body": True}
        assert post_in_pieces(client, begun, {"type": "http.disconnect"}) == []
        assert data(client.get("/ai/missions")) == []


def test_a_body_in_pieces_is_one_body():
    """A request body may come in any number of pieces."""
    with api() as client:
        pieces = [b'{"na', b'me": ', b'"n"}']
        messages = [{"type": "http.request", "body": one, "more_body": one is not pieces[-1]} for one in pieces]
        assert post_in_pieces(client, *messages)[0]["status"] == 201
        assert data(client.get("/ai/missions"))[0]["name"] == "n"


def test_a_failure_of_the_server_is_500_in_the_usual_shape(caplog):
    """What the server cannot do is answered 500, and its log says why."""
    store = Store()
    with api(store=store) as client:
        store.close()
        assert "log" in refused(client.get(f"/ai/missions/{UUID}"), 500)
    assert "closed database" in caplog.text
