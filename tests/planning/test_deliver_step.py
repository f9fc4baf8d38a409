"""Which requests a plan and the changes of its steps become."""

from __future__ import annotations

from typing import Any

import pytest

from mission_tracer import facts
from mission_tracer._planning.actions import Answer, Settle
from mission_tracer._planning.deliver_step import end_step, straighten_steps
from mission_tracer._planning.lane_state import LaneState, StepState
from mission_tracer._planning.records import StepRefused, StepRenamed
from tests.flows import OK, bound, drive, fact, no


def plan(*names: str) -> Any:
    return fact(facts.PlanDeclared, steps=[facts.PlannedStep(name, f"about {name}") for name in names])


def enter(name: str, parent: str | None = None, attempt: int = 1, about: str | None = None) -> Any:
    return fact(facts.StepEntered, step_id=name, description=about or name, parent_step_id=parent, attempt=attempt)


def leave(name: str = "s", status: str = "completed", **fields: Any) -> Any:
    return fact(facts.StepLeft, step_id=name, status=status, **fields)


def declared(name: str = "s", status: str = "in_progress", **known: Any) -> LaneState:
    """Know a run with one step that the server has."""
    state = bound(sequence=1)
    state.steps[name] = StepState(status, 1, declared=True, **known)
    return state


def names(body: dict[str, Any]) -> list[str]:
    return [step["step_id"] for step in body["steps"]]


# ---- declaring ----


def test_steps_that_follow_are_declared_together() -> None:
    """One request declares a plan with all steps that are known to follow, each once, numbered in their order."""
    closed = fact(facts.RunClosed, status="succeeded")
    upcoming = [enter("b", about="told later"), plan("c"), enter("a"), closed, enter("d")]
    state = bound()
    course = drive(plan("a", "b"), state, upcoming=lambda: upcoming)
    assert course.calls == ["plan.create"]
    assert course.bodies[0]["steps"] == [
        {"step_id": name, "description": f"about {name}", "sequence": number} for number, name in enumerate("abc", 1)
    ]
    assert course.asked[0].intent == "declare_steps"
    assert drive(enter("b"), state).calls == ["plan.update_step", "events.log"]
    assert drive(plan("c"), state).calls == []
    later = drive(plan("d"), state)
    assert (later.calls, later.bodies[0]["steps"][0]["sequence"]) == (["plan.add_steps"], 4)


def test_a_child_is_declared_after_its_parent() -> None:
    """A step and its parent are never in one request, whatever the order they are met in."""
    upcoming = [enter("grandchild", "child"), enter("child", "parent"), enter("other")]
    course = drive(enter("parent"), bound(), upcoming=lambda: upcoming)
    assert [names(body) for body in course.bodies[:3]] == [["parent", "other"], ["child"], ["grandchild"]]
    assert course.bodies[1]["steps"][0]["parent_step_id"] == "parent"


def test_a_request_declares_at_most_a_hundred() -> None:
    """A long plan is declared in several requests, in its order."""
    many = [f"{number}" for number in range(250)]
    course = drive(plan(*many), bound())
    assert [len(body["steps"]) for body in course.bodies] == [100, 100, 50]
    assert [name for body in course.bodies for name in names(body)] == many


def test_a_lost_declaration_is_read_before_it_is_repeated() -> None:
    """What may be declared already is read from the server; only what it lacks is declared."""
    state = bound(intents={"declare_steps": 1.0})
    course = drive(plan("a", "b"), state, Answer(200, [{"step_id": "a", "sequence": 1}]))
    assert course.others[0] == Settle("declare_steps")
    assert course.calls == ["plan.retrieve", "plan.add_steps"]
    assert names(course.bodies[1]) == ["b"]
    none, state = Answer(200, []), bound(intents={"declare_steps": 1.0})
    assert drive(plan("a"), state, none, no(422), none).refused == ["step 'a': no 422"]
    assert state.intents == {}


def test_a_joined_run_reads_the_plan_first() -> None:
    """A run that another machine opened may have the steps already."""
    course = drive(plan("a"), bound(joined=True), Answer(200, [{"step_id": "a", "sequence": 0}]))
    assert course.calls == ["plan.retrieve"]


def test_a_refused_plan_costs_only_what_is_wrong_in_it() -> None:
    """Of steps that are refused together each is declared by itself; the run goes on without the bad ones."""
    none = Answer(200, [])
    state = bound()
    course = drive(plan("good", "bad"), state, no(422), none, OK, no(422), none)
    assert [names(body) for body in course.bodies if body] == [["good", "bad"], ["good"], ["bad"]]
    assert StepRefused("bad") in course.others
    assert course.refused == ["step 'bad': no 422"]
    assert (state.step("good").declared, state.step("bad").refused) == (True, True)


def test_a_plan_that_is_not_what_it_seemed_is_gone_on_from() -> None:
    """A refused declaration of steps that the server has is none."""
    there = Answer(200, [{"step_id": "a", "sequence": 3}])
    course = drive(plan("a"), bound(), no(409), there)
    assert (course.calls, course.refused) == (["plan.create", "plan.retrieve"], [])


def test_steps_without_a_plan_make_one() -> None:
    """Where steps cannot be added because there is no plan, it is created."""
    course = drive(plan("a"), bound(joined=True), no(404), OK, no(404), OK, no(404), OK)
    assert course.calls[-1] == "plan.create"
    assert course.refused == []


def test_a_step_is_declared_without_what_the_server_may_not_like() -> None:
    """A refused step is declared once more with its name and the beginning of its description alone."""
    long = facts.PlannedStep("a", "x" * 300, parent_step_id="p", metadata={"k": 1})
    state = bound()
    state.steps["p"] = StepState(declared=True)
    course = drive(fact(facts.PlanDeclared, steps=[long]), state, no(400), Answer(200, []))
    assert course.bodies[-1] == {"steps": [{"step_id": "a", "description": "x" * 200, "sequence": 1}]}
    assert course.refused == []


# ---- entering and leaving ----


def test_entering_a_step_is_a_change_and_an_event() -> None:
    """A step that begins is declared, in progress, and told; its attempt is told from the second on."""
    course = drive(enter("s", about="Calls"), bound())
    assert course.calls == ["plan.create", "plan.update_step", "events.log"]
    assert course.bodies[1] == {"status": "in_progress"}
    told = course.bodies[2]
    assert (told["type"], told["summary"], told["step_id"]) == ("step_started", "Started s: Calls", "s")
    course = drive(enter("s", attempt=2), declared())
    assert course.bodies[0] == {"status": "in_progress", "metadata": {"attempt": 2}}
    assert course.bodies[1]["summary"] == "Started s (attempt 2)"


def test_leaving_a_step_sends_all_that_is_known_of_it() -> None:
    """A step's end carries its whole metadata, since nobody says whether that is merged, and its times."""
    state = declared(metadata={"before": 1})
    course = drive(
        leave(status="failed", metadata={"now": 2}, reason="why", duration_ms=5, error={"message": "boom"}), state
    )
    body, told = course.bodies
    assert (body["status"], body["metadata"]["before"], body["metadata"]["now"]) == ("failed", 1, 2)
    assert body["metadata"]["reason"] == "why"
    assert body["metadata"]["mission_tracer"]["duration_ms"] == 5
    assert (told["type"], told["summary"], told["payload"]["error"]["message"]) == (
        "step_failed",
        "Failed s: why",
        "boom",
    )


@pytest.mark.parametrize(
    ("status", "known", "calls"),
    [
        ("completed", "completed", ["plan.update_step", "plan.step"]),
        ("completed", "pending", ["plan.update_step", "plan.step", "plan.update_step", "plan.update_step"]),
        ("in_progress", "pending", ["plan.update_step", "plan.step", "plan.update_step"]),
    ],
)
def test_a_refused_change_goes_the_way_the_server_wants(status: str, known: str, calls: list[str]) -> None:
    """A change that is refused is done if it is so; else the step begins first, and the change is sent once more."""
    what = enter("s") if status == "in_progress" else leave()
    course = drive(what, declared(), no(409), Answer(200, {"status": known}))
    assert course.calls == [*calls, "events.log"]
    assert course.refused == []
    if len(calls) == 4:
        assert course.bodies[0]["metadata"]
        assert course.bodies[2:4] == [{"status": "in_progress"}, course.bodies[0]]


def test_what_the_server_may_not_like_is_left_out_last() -> None:
    """A change that is refused once more goes without its metadata."""
    course = drive(leave(), declared(), no(409), Answer(200, {"status": "failed"}), OK, no(422), OK)
    assert (course.bodies[4], course.refused) == ({"status": "completed"}, [])


def test_a_change_that_is_refused_for_good_is_said() -> None:
    """A change that the server refuses whatever is tried is refused in its words; the event is logged all the same."""
    course = drive(leave(), declared(), no(422), Answer(200, {"status": "pending"}), no(422), no(422), no(422))
    assert course.refused == ["step 's': no 422"]
    assert course.calls[-1] == "events.log"


def test_a_step_that_is_gone_is_declared_again() -> None:
    """A step that the server does not know, of a run that it knows, is declared once more and brought to its status."""
    course = drive(leave(), declared(), no(404), OK, no(404))
    assert course.calls[:5] == ["plan.update_step", "retrieve", "plan.step", "plan.add_steps", "plan.update_step"]
    assert course.refused == []


def test_a_refused_step_is_told_of_all_the_same() -> None:
    """Of a step that the server refused no change is sent; its event names it in the payload."""
    state = bound()
    state.steps["s"] = StepState("in_progress", refused=True)
    course = drive(leave(), state)
    assert course.calls == ["events.log"]
    assert "step_id" not in course.bodies[0]
    assert course.bodies[0]["payload"]["step_id"] == "s"


def test_a_refused_step_is_not_declared_again() -> None:
    """A step that the server refused stays so, however often it is planned or entered, until that is asked for."""
    state = bound()
    state.steps["s"] = StepState("pending", refused=True)
    assert drive(plan("s"), state).calls == []
    assert drive(enter("s"), state).calls == ["events.log"]


def test_a_late_change_undoes_nothing() -> None:
    """A change that is sent after later ones is told, and made only where the step is still so."""
    assert drive(enter("s"), declared(status="completed"), late=True).calls == ["events.log"]
    assert drive(leave(), declared(status="failed"), late=True).calls == ["events.log"]
    assert drive(leave(), declared(status="completed"), late=True).calls == ["plan.update_step", "events.log"]


def test_a_refused_step_that_is_retried_comes_to_where_it_is_by_now() -> None:
    """A step whose fact is sent again is declared, and gets the status, or the end, that it has by then."""
    for status, closed, last in (
        ("completed", False, "completed"),
        ("pending", False, None),
        ("pending", True, "skipped"),
        ("in_progress", True, "failed"),
    ):
        state = bound(closed=closed)
        state.steps["s"] = StepState(status, refused=True)
        course = drive(plan("s"), state, late=True)
        statuses = [body["status"] for body in course.bodies[1:]]
        assert course.calls[0] == "plan.create"
        assert statuses[-1:] == ([last] if last else [])


# ---- again ----


def test_a_step_begins_again_where_the_server_lets_it() -> None:
    """A further attempt of an ended step sets it in progress, with all its metadata."""
    course = drive(enter("s", attempt=2), declared(status="failed", metadata={"a": 1}))
    assert course.bodies[0] == {"status": "in_progress", "metadata": {"a": 1, "attempt": 2}}
    assert course.calls == ["plan.update_step", "events.log"]


def test_else_its_attempt_is_a_step_of_its_own() -> None:
    """Where an ended step cannot begin again, its attempt gets a step of its own, to which later changes go."""
    state = declared(status="failed")
    course = drive(enter("s", attempt=2), state, no(409), Answer(200, {"status": "failed"}))
    assert course.calls == ["plan.update_step", "plan.step", "plan.add_steps", "plan.update_step", "events.log"]
    assert StepRenamed("s", "s-attempt-2") in course.others
    assert [call.path.get("step_id") for call in course.asked] == ["s", "s", None, "s-attempt-2", None]
    assert course.bodies[-1]["step_id"] == "s"
    state.step("s").status = "failed"
    third = drive(enter("s", attempt=3), state)
    assert third.others[-1] == StepRenamed("s", "s-attempt-3")
    assert "plan.step" not in third.calls


# ---- the end ----


@pytest.mark.parametrize(
    ("status", "is_declared", "sent"),
    [
        ("in_progress", True, "failed"),
        ("pending", True, "skipped"),
        ("pending", False, None),
        ("completed", True, None),
        ("unknown", True, None),
    ],
)
def test_the_end_of_the_run_ends_its_steps(status: str, is_declared: bool, sent: str | None) -> None:
    """With its run an open step fails, one that was never reached is skipped, and others stay as they are."""
    step = StepState(status, 1, declared=is_declared)
    course = drive("s", bound(), flow=lambda name, at: end_step(at, name, step))
    assert [body["status"] for body in course.bodies] == ([sent] if sent else [])
    assert all(body["metadata"]["reason"] for body in course.bodies)


def test_what_a_late_change_undid_is_put_right() -> None:
    """Steps that ended and that the server holds otherwise are set to their ends; no others."""
    state = bound()
    for name, status in (("a", "completed"), ("b", "failed"), ("c", "in_progress"), ("d", "completed")):
        state.steps[name] = StepState(status, declared=True)
    state.step("d").sent_as = "d-attempt-2"
    held = {"a": "in_progress", "b": "failed", "c": "pending", "d": "failed", "d-attempt-2": "in_progress"}
    answer = Answer(200, [{"step_id": name, "status": status} for name, status in held.items()])
    course = drive(None, state, answer, flow=lambda _, at: straighten_steps(at))
    changed = [(call.path["step_id"], call.body["status"]) for call in course.asked[1:]]
    assert changed == [("a", "completed"), ("d-attempt-2", "completed")]


def test_what_a_late_change_overwrote_is_put_right() -> None:
    """A step that has its status, but not all that is known of it, is told that again; where nothing is held, not."""
    state = bound()
    for name in ("a", "b", "c", "d"):
        state.steps[name] = StepState("completed", declared=True, metadata={"left": 2})
    held: dict[str, Any] = {"a": {"left": 1, "more": 0}, "b": {"left": 2, "more": 0}, "c": None, "d": {"left": 1}}
    answer = Answer(200, [{"step_id": name, "status": "completed", "metadata": held[name]} for name in held])
    answer.data[3]["status"] = "failed"
    course = drive(None, state, answer, flow=lambda _, at: straighten_steps(at))
    assert [(call.path["step_id"], call.body) for call in course.asked[1:]] == [
        ("a", {"metadata": {"left": 2}}),
        ("d", {"status": "completed", "metadata": {"left": 2}}),
    ]
