"""Plans: created once, added to, their steps moved from status to status."""

from urllib.parse import quote

import pytest

from tests import contract

from .driver import api, data, faults, new_run, refused, steps

TO_STATUS = {
    "pending": [],
    "in_progress": ["in_progress"],
    "completed": ["in_progress", "completed"],
    "failed": ["in_progress", "failed"],
    "skipped": ["skipped"],
}
FINISHED = {"completed", "failed", "skipped"}
FOLLOWS = {"pending": {"in_progress", *FINISHED}, "in_progress": FINISHED, "failed": {"in_progress"}}


def step_in(client, status):
    """Create a plan of one step and bring it to a status; return the step's path."""
    run = new_run(client)
    data(client.post(f"{run}/plan", json=steps("a")), 201)
    where = f"{run}/plan/steps/a"
    for word in TO_STATUS[status]:
        data(client.patch(where, json={"status": word}))
    return where


def test_create_gives_pending_steps():
    """Creating a plan answers 201 with the steps as sent, pending, without times."""
    with api() as client:
        run = new_run(client)
        sent = contract.sample("CreatePlanStepRequest")
        (step,) = data(client.post(f"{run}/plan", json={"steps": [sent]}), 201)
        assert step == {**sent, "run_id": run.rpartition("/")[2], "status": "pending"}
        assert data(client.get(f"{run}/plan")) == [step]
        assert data(client.get(f"{run}/plan/steps/{sent['step_id']}")) == step


def test_the_plan_is_in_the_order_of_sequence():
    """A plan is listed by `sequence`, then by creation, whatever the order of sending and the size of the numbers."""
    with api() as client:
        run = new_run(client)
        numbers = {"late": 10**30, "a": 1, "zero": 0, "b": 1, "early": -(10**30)}
        body = {"steps": [{"step_id": name, "description": "", "sequence": n} for name, n in numbers.items()]}
        created = data(client.post(f"{run}/plan", json=body), 201)
        assert [step["step_id"] for step in created] == list(numbers)
        plan = data(client.get(f"{run}/plan"))
        assert [step["step_id"] for step in plan] == ["early", "zero", "a", "b", "late"]
        assert plan[-1]["sequence"] == 10**30


def test_add_steps_answers_with_the_new_ones():
    """Adding steps answers 201 with those alone; the plan has all."""
    with api() as client:
        run = new_run(client)
        data(client.post(f"{run}/plan", json=steps("a")), 201)
        added = data(client.post(f"{run}/plan/steps", json=steps("b", "c", parent_step_id="a")), 201)
        assert [step["step_id"] for step in added] == ["b", "c"]
        assert {step["step_id"] for step in data(client.get(f"{run}/plan"))} == {"a", "b", "c"}
        assert data(client.get(f"{run}/plan/steps/c"))["parent_step_id"] == "a"


def test_an_empty_plan_is_a_plan():
    """A plan may be empty; it exists all the same, so that a second one conflicts."""
    with api() as client:
        run = new_run(client)
        assert data(client.post(f"{run}/plan", json={"steps": []}), 201) == []
        assert refused(client.post(f"{run}/plan", json=steps("a")), 409)


def test_create_names_every_fault():
    """A wrong step is answered 422 with its place in the list; nothing of the request is stored."""
    with api() as client:
        run = new_run(client)
        good = steps("a")["steps"][0]
        body = {"steps": [good, {"step_id": 1, "sequence": "1", "parent_step_id": None}, 5]}
        assert faults(client.post(f"{run}/plan", json=body)) == [
            ("body.steps.1.step_id", "string_type"),
            ("body.steps.1.description", "missing"),
            ("body.steps.1.sequence", "int_type"),
            ("body.steps.1.parent_step_id", "string_type"),
            ("body.steps.2", "model_attributes_type"),
        ]
        assert faults(client.post(f"{run}/plan", json={})) == [("body.steps", "missing")]
        assert faults(client.post(f"{run}/plan", json={"steps": {}})) == [("body.steps", "list_type")]
        assert faults(client.post(f"{run}/plan", json=steps(""))) == [("body.steps.0.step_id", "string_too_short")]
        for number in (1.5, True):
            body = {"steps": [{**good, "sequence": number}]}
            assert faults(client.post(f"{run}/plan", json=body)) == [("body.steps.0.sequence", "int_type")]
        assert data(client.get(f"{run}/plan")) == []


def test_a_refused_request_leaves_nothing_behind():
    """A request refused at its second step has not stored its first."""
    with api() as client:
        run = new_run(client)
        data(client.post(f"{run}/plan", json=steps("a")), 201)
        assert "'a'" in refused(client.post(f"{run}/plan/steps", json=steps("b", "a")), 409)
        assert [step["step_id"] for step in data(client.get(f"{run}/plan"))] == ["a"]


@pytest.mark.parametrize("name", ["a/b", "a b", "ü🙂", "..%2f", "a?b#c", "%", "{}", "steps", "0" * 2000])
def test_a_step_id_may_be_any_text(name):
    """A step is found under its percent-encoded id, whatever characters it has."""
    with api() as client:
        run = new_run(client)
        data(client.post(f"{run}/plan", json=steps(name)), 201)
        where = f"{run}/plan/steps/{quote(name, safe='')}"
        assert data(client.get(where))["step_id"] == name
        assert data(client.patch(where, json={"status": "skipped"}))["status"] == "skipped"


def test_an_unknown_step_is_404():
    """Reading or updating a step that the plan does not have is 404."""
    with api() as client:
        run = new_run(client)
        assert "'x'" in refused(client.get(f"{run}/plan/steps/x"), 404)
        assert "'x'" in refused(client.patch(f"{run}/plan/steps/x", json={"status": "completed"}), 404)
        assert refused(client.get(f"{run}/plan/steps/"), 404)


@pytest.mark.parametrize("new", TO_STATUS)
@pytest.mark.parametrize("old", TO_STATUS)
def test_patch_allows_what_follows_and_refuses_the_rest(old, new):
    """A status follows another as documented, a failed step may be tried again; anything else is 409."""
    with api() as client:
        where = step_in(client, old)
        before = data(client.get(where))
        answer = client.patch(where, json={"status": new})
        if new == old:
            assert data(answer) == before
        elif new in FOLLOWS.get(old, ()):
            assert data(answer)["status"] == new
        else:
            assert new in refused(answer, 409)
            assert answer.headers["x-should-retry"] == "false"
            assert data(client.get(where)) == before


def test_the_server_keeps_the_times():
    """The first `in_progress` sets `started_at`, a final status `completed_at`, a retry takes the latter away."""
    with api() as client:
        where = step_in(client, "pending")
        running = data(client.patch(where, json={"status": "in_progress"}))
        assert "completed_at" not in running
        failed = data(client.patch(where, json={"status": "failed"}))
        assert failed["started_at"] == running["started_at"] < failed["completed_at"]
        again = data(client.patch(where, json={"status": "in_progress"}))
        assert again["started_at"] == running["started_at"]
        assert "completed_at" not in again


@pytest.mark.parametrize(("status", "started"), [("completed", True), ("failed", True), ("skipped", False)])
def test_a_step_finished_at_once_started_then_unless_skipped(status, started):
    """A step that goes from pending to its end has both times the same; a skipped one never started."""
    with api() as client:
        step = data(client.patch(step_in(client, "pending"), json={"status": status}))
        assert step["completed_at"]
        assert (step.get("started_at") == step["completed_at"]) is started


def test_patch_merges_metadata_and_takes_an_empty_object():
    """PATCH merges the metadata's keys; an empty object changes nothing."""
    with api() as client:
        where = step_in(client, "pending")
        data(client.patch(where, json={"metadata": {"a": 1}}))
        data(client.patch(where, json={"metadata": {"b": 2}}))
        assert data(client.patch(where, json={}))["metadata"] == {"a": 1, "b": 2}
