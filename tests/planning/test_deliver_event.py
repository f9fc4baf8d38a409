"""Which requests an event and an agent's link become."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from mission_tracer import facts
from mission_tracer._planning.actions import POISONED, STUBBORN, Answer, Settle
from mission_tracer._planning.deliver_event import leave_out
from mission_tracer._planning.records import Intended, Unsent
from tests.flows import KEY, OK, Course, bound, drive, fact, no

BODY: dict[str, Any] = {
    "type": "custom",
    "summary": "x" * 2000,
    "step_id": "s",
    "payload": {"big": "y" * 5000, "mission_tracer": {"id": "w.1"}},
    "idempotency_key": "k",
}


def event(**changed: Any) -> Any:
    body = {name: value for name, value in {**BODY, **changed}.items() if value is not None}
    return fact(facts.EventWritten, body=facts.EventBody(**body))


def old(seconds: float) -> dict[str, Any]:
    """Say that an event may have been sent so long ago."""
    return {"now": 1000.0, "sent_at": 1000.0 - seconds}


def test_an_event_is_one_request_as_it_was_recorded() -> None:
    """An event's bytes are copied into one request, which the server's own key keeps from taking effect twice."""
    course = drive(event(), bound())
    assert (course.calls, course.bodies, course.others) == (["events.log"], [BODY], [])
    assert (course.asked[0].keyed, course.asked[0].path) == (True, {"mission_id": "m", "run_id": "r"})


def test_a_key_is_relied_on_for_a_while() -> None:
    """An event that may have been sent is sent again with its key; after five minutes it is looked for first."""
    assert drive(event(), bound(), **old(300)).calls == ["events.log"]
    assert drive(event(), bound(), Answer(200, []), **old(301)).calls == ["events.list", "events.log"]
    noted = bound(intents={"event:7": 1000.0 - 301})
    assert drive(event(), noted, Answer(200, []), now=1000.0, position=7).calls == ["events.list", "events.log"]


@pytest.mark.parametrize(
    ("item", "same"),
    [
        ({"idempotency_key": "k"}, True),
        ({"payload": {"mission_tracer": {"id": "w.1"}}}, True),
        ({"idempotency_key": "other", "payload": {"mission_tracer": {"id": "w.2"}}}, False),
        ({"payload": None}, False),
        ({"payload": {"mission_tracer": "a text"}}, False),
    ],
)
def test_an_event_is_known_by_its_key_or_our_mark(item: dict[str, Any], same: bool) -> None:
    """An event that the server has is not sent again: neither an old one, nor one that it calls a conflict."""
    found = Answer(200, [item])
    assert drive(event(), bound(), found, **old(1e6)).calls == ["events.list"] + ["events.log"] * (not same)
    course = drive(event(step_id=None), bound(), no(409), found)
    assert course.calls == ["events.log", "events.list"]
    assert course.refused == ([] if same else ["no 409"])


@pytest.mark.parametrize("known", [{"sent_at": 990.0}, {"state": bound(intents={"event:7": 990.0})}])
def test_a_conflict_with_a_request_that_may_be_under_way_is_awaited(known: dict[str, Any]) -> None:
    """An event that may have been sent, and is not there, is refused for a conflict only once the first must show."""
    state = known.pop("state", bound())
    course = drive(event(step_id=None), state, no(409), Answer(200, []), now=1000.0, position=7, **known)
    assert course.others[:2] == [Intended("event:7", 990.0), Settle("event:7")]
    assert course.refused == ["no 409"]


@pytest.mark.parametrize("status", [400, 404, 422])
def test_an_event_of_an_unknown_step_goes_without_it(status: int) -> None:
    """An event that is refused is sent once more without its step, which its payload then names."""
    looks = [OK] if status == 404 else []
    course = drive(event(), bound(), no(status), *looks)
    assert course.refused == []
    assert course.bodies[-1] == {
        **{name: value for name, value in BODY.items() if name != "step_id"},
        "payload": {**BODY["payload"], "step_id": "s"},
    }
    assert drive(event(), bound(), no(status), *looks, no(400)).refused == [f"no {status}"]
    assert drive(event(step_id=None), bound(), no(status), *looks).refused == [f"no {status}"]


def check_cut(course: Course) -> None:
    small = course.bodies[-1]
    assert small["summary"] == "x" * 1000
    assert small["payload"]["truncated"]["keys"] == ["big", "mission_tracer"]
    assert small["payload"]["truncated"]["bytes"] > 5000
    assert small["payload"]["mission_tracer"] == {"id": "w.1"}
    assert (small["step_id"], small["idempotency_key"]) == ("s", "k")


def test_what_is_too_large_is_cut_once() -> None:
    """An event that is too large is sent once more with its place and mark, and only the size of its payload."""
    course = drive(event(), bound(), no(413))
    assert (course.calls, course.refused) == (["events.log"] * 2, [])
    check_cut(course)
    assert drive(event(), bound(), no(413), no(413)).refused == ["no 413"]


def test_a_cut_event_names_some_of_its_keys() -> None:
    """Of an event that is cut fifty keys of the payload are named, by the first hundred characters of each."""
    many = {f"{number}{'k' * 200}": number for number in range(60)}
    course = drive(event(payload=many), bound(), no(413))
    assert course.bodies[-1]["payload"]["truncated"]["keys"] == [key[:100] for key in many][:50]


def test_a_server_that_fails_on_an_event_is_offered_a_smaller_one() -> None:
    """After many failures an attempt begins with a look at the run, and tries the event whole, then cut."""
    course = drive(event(), bound(), OK, no(500), failures=STUBBORN)
    assert course.calls == ["retrieve", "events.log", "events.log"]
    assert [call.tolerant for call in course.asked] == [False, True, False]
    check_cut(course)
    assert not drive(event(), bound(), failures=STUBBORN - 1).asked[0].tolerant


@pytest.mark.parametrize("body", [b'"a text"', b"[1]", b"{}", b'{"summary": 1, "payload": "a text"}'])
@pytest.mark.parametrize(
    ("answers", "known"),
    [
        ([no(422)], {}),
        ([no(413), no(413)], {}),
        ([Answer(200, []), no(409), Answer(200, [])], old(301)),
    ],
)
def test_an_event_in_a_form_of_another_version_is_refused(
    body: bytes, answers: list[Answer], known: dict[str, Any]
) -> None:
    """What the server does not take, and nobody here understands, is given up, and hinders nothing."""
    course = drive(fact(facts.Event, body=msgspec.Raw(body)), bound(), *answers, **known)
    assert course.end == "done"
    assert len(course.refused) == 1


def test_an_event_of_a_run_that_is_gone_parks_it() -> None:
    """A 404 means the run only if the server does not know that either, and says so several times."""
    assert drive(event(), bound(), no(404), no(404)).end == "Again: the server does not know the run r: no 404"
    gone = drive(event(), bound(), OK, no(404), no(404), failures=STUBBORN)
    assert gone.end == "Park: the server does not know the run r: no 404"
    assert drive(event(), bound(), no(404), OK).end == "done"


def test_without_its_run_nothing_is_delivered() -> None:
    """A fact of a run that nobody opened parks it."""
    unbound = bound()
    unbound.run_id = None
    course = drive(event(), unbound)
    assert course.calls == []
    assert "first line is damaged" in course.end


def test_a_fact_is_left_out_with_a_note() -> None:
    """A note with a key of its own tells what was given up; a server that does not know the run parks it instead."""
    course = drive(event(), bound(), flow=leave_out, failures=POISONED)
    [note] = course.bodies
    assert (note["type"], note["idempotency_key"]) == ("error", f"{KEY}.w.1.left-out")
    assert note["payload"]["mission_tracer"]["left_out"] == "w.1"
    assert course.refused == [f"the server failed on it {POISONED} times, and takes other facts"]
    gone = drive(event(), bound(), no(404), no(404), flow=leave_out, failures=POISONED)
    assert (gone.end.split(":")[0], gone.refused) == ("Park", [])


# ---- agents ----

LINK = fact(facts.AgentLinked, telnyx_agent_id="a")
UNLINK = fact(facts.AgentUnlinked, telnyx_agent_id="a")
LINKED, NONE = Answer(200, [{"telnyx_agent_id": "a"}]), Answer(200, [{"telnyx_agent_id": "b"}])


def test_an_agent_is_linked_once() -> None:
    """A link is one request; one that may have been made is looked for, when it must show, before it is made again."""
    course = drive(LINK, bound())
    assert (course.calls, course.bodies) == (["telnyx_agents.link"], [{"telnyx_agent_id": "a"}])
    for answer, calls in (
        (LINKED, ["telnyx_agents.list"]),
        (NONE, ["telnyx_agents.list", "telnyx_agents.link"]),
    ):
        state = bound(intents={"link:a": 1.0})
        course = drive(LINK, state, answer)
        assert course.calls == calls
        assert course.others == [Settle("link:a"), Unsent("link:a")]
        assert state.intents == {}


@pytest.mark.parametrize(("answer", "refused"), [(LINKED, []), (NONE, ["no 409"]), (no(500), ["no 409"])])
def test_a_link_that_is_there_is_no_refusal(answer: Answer, refused: list[str]) -> None:
    """A link that the server refuses because it has it is made; any other is refused."""
    assert drive(LINK, bound(), no(409), answer).refused == refused


@pytest.mark.parametrize(("answer", "refused"), [(OK, []), (no(404), []), (no(400), ["no 400"])])
def test_an_agent_that_is_not_there_is_off(answer: Answer, refused: list[str]) -> None:
    """Taking an agent off is one request; that it is not there is as good."""
    course = drive(UNLINK, bound(), answer)
    assert (course.calls, course.refused) == (["telnyx_agents.unlink"], refused)
    assert course.asked[0].path["telnyx_agent_id"] == "a"


def test_taking_an_agent_off_again_awaits_the_first_time() -> None:
    """A request to take an agent off that may still be under way is awaited, and then made again."""
    state = bound(intents={"unlink:a": 1.0})
    course = drive(UNLINK, state, no(404))
    assert (course.calls, course.others) == (["telnyx_agents.unlink"], [Settle("unlink:a"), Unsent("unlink:a")])
    assert state.intents == {}
