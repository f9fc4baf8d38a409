"""Which requests find or create a run's mission, create the run, and change its status."""

from __future__ import annotations

from typing import Any

import pytest

from mission_tracer import facts
from mission_tracer._planning.actions import CHANGES, STUBBORN, Answer, Forget, Recall, Remember, Settle
from mission_tracer._planning.lane_state import LaneState, StepState
from mission_tracer._planning.records import MissionFound, RunBound
from tests.flows import KEY, OK, bound, drive, fact, no

NONE = Answer(200, [])
CREATED, RUN = Answer(201, {"mission_id": "m"}), Answer(201, {"run_id": "r"})


def mission(name: str, number: str, at: str | None) -> dict[str, Any]:
    return {"name": name, "mission_id": number, "created_at": at}


def opened(name: str = "M", **fields: Any) -> Any:
    spec = facts.MissionSpec(name, id=fields.pop("mission_id", None), description="about")
    return fact(facts.RunOpened, key=KEY, mission=spec, **fields)


def known(**fields: Any) -> LaneState:
    """Know a mission, and no run yet."""
    return LaneState(key=KEY, mission_id="m", **fields)


def ours(key: str = KEY) -> dict[str, Any]:
    return {"run_id": "r", "metadata": {"mission_tracer": {"key": key}}}


def status(name: str) -> Answer:
    return Answer(200, {"status": name})


# ---- the mission ----


def test_a_new_mission_is_created_and_looked_for_once_more() -> None:
    """A mission that nobody knows is created; if another machine did so too, both take the oldest."""
    theirs = Answer(200, [mission("M", "new", "2026-01-02"), mission("M", "old", "2026-01-01")])
    for found, chosen in ((NONE, "m"), (theirs, "old")):
        state = LaneState()
        course = drive(opened(), state, None, NONE, CREATED, found, RUN)
        assert course.calls == ["list", "create", "list", "create", "update"]
        assert course.bodies[1] == {"name": "M", "description": "about"}
        assert course.asked[1].intent == "create_mission"
        assert (course.others[0], course.others[1]) == (Recall("M"), Remember("M", chosen))
        assert (state.mission_id, state.run_id) == (chosen, "r")
        assert course.bodies[-1] == {"status": "running"}


def test_a_mission_is_the_oldest_of_exactly_that_name() -> None:
    """An existing mission of the name is taken, the oldest; one whose age is not told comes last; then ids decide."""
    some = [mission("M2", "x", "1"), mission("M", "a", None), mission("M", "b", "3")]
    for more in ([mission("M", "d", "2"), mission("M", "c", "2")], [mission("M", "c", "2"), mission("M", "d", "2")]):
        state = LaneState()
        assert drive(opened(), state, None, Answer(200, [*some, *more]), RUN).calls == ["list", "create", "update"]
        assert state.mission_id == "c"


def test_a_list_is_asked_for_without_a_size_where_none_is_taken() -> None:
    """A server that refuses the number of items asked for at once is asked without it, once."""
    course = drive(opened(), LaneState(), None, no(422), Answer(200, [mission("M", "m", "1")]), RUN)
    assert course.calls == ["list", "list", "create", "update"]
    assert [call.query for call in course.asked[:2]] == [{"page[number]": 1, "page[size]": 200}, {"page[number]": 1}]
    assert drive(opened(), LaneState(), None, no(422), no(422)).end.startswith("Park: the server does not list")


def test_a_list_ends_with_a_page_that_is_the_one_before() -> None:
    """A server that knows no pages gives all each time, and may not say how many pages there are."""
    state = LaneState()
    page = Answer(200, [mission("other", "o", "1"), mission("M", "m", "1")], pages=1 << 30)
    assert drive(opened(), state, None, page, page, RUN).calls == ["list", "list", "create", "update"]
    assert state.mission_id == "m"


def test_a_known_mission_is_not_looked_up() -> None:
    """A mission whose id is given, or known on this host, costs no request."""
    assert drive(opened(), LaneState(), "m", RUN).calls == ["create", "update"]
    assert drive(opened(mission_id="m"), LaneState(), RUN).calls == ["create", "update"]


def test_a_mission_that_may_have_been_created_is_looked_for_later() -> None:
    """After a lost answer to a mission's creation its effect is awaited before the missions are listed."""
    state = LaneState(intents={"create_mission": 1.0})
    course = drive(opened(), state, None, Answer(200, [mission("M", "m", "1")]), RUN)
    assert course.others[:2] == [Recall("M"), Settle("create_mission")]
    assert state.intents == {}


def test_a_refused_mission_is_offered_with_its_name_alone() -> None:
    """A mission that the server refuses as malformed is created by its name; if that is refused too the run parks."""
    course = drive(opened(), LaneState(), None, NONE, no(422), CREATED, NONE, RUN)
    assert course.bodies[2] == {"name": "M"}
    parked = drive(opened(), LaneState(), None, NONE, no(422), no(422))
    assert parked.end == "Park: the server refused the mission 'M': no 422"


def test_a_refusal_that_makes_no_sense_is_tried_again() -> None:
    """A conflict is looked for, and any refusal that is not the request's fault is tried again, up to a bound."""
    theirs = Answer(200, [mission("M", "m", "1")])
    assert drive(opened(), LaneState(), None, NONE, no(409), theirs, theirs, RUN).end == "done"
    assert drive(opened(), LaneState(), None, NONE, no(404)).end.startswith("Again: ")
    assert drive(opened(), LaneState(), None, no(404)).end == "Again: the server does not list the missions: no 404"
    assert drive(opened(), LaneState(), None, NONE, no(404), failures=STUBBORN).end.startswith("Park: ")


# ---- the run ----


def test_a_run_is_created_with_its_input() -> None:
    """A run's creation carries its input and our mark, under an intent."""
    mark = {"mission_tracer": {"key": KEY}}
    course = drive(opened(input={"city": "Chicago"}, metadata=mark), known(), RUN)
    assert course.bodies[0] == {"input": {"city": "Chicago"}, "metadata": mark}
    assert course.asked[0].intent == "create_run"
    assert "input" not in drive(opened(metadata=mark), known(), RUN).bodies[0]


def test_a_run_that_may_have_been_created_is_looked_for_by_its_key() -> None:
    """After a lost answer the run is looked for, when it must show, and created only if it is not there."""
    for items, calls in (
        ([ours("other"), ours()], ["list", "update"]),
        ([ours("other")], ["list", "create", "update"]),
    ):
        state = known(intents={"create_run": 1.0})
        course = drive(opened(), state, Answer(200, items), *([RUN] if len(calls) == 3 else []))
        assert (course.calls, course.others[0], state.run_id) == (calls, Settle("create_run"), "r")
    assert drive(opened(), known(intents={"create_run": 1.0}), no(404), RUN).calls == ["list", "create", "update"]
    odd = Answer(200, [{"run_id": "x", "metadata": None}, {"run_id": "y", "metadata": {"mission_tracer": 7}}])
    assert drive(opened(), known(intents={"create_run": 1.0}), odd, RUN).calls == ["list", "create", "update"]


def test_a_refused_run_is_offered_without_its_input() -> None:
    """A run that the server refuses as malformed is created with our mark alone, and that is said."""
    course = drive(opened(input={"x": 1}), known(), no(413), RUN)
    assert course.bodies[1] == {"metadata": {"mission_tracer": {"key": KEY}}}
    assert course.refused == ["taken without its input"]
    assert drive(opened(), known(), no(400), no(400)).end == "Park: the server refused the run: no 400"
    assert drive(opened(), known(), no(409), Answer(200, [ours()])).calls == ["create", "list", "update"]


def test_a_creation_on_which_the_server_fails_is_made_smaller_by_turns() -> None:
    """After many failures of the creation every other attempt is the smaller one."""
    sizes = ["input" in drive(opened(input={"x": 1}), known(), RUN, blamed=n).bodies[0] for n in range(8)]
    assert sizes == [True] * 7 + [False]


def test_a_lost_mission_is_found_anew() -> None:
    """A remembered mission that the server does not know is forgotten and found anew, but not for ever."""
    state = known()
    course = drive(opened(), state, no(404), None, NONE, CREATED, NONE, RUN)
    assert course.others[0] == Forget("M")
    assert (state.mission_losses, state.run_id) == (1, "r")
    assert drive(opened(), known(mission_losses=3), no(404)).end.startswith("Again: the server refused the run")
    assert drive(opened(mission_id="m"), known(), no(404)).end.startswith("Again: the server refused the run")


def test_a_mission_of_another_account_is_found_anew_once() -> None:
    """A mission in which the key may create nothing is found anew, once; one whose id was given is what was meant."""
    state = known()
    course = drive(opened(), state, no(403), None, NONE, CREATED, NONE, RUN)
    assert (course.others[0], state.run_id) == (Forget("M"), "r")
    creations = [call.doubtful for call in course.asked if call.operation == "missions.runs.create"]
    assert creations == [True, False]
    assert not drive(opened(mission_id="m"), known(), RUN).asked[0].doubtful


def test_a_late_opening_changes_no_status() -> None:
    """The first fact, when it is tried again after others, leaves the run's status as it is."""
    assert drive(opened(), bound(), late=True).calls == []


# ---- joining ----


def test_a_joined_run_is_found_and_never_created() -> None:
    """A run of another machine is looked for by its mission's name and its key; until it is there this one waits."""
    join = fact(facts.RunJoined, key=KEY, mission=facts.MissionSpec("M"))
    theirs = Answer(200, [mission("M", "m", "1")])
    assert drive(join, LaneState(), NONE).end == "NotYet: no mission 'M' yet"
    assert drive(join, LaneState(), theirs, NONE).end == f"NotYet: no run {KEY} yet"
    course = drive(join, LaneState(), theirs, Answer(200, [ours()]))
    assert course.others == [MissionFound("m"), RunBound("r")]
    given = fact(facts.RunJoined, key=KEY, mission=facts.MissionSpec("M", id="m"), run_id="r")
    assert drive(given, LaneState()).calls == []


# ---- pausing ----

PAUSED, RESUMED = fact(facts.RunPaused), fact(facts.RunResumed)


@pytest.mark.parametrize(("what", "operation", "wanted"), [(PAUSED, "pause", "paused"), (RESUMED, "resume", "running")])
def test_pausing_and_resuming(what: Any, operation: str, wanted: str) -> None:
    """A run is paused or resumed by one request; one that may have come, or is refused, is looked for."""
    intent = f"missions.runs.{operation}"
    course = drive(what, bound())
    assert (course.calls, course.asked[0].intent) == ([operation], intent)
    state = bound(intents={intent: 1.0})
    course = drive(what, state, status(wanted))
    assert (course.calls, course.others[0], state.intents) == (["retrieve"], Settle(intent), {})
    assert drive(what, bound(intents={intent: 1.0}), status("other")).calls == ["retrieve", operation]
    assert drive(what, bound(), no(409), status(wanted)).refused == []
    assert drive(what, bound(), no(409), status("other")).refused == ["no 409"]
    assert drive(what, bound(), late=True).calls == []


# ---- the end ----


def closed(status: str = "succeeded", **fields: Any) -> Any:
    return fact(facts.RunClosed, status=status, **fields)


def test_the_end_of_a_run_ends_its_steps_first() -> None:
    """Open steps end in their order, then the run, with all that is known of it."""
    state = bound(metadata={"before": 1})
    for name, number, where in (("b", 2, "in_progress"), ("a", 1, "pending"), ("c", 3, "completed")):
        state.steps[name] = StepState(where, number, declared=True)
    course = drive(closed("failed", summary="s", error="e", payload={"p": 1}, metadata={"now": 2}), state)
    assert [
        (call.path.get("step_id"), body["status"]) for call, body in zip(course.asked, course.bodies, strict=True)
    ] == [("a", "skipped"), ("b", "failed"), (None, "failed")]
    assert course.bodies[-1] == {
        "status": "failed",
        "result_summary": "s",
        "error": "e",
        "result_payload": {"p": 1},
        "metadata": {"before": 1, "now": 2},
    }


def test_a_run_ends_once() -> None:
    """The first end counts: a second one, and that of a run which somebody else ended, change nothing."""
    assert drive(closed(), bound(closed=True)).calls == []
    assert drive(closed(), bound(closed=True), late=True).calls == ["update"]
    assert drive(closed(recovered=True), bound(), status("cancelled")).calls == ["retrieve"]
    assert drive(closed(recovered=True), bound(), status("running")).calls == ["retrieve", "update"]


def test_the_end_waits_for_changes_that_may_come_late() -> None:
    """After a lost answer to a change its effect is awaited, and undone where it is wrong, before the run ends."""
    course = drive(closed(), bound(shaky=True), NONE)
    assert course.others == [Settle(CHANGES)]
    assert course.calls == ["plan.retrieve", "update"]


def test_a_refused_end_is_made_smaller() -> None:
    """An end that is refused is sent without payload and metadata, then as a status alone; that is said."""
    what = closed(summary="s", payload={"p": 1})
    course = drive(what, bound(), no(422))
    assert course.bodies[1] == {"status": "succeeded", "result_summary": "s"}
    assert course.refused == ["taken without its result or metadata: no 422"]
    course = drive(what, bound(), no(422), no(413))
    assert course.bodies[2] == {"status": "succeeded"}
    assert len(course.refused) == 1
    stubborn = drive(what, bound(), OK, no(500), failures=STUBBORN)
    assert [call.tolerant for call in stubborn.asked] == [False, True, True]


@pytest.mark.parametrize(
    ("now", "calls"),
    [
        ("succeeded", ["update", "retrieve"]),
        ("pending", ["update", "retrieve", "update", "update"]),
        ("paused", ["update", "retrieve", "resume", "update"]),
    ],
)
def test_a_run_ends_by_the_way_the_server_wants(now: str, calls: list[str]) -> None:
    """An end that is refused is made if it is so; else the run is set running, or resumed, and ended then."""
    course = drive(closed(), bound(), no(409), status(now))
    assert (course.calls, course.refused) == (calls, [])
    if now == "pending":
        assert course.bodies[2:] == [{"status": "running"}, {"status": "succeeded"}]


def test_a_cancelled_run_may_be_cancelled_by_its_own_request() -> None:
    """Where no update cancels a run, the request to cancel it does; any other refused end is refused for good."""
    course = drive(closed("cancelled"), bound(), no(409), status("running"))
    assert (course.calls, course.refused) == (["update", "retrieve", "cancel"], [])
    assert drive(closed("cancelled"), bound(), no(409), status("running"), no(404)).refused == ["no 409"]
    course = drive(closed(), bound(), no(409), status("running"))
    assert (course.calls, course.refused) == (["update", "retrieve"], ["no 409"])
