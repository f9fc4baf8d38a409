"""The three names an agent's author writes."""

from __future__ import annotations

import asyncio
import contextvars
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import mission_tracer as mt
from mission_tracer import facts, log_event, mission_run, plan_step, tool_call

Journal = Callable[[], list[facts.Fact]]


def kinds(found: list[facts.Fact]) -> list[str]:
    return [str(type(fact).__struct_config__.tag) for fact in found]


@tool_call
def web_search(query: str) -> list[str]:
    return [f"{query} 1", f"{query} 2"]


@plan_step("research", description="Find contractors online")
def research(city: str) -> list[str]:
    hits = web_search(f"window washers in {city}")
    log_event(f"Found {len(hits)} contractors", payload={"hits": hits})
    return hits


@mission_run("Find window washers", plan=["research", "calls", "analyze"])
def agent(city: str) -> dict[str, Any]:
    hits = research(city)
    with plan_step("calls") as step:
        step.metadata(called=len(hits))
    return {"best": "ABC Cleaning", "quote": 350}


def test_a_decorated_agent_arrives_whole(api: Any) -> None:
    """Running a decorated agent puts its mission, run, plan, steps and events on the server, in order."""
    assert agent("Chicago") == {"best": "ABC Cleaning", "quote": 350}
    assert mt.flush(20)
    found = api.only_run()
    run = found["run"]
    assert (run.status, run.input, run.result_payload, run.error) == (
        "succeeded",
        {"city": "Chicago"},
        {"best": "ABC Cleaning", "quote": 350},
        None,
    )
    assert run.result_summary == "best: ABC Cleaning, quote: 350"
    assert run.metadata["mission_tracer"]["key"]
    assert [(s.step_id, s.status, s.sequence) for s in found["steps"]] == [
        ("research", "completed", 1),
        ("calls", "completed", 2),
        ("analyze", "skipped", 3),
    ]
    assert found["steps"][0].description == "Find contractors online"
    assert found["steps"][1].metadata["called"] == 2
    assert all(s.started_at and s.completed_at for s in found["steps"][:2])
    assert [(e.type, e.step_id) for e in found["events"]] == [
        ("step_started", "research"),
        ("tool_call", "research"),
        ("tool_result", "research"),
        ("custom", "research"),
        ("step_completed", "research"),
        ("step_started", "calls"),
        ("step_completed", "calls"),
    ]
    call, result = found["events"][1:3]
    assert call.payload["arguments"] == {"query": "window washers in Chicago"}
    assert result.payload["call_id"] == call.payload["call_id"]
    assert mt.stats().recorded == mt.stats().delivered > 0


def test_a_raising_agent_fails_its_run(api: Any) -> None:
    """An exception reaches the caller unchanged; its step and its run fail, with one error event and the traceback."""
    error = ValueError("no line is free")

    @mission_run("Call")
    def broken() -> None:
        with plan_step("dial"):
            raise error

    with pytest.raises(ValueError, match="no line is free") as caught:
        broken()
    assert caught.value is error
    assert mt.flush(20)
    found = api.only_run()
    assert (found["run"].status, found["run"].error) == ("failed", "ValueError: no line is free")
    assert [s.status for s in found["steps"]] == ["failed"]
    assert [e.type for e in found["events"]] == ["step_started", "step_failed", "error"]
    assert "raise error" in found["events"][-1].payload["error"]["traceback"]


def test_an_error_of_a_tool_is_logged_once(journal: Journal) -> None:
    """An exception that passes from a tool through its step and run is one `error` event."""

    @tool_call
    def lookup() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError), mission_run("m"), plan_step("s"):
        lookup()
    errors = [f for f in journal() if isinstance(f, facts.Event) and b'"type":"error"' in bytes(f.body)]
    assert len(errors) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt(), asyncio.CancelledError()])
def test_interruption_cancels_the_run(error: BaseException, journal: Journal) -> None:
    """Ctrl-C and cancellation make the run cancelled, not failed."""
    with pytest.raises(type(error)), mission_run("m"):
        raise error
    assert journal()[-1].status == "cancelled"  # type: ignore[union-attr]


@pytest.mark.parametrize(("code", "status"), [(None, "succeeded"), (0, "succeeded"), (3, "failed"), ("bye", "failed")])
def test_leaving_the_program_says_how_the_run_ended(code: Any, status: str, journal: Journal) -> None:
    """`sys.exit()` inside a run succeeds with code 0 and fails with any other, as do the steps it passes through."""
    with pytest.raises(SystemExit), mission_run("m"), plan_step("s"), tool_call("t"):
        raise SystemExit(code)
    found = journal()
    [left] = [fact for fact in found if isinstance(fact, facts.StepLeft)]
    assert (found[-1].status, left.status == "completed") == (status, status == "succeeded")  # type: ignore[union-attr]
    types = [json.loads(bytes(fact.body))["type"] for fact in found if isinstance(fact, facts.Event)]
    assert types == ["tool_call", "tool_result" if status == "succeeded" else "error"]


def test_coroutines_are_recorded_in_their_own_task(journal: Journal) -> None:
    """Decorated coroutines run in the caller's task, and parallel ones keep their own steps."""

    @plan_step
    async def dial(number: int) -> str:
        await asyncio.sleep(0)
        log_event(f"dialled {number}")
        step = mt.current_step()
        assert step is not None
        return step.id

    @mission_run("Calls")
    async def calls() -> list[str]:
        return list(await asyncio.gather(*(dial(n) for n in range(3))))

    assert asyncio.run(calls()) == ["dial", "dial-2", "dial-3"]
    events = [facts_of.body for facts_of in journal() if isinstance(facts_of, facts.Event)]
    linked = {
        (b'"step_id":"dial"' in bytes(b), b'"step_id":"dial-2"' in bytes(b), b'"step_id":"dial-3"' in bytes(b))
        for b in events
    }
    assert len(linked) == 3


def test_blocks_work_with_async_with(journal: Journal) -> None:
    """`async with` opens and closes as `with` does."""

    async def main() -> None:
        async with mission_run("m", input={"a": 1}) as run:
            async with plan_step("s"):
                log_event("hello")
            run.succeed("fine", {"n": 1})

    asyncio.run(main())
    assert kinds(journal()) == ["run_opened", "step_entered", "event", "step_left", "run_closed"]
    closed = journal()[-1]
    assert isinstance(closed, facts.RunClosed)
    assert (closed.status, closed.summary, closed.payload) == ("succeeded", "fine", {"n": 1})


def test_a_loop_of_one_step_makes_many(journal: Journal) -> None:
    """Entering a completed step again makes a further one: name, name-2, name-3."""
    with mission_run("m"):
        for _ in range(3):
            with plan_step("calls"):
                pass
    entered = [f.step_id for f in journal() if isinstance(f, facts.StepEntered)]
    assert entered == ["calls", "calls-2", "calls-3"]


def test_a_failed_step_is_retried_as_another_attempt(journal: Journal) -> None:
    """Entering a failed step again reopens it with its attempt counted."""
    with mission_run("m"):
        for attempt in (1, 2):
            try:
                with plan_step("dial"):
                    if attempt == 1:
                        raise OSError("busy")
            except OSError:
                pass
    entered = [(f.step_id, f.attempt) for f in journal() if isinstance(f, facts.StepEntered)]
    assert entered == [("dial", 1), ("dial", 2)]


def test_a_failure_that_was_overcome_is_told_by_its_step(api: Any) -> None:
    """An exception that never reaches the run is in its step's `step_failed` event, with its traceback."""
    with mission_run("m"):
        with pytest.raises(OSError, match="busy"), plan_step("dial"):
            raise OSError("busy")
        with plan_step("dial"):
            pass
    assert mt.flush(20)
    found = api.only_run()
    assert (found["run"].status, [s.status for s in found["steps"]]) == ("succeeded", ["completed"])
    assert [e.type for e in found["events"]] == ["step_started", "step_failed", "step_started", "step_completed"]
    told = found["events"][1].payload["error"]
    assert (told["type"], told["message"]) == ("OSError", "busy")
    assert 'raise OSError("busy")' in told["traceback"]


def test_repeat_overrides_what_entering_again_means(journal: Journal) -> None:
    """`repeat="reopen"` makes another attempt of a completed step, `repeat="new"` a new step of a failed one."""
    with mission_run("m"):
        for _ in range(2):
            with plan_step("again", repeat="reopen"):
                pass
        for _ in range(2):
            with pytest.raises(OSError), plan_step("fresh", repeat="new"):  # noqa: PT011 - any will do
                raise OSError
    entered = [(f.step_id, f.attempt) for f in journal() if isinstance(f, facts.StepEntered)]
    assert entered == [("again", 1), ("again", 2), ("fresh", 1), ("fresh-2", 1)]


def test_a_block_that_ends_elsewhere_ends_what_it_began_last(journal: Journal) -> None:
    """A block that is left in another context than it was entered in ends its last step first."""
    with mission_run("m"):
        block = plan_step("s")
        for _ in range(2):
            contextvars.copy_context().run(block.__enter__)
        for _ in range(2):
            block.__exit__(None, None, None)
    assert [f.step_id for f in journal() if isinstance(f, facts.StepLeft)] == ["s-2", "s"]


def test_nested_steps_name_their_parent(journal: Journal) -> None:
    """A step inside a step says whose part it is."""
    with mission_run("m"), plan_step("outer") as outer, plan_step("inner") as inner:
        assert inner.parent is outer
    entered = [(f.step_id, f.parent_step_id) for f in journal() if isinstance(f, facts.StepEntered)]
    assert entered == [("outer", None), ("inner", "outer")]


def test_a_run_inside_a_run_is_its_own(journal: Journal) -> None:
    """A run inside a run has its own journal; each names the other."""
    with mission_run("outer") as outer:
        with mission_run("inner") as inner:
            assert mt.current_run() is inner
        assert mt.current_run() is outer
    opened = [f for f in journal() if isinstance(f, facts.RunOpened)]
    assert [f.mission.name for f in opened] == ["outer", "inner"]
    assert opened[1].metadata["mission_tracer"]["parent_run"]["key"] == outer.key
    assert any(inner.key.encode() in bytes(f.body) for f in journal() if isinstance(f, facts.Event))


def test_outside_of_a_run_nothing_is_recorded(journal: Journal) -> None:
    """Steps, tools and events outside of a run call the function and record nothing."""
    assert research("Chicago") == ["window washers in Chicago 1", "window washers in Chicago 2"]
    with plan_step("s") as step:
        step.log_event("nothing")
        step.metadata(a=1)
    with tool_call("t") as tool:
        tool.result(1)
    log_event("nothing")
    assert mt.current_run() is None
    assert mt.current_step() is None
    assert journal() == []


def test_disabled_records_nothing_at_all(tmp_path: Any) -> None:
    """Disabled, no directory is made, and handles take everything silently."""
    mt.configure(enabled=False)
    assert agent("Chicago")["quote"] == 350
    with mission_run("m") as run, plan_step("s"):
        run.log_event("x")
        run.plan("a")
        run.pause()
        assert run.key == ""
        assert run.run_id is None
        assert not run.wait_bound(0.01)
    assert not (tmp_path / "state").exists()


def test_bare_names_come_from_the_function(journal: Journal) -> None:
    """Bare decorators take the mission's, step's and tool's name and description from the function."""

    @plan_step
    def look() -> None:
        """Look around.

        At length.
        """

    @mission_run
    def wander(where: str = "here", *more: int, **rest: Any) -> None:
        """Wander about."""
        look()

    wander("there", 1, 2, mood="good")
    opened, entered = journal()[:2]
    assert isinstance(opened, facts.RunOpened)
    assert isinstance(entered, facts.StepEntered)
    assert (opened.mission.name, opened.mission.description) == ("wander", "Wander about.")
    assert opened.input == {"where": "there", "more": [1, 2], "mood": "good"}
    assert (entered.step_id, entered.description) == ("look", "Look around.")


def test_methods_do_not_record_self(journal: Journal) -> None:
    """A decorated method's input is its arguments without the object; either order of classmethod works."""

    class Agent:
        @mission_run("m")
        def go(self, x: int) -> int:
            return x

        @mission_run("c")
        @classmethod
        def above(cls, x: int) -> int:
            return x

        @staticmethod
        @mission_run("s")
        def below(x: int) -> int:
            return x

    assert (Agent().go(1), Agent.above(2), Agent.below(3)) == (1, 2, 3)
    assert [f.input for f in journal() if isinstance(f, facts.RunOpened)] == [{"x": 1}, {"x": 2}, {"x": 3}]


def test_steps_end_by_hand(journal: Journal) -> None:
    """A step that is ended inside its block keeps that end."""
    with mission_run("m"):
        with plan_step("a") as step:
            step.skip("not needed")
        with plan_step("b") as step:
            step.fail("no answer")
        with plan_step("c") as step:
            step.complete()
            step.fail("too late")
    left = [(f.step_id, f.status, f.reason) for f in journal() if isinstance(f, facts.StepLeft)]
    assert left == [("a", "skipped", "not needed"), ("b", "failed", "no answer"), ("c", "completed", None)]


def test_metadata_that_comes_too_late_is_said_to_be_lost(journal: Journal, capfd: pytest.CaptureFixture[str]) -> None:
    """No status follows that it could be sent with; what a function returns after its step's end goes unsaid."""

    @plan_step(capture=("result",))
    def work() -> int:
        step = mt.current_step()
        assert step is not None
        step.complete()
        return 3

    with mission_run("m"):
        work()
        assert "metadata" not in capfd.readouterr().err
        with plan_step("s") as step:
            step.metadata(a=1)
            step.complete()
            step.metadata(b=2)
    assert [f.metadata for f in journal() if isinstance(f, facts.StepLeft)] == [{}, {"a": 1}]
    assert "metadata of a step that has ended" in capfd.readouterr().err


@pytest.mark.parametrize("wrong", ["", "  ", "..", 7, object()])
@pytest.mark.parametrize("name", [mission_run, plan_step, tool_call])
def test_names_must_be_names(name: Any, wrong: Any) -> None:
    """A name that is no text, or empty, is refused where it is written, and the message names the argument."""
    with pytest.raises((TypeError, ValueError), match="name must be"):
        name(wrong)


def test_unknown_arguments_are_refused() -> None:
    """An unknown option, a wrong `repeat` and a wrong plan are errors at the decorator."""
    with pytest.raises(TypeError):
        mission_run("m", nonsense=1)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="repeat"):
        plan_step("s", repeat="sometimes")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="plan must be a list"):
        mission_run("m", plan="research")
    with pytest.raises(TypeError, match="a step of the plan"):
        mission_run("m", plan=[3])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("decorator", "wrong"),
    [
        *[(mission_run, {name: 5}) for name in ("plan", "input", "metadata", "mission_id", "description", "model")],
        *[(mission_run, {name: 5}) for name in ("instructions", "execution_mode", "capture")],
        (mission_run, {"mission_id": ""}),
        (mission_run, {"execution_mode": "remote"}),
        (mission_run, {"capture": ("arguments",)}),
        (mission_run, {"capture": [["args"]]}),
        *[(plan_step, {name: 5}) for name in ("description", "metadata", "repeat", "capture")],
        (plan_step, {"repeat": ["new"]}),
        *[(tool_call, {name: 5}) for name in ("arguments", "reduce", "capture")],
    ],
)
def test_wrong_options_are_refused_where_they_are_written(decorator: Any, wrong: dict[str, Any]) -> None:
    """An option of a wrong type or value is an error at the decorator, and the message names the option."""
    [name] = wrong
    with pytest.raises((TypeError, ValueError), match=name):
        decorator("m", **wrong)


def test_every_argument_is_recorded(journal: Journal) -> None:
    """A run's input and a tool's arguments are all that the function works with, given or by default.

    What the decorator gives as input besides does not hide them.
    """

    @tool_call
    def look(query: str, limit: int = 5, *, language: str = "en") -> None: ...

    @mission_run(input={"version": 3, "city": "any"})
    def find(city: str, budget: int = 500) -> None:
        look("x", language="fr")

    find("Chicago")
    opened, called = journal()[:2]
    assert isinstance(opened, facts.RunOpened)
    assert isinstance(called, facts.Event)
    assert opened.input == {"version": 3, "city": "Chicago", "budget": 500}
    assert b'"arguments":{"query":"x","limit":5,"language":"fr"}' in bytes(called.body)


@pytest.mark.parametrize(
    ("keep", "mode", "kept"),
    [
        ((), "full", {}),
        (("args",), "full", {"arguments": {"number": 5}}),
        (("result",), "full", {"result": 6}),
        (("args", "result"), "full", {"arguments": {"number": 5}, "result": 6}),
        (("args", "result"), "names", {"arguments": {"number": "int"}, "result": "int"}),
        (("args", "result"), "off", {}),
    ],
)
def test_a_step_keeps_of_its_calls_what_it_is_told(keep: Any, mode: str, kept: Any, journal: Journal) -> None:
    """A step's metadata hold a call's arguments and result if the decorator and the setting say so, of any callable."""
    mt.configure(capture=mode)

    class Agent:
        @plan_step(capture=keep)
        def method(self, number: int) -> int:
            return number + 1

        @plan_step(capture=keep)
        async def later(self, number: int) -> int:
            return number + 1

        @plan_step(capture=keep)
        def stream(self, number: int) -> Iterator[int]:
            yield number
            return number + 1

    with mission_run("m"):
        Agent().method(5)
        asyncio.run(Agent().later(number=5))
        list(Agent().stream(5))
        with plan_step("block", capture=keep):
            pass
    left = [f.metadata for f in journal() if isinstance(f, facts.StepLeft)]
    assert left == [kept, kept, kept, {}]


def test_log_event_is_linked_to_the_current_step_or_the_one_given(journal: Journal) -> None:
    """`log_event` belongs to the step under way, to another one when it is named, or to the run alone."""
    with mission_run("m") as run:
        log_event("of the run")
        with plan_step("a") as first, plan_step("b"):
            log_event("of b")
            log_event("of a", step=first)
            log_event("of c", step="c")
            run.log_event("of the run again")
    events = [json.loads(bytes(f.body)) for f in journal() if isinstance(f, facts.Event)]
    assert [(event["summary"], event.get("step_id")) for event in events] == [
        ("of the run", None),
        ("of b", "b"),
        ("of a", "a"),
        ("of c", "c"),
        ("of the run again", None),
    ]


def test_an_unknown_event_type_is_recorded_as_custom(journal: Journal) -> None:
    """Not strict, an event of an unknown type is `custom` with its own type in the payload; strict, it is an error."""
    with mission_run("m"):
        log_event("hello", type="note")
    [event] = [f for f in journal() if isinstance(f, facts.Event)]
    assert b'"type":"custom"' in bytes(event.body)
    assert b'"event_type":"note"' in bytes(event.body)
    mt.configure(strict=True)
    with mission_run("m"), pytest.raises(ValueError, match="type must be one of"):
        log_event("hello", type="note")


def test_a_plan_takes_a_decorated_steps_description(journal: Journal) -> None:
    """A plan describes a step as its decorated function does: the one of the run's own module, else the last."""

    def of_module(module: str, about: str | None) -> Any:
        def gather() -> None: ...

        gather.__module__ = module
        return plan_step(description=about)(gather)

    kept = [of_module(__name__, "Of this module"), of_module("another", "Of another"), of_module("third", None)]

    @mission_run("Here", plan=["gather", ("other", "Its own words")])
    def here() -> None: ...

    here()
    with mission_run("There", plan=["gather"]):
        pass
    planned = [fact.steps for fact in journal() if isinstance(fact, facts.PlanDeclared)]
    assert [[step.description for step in steps] for steps in planned] == [
        ["Of this module", "Its own words"],
        ["Of another"],
    ]
    assert kept


def test_one_decorator_serves_several_functions(journal: Journal) -> None:
    """Functions that are decorated with the same object are each about what their own docstring says."""
    traced = plan_step(capture=())

    @traced
    def first() -> None:
        """First doc."""

    @traced
    def second() -> None:
        """Second doc."""

    @traced
    def third() -> None:
        pass

    with mission_run("m"):
        first()
        second()
        third()
    entered = {fact.step_id: fact.description for fact in journal() if isinstance(fact, facts.StepEntered)}
    assert entered == {"first": "First doc.", "second": "Second doc.", "third": "third"}
