"""Events: logged once per key, listed and filtered."""

from tests import contract

from .driver import UUID, api, data, faults, new_run, refused

EVENT = {"type": "custom", "summary": "s"}


def test_log_gives_back_all_that_was_sent():
    """Logging an event answers 201 with every field sent, an id, the run and the time."""
    with api() as client:
        run = new_run(client)
        sent = contract.sample("CreateEventRequest")
        event = data(client.post(f"{run}/events", json=sent), 201)
        assert {name: event[name] for name in sent} == sent
        assert set(event) == {*sent, "event_id", "run_id", "timestamp"}
        assert data(client.get(f"{run}/events/{event['event_id']}")) == event


def test_log_leaves_out_what_was_not_sent():
    """Fields not sent are absent from the answer; empty ones are kept as they are."""
    with api() as client:
        run = new_run(client)
        event = data(client.post(f"{run}/events", json=EVENT), 201)
        assert set(event) == {"event_id", "run_id", "type", "summary", "timestamp"}
        event = data(client.post(f"{run}/events", json={**EVENT, "step_id": "", "payload": {}}), 201)
        assert (event["step_id"], event["payload"]) == ("", {})


def test_log_takes_the_nine_types_only():
    """Every type of the contract is accepted, any other is 422."""
    with api() as client:
        run = new_run(client)
        types = contract.SCHEMAS["EventType"]["enum"]
        assert len(types) == 9
        for kind in types:
            assert data(client.post(f"{run}/events", json={**EVENT, "type": kind}), 201)["type"] == kind
        assert faults(client.post(f"{run}/events", json={"type": "note", "payload": "x"})) == [
            ("body.type", "enum"),
            ("body.summary", "missing"),
            ("body.payload", "dict_type"),
        ]


def test_a_repeated_key_gives_the_first_event():
    """An event sent again under its key is stored once and answered with the first; other keys and none are new."""
    with api() as client:
        run = new_run(client)
        sent = {**EVENT, "idempotency_key": "k"}
        first = data(client.post(f"{run}/events", json=sent), 201)
        assert data(client.post(f"{run}/events", json={**sent, "summary": "other"}), 201) == first
        data(client.post(f"{run}/events", json={**sent, "idempotency_key": "l"}), 201)
        data(client.post(f"{run}/events", json=EVENT), 201)
        data(client.post(f"{run}/events", json=EVENT), 201)
        assert len(data(client.get(f"{run}/events"))) == 4


def test_lists_filter():
    """Events are filtered by type, step and agent; unknown values give an empty page; the list of all has all runs."""
    with api() as client:
        run, other = new_run(client), new_run(client)
        for number, (kind, step, agent) in enumerate(
            [("custom", "a", "x"), ("message", "a", "y"), ("message", "b", "x")]
        ):
            sent = {"type": kind, "summary": str(number), "step_id": step, "agent_id": agent}
            data(client.post(f"{run}/events", json=sent), 201)
        data(client.post(f"{other}/events", json={"type": "message", "summary": "3"}), 201)

        def found(path):
            return "".join(event["summary"] for event in data(client.get(path)))

        assert found(f"{run}/events") == "012"
        assert found(f"{run}/events?type=message") == "12"
        assert found(f"{run}/events?step_id=a") == "01"
        assert found(f"{run}/events?agent_id=x&step_id=b&type=message") == "2"
        assert found(f"{run}/events?type=type") == found(f"{run}/events?type=") == ""
        assert found("/ai/missions/events") == "0123"
        assert found("/ai/missions/events?type=message") == "123"
        assert found("/ai/missions/events?type=message&page[size]=2&page[number]=2") == "3"


def test_events_come_fifty_a_page():
    """Events come fifty to a page when the query does not say."""
    with api() as client:
        run = new_run(client)
        for path in (f"{run}/events", "/ai/missions/events"):
            assert client.get(path).json()["meta"]["page_size"] == 50


def test_an_event_belongs_to_its_run():
    """An event is 404 in another run, and so is an unknown one; an event of an unknown run is 404."""
    with api() as client:
        run, other = new_run(client), new_run(client)
        event = data(client.post(f"{run}/events", json=EVENT), 201)
        assert refused(client.get(f"{other}/events/{event['event_id']}"), 404)
        assert "'x'" in refused(client.get(f"{run}/events/x"), 404)
        mission = run.rpartition("/runs/")[0]
        assert refused(client.post(f"{mission}/runs/{UUID}/events", json=EVENT), 404)
        assert faults(client.get(f"{mission}/runs/x/events")) == [("path.run_id", "uuid_parsing")]
