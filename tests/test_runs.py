"""The handle on a run."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

import mission_tracer as mt
from mission_tracer import facts

Journal = Callable[[], list[facts.Fact]]


def closing(found: list[facts.Fact]) -> facts.RunClosed:
    last = found[-1]
    assert isinstance(last, facts.RunClosed)
    return last


def test_the_key_is_known_at_once_and_the_ids_later(api: Any) -> None:
    """A run has its key before anything is sent; `wait_bound` blocks until Telnyx's ids are known."""
    with mt.mission_run("m") as run:
        assert run.key
        assert run.wait_bound(20)
        assert run.run_id == api.only_run()["run"].run_id
        assert run.mission_id
    assert mt.flush(20)
    assert run.run_id is not None


def test_await_bound_does_not_block_the_loop(api: Any) -> None:
    """`await_bound` lets other tasks run while it waits."""

    async def main() -> tuple[bool, int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticker = asyncio.create_task(tick())
        async with mt.mission_run("m") as run:
            bound = await run.await_bound(20)
        ticker.cancel()
        return bound, ticks

    bound, ticks = asyncio.run(main())
    assert bound
    assert ticks > 1


def test_offline_nobody_waits_for_ids() -> None:
    """Without a key `wait_bound` answers at once that the ids are not known."""
    started = time.monotonic()
    with mt.mission_run("m") as run:
        assert not run.wait_bound()
        assert run.run_id is None
    assert time.monotonic() - started < 5


def test_a_plan_is_one_fact_and_known_steps_are_left_alone(journal: Journal) -> None:
    """Steps declared in one call are one fact; a step declared twice is declared once."""
    with mt.mission_run("m") as run:
        run.plan("a", ("b", "Bee"), {"step_id": "c", "description": "Sea", "metadata": {"n": 1}})
        run.plan("a")
    declared = [f.steps for f in journal() if isinstance(f, facts.PlanDeclared)]
    assert declared == [
        [facts.PlannedStep("a", "a"), facts.PlannedStep("b", "Bee"), facts.PlannedStep("c", "Sea", None, {"n": 1})]
    ]


def test_bad_plans_never_reach_the_program(journal: Journal) -> None:
    """A wrong plan is said, not raised; strict, it is raised."""
    mt.configure(log_level="off")
    with mt.mission_run("m") as run:
        run.plan(3)  # type: ignore[arg-type]
    assert not any(isinstance(f, facts.PlanDeclared) for f in journal())
    mt.configure(strict=True)
    with mt.mission_run("m") as run, pytest.raises(TypeError, match="a step of the plan"):
        run.plan(3)  # type: ignore[arg-type]


def test_one_bad_step_does_not_cost_the_others(journal: Journal) -> None:
    """What can be declared of a plan is declared, whatever stands beside it."""
    mt.configure(log_level="off")
    with mt.mission_run("m") as run:
        run.plan("a", 3, ("b", "Bee"), "")  # type: ignore[arg-type]
    [declared] = [f.steps for f in journal() if isinstance(f, facts.PlanDeclared)]
    assert [step.step_id for step in declared] == ["a", "b"]


def test_agents_pauses_and_resumes_arrive(api: Any) -> None:
    """Linking agents, pausing and resuming reach the server."""
    with mt.mission_run("m") as run:
        run.add_agent("assistant-1")
        run.add_agent("assistant-2")
        run.remove_agent("assistant-1")
        run.pause()
        assert mt.flush(20)
        assert api.only_run()["run"].status == "paused"
        run.resume()
    assert mt.flush(20)
    found = api.only_run()["run"]
    assert found.status == "succeeded"
    agents = api.client.missions.runs.telnyx_agents.list(found.run_id, mission_id=found.mission_id)
    assert [agent.telnyx_agent_id for agent in agents] == ["assistant-2"]


def test_what_is_said_by_hand_is_how_the_run_ends(journal: Journal) -> None:
    """`succeed`, `fail` and `cancel` decide the end of a run that raises nothing."""
    with mt.mission_run("m") as run:
        run.succeed("well done", {"n": 1})
    assert (closing(journal()).status, closing(journal()).summary) == ("succeeded", "well done")
    with mt.mission_run("m") as run:
        run.fail("no answer")
    assert (closing(journal()).status, closing(journal()).error) == ("failed", "no answer")
    with mt.mission_run("m") as run:
        run.cancel()
    assert closing(journal()).status == "cancelled"


def test_an_exception_said_by_hand_is_logged_once(journal: Journal) -> None:
    """`fail` with an exception logs it with its traceback, and not again when it is raised as well."""
    for raised in (False, True):
        with contextlib.suppress(OSError), mt.mission_run("m") as run:
            try:
                raise OSError("gone")
            except OSError as error:
                run.fail(error)
                if raised:
                    raise
        found = journal()
        assert (closing(found).status, closing(found).error) == ("failed", "OSError: gone")
        [event] = [f for f in found if isinstance(f, facts.Event) and f.id.startswith(found[-1].id.split(".")[0])]
        assert json.loads(bytes(event.body))["payload"]["error"]["traceback"].endswith("OSError: gone")


def test_an_exception_outweighs_success_said_by_hand(journal: Journal) -> None:
    """A run that raises after `succeed` is failed."""
    with pytest.raises(OSError, match="gone"), mt.mission_run("m") as run:  # noqa: PT012 - the block is what raises
        run.succeed()
        raise OSError("gone")
    assert (closing(journal()).status, closing(journal()).error) == ("failed", "OSError: gone")


@pytest.mark.parametrize(
    ("result", "payload", "summary"),
    [
        ({"a": 1}, {"a": 1}, "a: 1"),
        ("done", {"result": "done"}, "done"),
        ([1, 2], {"result": [1, 2]}, "2 items: 1, 2"),
    ],
)
def test_a_result_is_payload_and_summary(result: Any, payload: Any, summary: str, journal: Journal) -> None:
    """What the function returns becomes the run's payload, as an object, and a readable summary."""
    mt.mission_run("m")(lambda: result)()
    assert (closing(journal()).payload, closing(journal()).summary) == (payload, summary)


def test_no_result_has_a_summary_all_the_same(journal: Journal) -> None:
    """A run that returns nothing says how long it took."""
    mt.mission_run("m")(lambda: None)()
    end = closing(journal())
    assert end.payload is None
    assert end.summary is not None
    assert end.summary.startswith("finished in")


def test_capture_off_keeps_no_values(journal: Journal) -> None:
    """With `capture="off"` neither arguments nor results are kept; what is logged by hand is."""
    mt.configure(capture="off")

    @mt.tool_call
    def tool(word: str) -> str:
        return word

    @mt.mission_run("m")
    def agent(word: str) -> str:
        mt.log_event("kept by hand", payload={"word": "by hand"})
        return tool(word)

    agent("sesame")
    text = b"".join(facts.encode(fact) for fact in journal())
    assert b"sesame" not in text
    assert b"by hand" in text


def test_events_of_a_closed_run_still_arrive(api: Any) -> None:
    """An event that comes after its run ended, from a thread perhaps, is delivered too."""
    with mt.mission_run("m") as run:
        pass
    assert mt.flush(20)
    run.log_event("late")
    assert mt.flush(20)
    assert [event.summary for event in api.only_run()["events"]] == ["late"]


def test_a_key_of_the_users_own_is_kept(api: Any) -> None:
    """An event with the user's idempotency key takes effect once."""
    with mt.mission_run("m") as run:
        for _ in range(3):
            run.log_event("charged", idempotency_key="charge-1")
    assert mt.flush(20)
    assert [event.idempotency_key for event in api.only_run()["events"]] == ["charge-1"]


def test_flushing_a_run_waits_for_that_run(api: Any) -> None:
    """`run.flush` says whether that run is delivered."""
    with mt.mission_run("m") as run:
        run.log_event("x")
        assert run.flush(20)
        assert len(api.only_run()["events"]) == 1


def test_what_comes_after_the_end_is_said_and_left_out(journal: Journal, capfd: pytest.CaptureFixture[str]) -> None:
    """A plan, a pause or an outcome of a run that has ended would never count: it is not recorded, and that is said."""
    with mt.mission_run("m") as run:
        pass
    recorded = journal()
    run.plan("late")
    run.pause()
    run.resume()
    run.succeed("late")
    assert journal() == recorded
    said = capfd.readouterr().err
    assert all(
        f"{what} of a run that has ended is not recorded" in said for what in ("a plan", "a pause", "an outcome")
    )


def test_only_who_opened_a_run_says_how_it_ends(journal: Journal, capfd: pytest.CaptureFixture[str]) -> None:
    """A process that takes part in a run cannot end it, which it is told when it tries; its error is logged."""
    with mt.continue_run({"mission-run": "key=abc"}) as run:
        assert run is not None
        run.fail(ValueError("x"))
    [event] = [f for f in journal() if isinstance(f, facts.Event)]
    assert json.loads(bytes(event.body))["type"] == "error"
    assert "how a run ends is up to the process that opened it" in capfd.readouterr().err


def test_a_wrong_timeout_waits_for_nothing(journal: Journal) -> None:
    """`flush` and `wait_bound` raise nothing, whatever they are given."""
    with mt.mission_run("m") as run:
        assert run.flush("5") in {True, False}  # type: ignore[arg-type]
        assert not run.wait_bound("5")  # type: ignore[arg-type]
