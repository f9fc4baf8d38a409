"""Carrying one fact: what is asked again, what is noted before, and how long a lost answer is awaited."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from mission_tracer import facts
from mission_tracer._base.locks import LockFile
from mission_tracer._disk.delivery_log import DeliveryLog
from mission_tracer._disk.directory import Directory
from mission_tracer._planning import records
from mission_tracer._planning.actions import POISONED, STUBBORN, Answer, Call, Lost, Refusal, Unsent
from mission_tracer._sending.lane_courier import Courier, Item, Pause
from tests.processes import forked_child

AT = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
SETTLE, TIMEOUT = 5.0, 30.0
OK = Answer(200, {})
OPENED = facts.RunOpened(id="w.1", at=AT, key="01key", mission=facts.MissionSpec("m"))
ENTERED = facts.StepEntered(id="w.2", at=AT, step_id="s", description="s")
LINKED = facts.AgentLinked(id="w.3", at=AT, telnyx_agent_id="agent")
CLOSED = facts.RunClosed(id="w.9", at=AT, status="succeeded")
BODY = facts.EventBody("custom", "x", idempotency_key="k")
EVENT: Any = facts.read(facts.encode(facts.EventWritten(id="w.4", at=AT, body=BODY)))


class Bench:
    """A courier of a run that is bound, and a server that answers what a test says, else that all is well."""

    def __init__(
        self, *, bound: bool = True, directory: Directory | None = None, log: DeliveryLog | None = None
    ) -> None:
        self.now = 1000.0
        self.took = 0.0  # seconds an answer takes
        self.sent: list[str] = []
        self.replies: list[Answer | Unsent | Lost] = []
        self.always: Answer | Unsent | Lost | None = None
        self.log = log or DeliveryLog(None)
        self.state = self.log.state
        if bound:
            self.log.note(records.MissionFound("m"))
            self.log.note(records.RunBound("r"))
        self.courier = Courier(
            self.log,
            directory=directory,
            base_url="http://here",
            settle=SETTLE,
            timeout=TIMEOUT,
            clock=lambda: self.now,
            monotonic=lambda: self.now,
        )

    def carry(
        self, item: Item, *replies: Answer | Unsent | Lost, then: Answer | Unsent | Lost | None = None
    ) -> tuple[Pause | list[Refusal], list[str]]:
        """Carry a fact to a server that answers so; say what came of it, and what was asked."""
        self.replies, self.always, self.sent = list(replies), then, []
        assert item.fact is not None
        outcome = self.courier.carry(item, item.fact, self.exchange, list)
        return outcome, self.sent

    def exchange(self, call: Call) -> Answer | Unsent | Lost:
        self.now += self.took
        operation = call.operation.removeprefix("missions.").removeprefix("runs.")
        self.sent.append(operation)
        if self.replies:
            return self.replies.pop(0)
        if self.always is not None:
            return self.always
        is_list = operation.endswith("list") or operation == "plan.retrieve"
        return Answer(200, [] if is_list else {"mission_id": "m", "run_id": "r"})


def item(fact: Any) -> Item:
    return Item(0, 1, fact)


# ---- what is asked again ----


def test_what_was_acknowledged_is_not_asked_again() -> None:
    """A fact that is tried again goes on with the request that failed; what was acknowledged before it is not sent."""
    bench, entered = Bench(), item(ENTERED)
    outcome, sent = bench.carry(entered, OK, OK, Lost("500", status=500, answered=True))
    assert isinstance(outcome, Pause)
    assert sent == ["plan.create", "plan.update_step", "events.log"]
    assert bench.carry(entered) == ([], ["events.log"])


def test_reading_is_done_anew() -> None:
    """What was read from the server is read again by the next attempt: it may have changed."""
    bench, closed = Bench(), item(facts.RunClosed(id="w.9", at=AT, status="succeeded", recovered=True))
    fails = Lost("500", status=500, answered=True)
    assert bench.carry(closed, Answer(200, {"status": "running"}), fails)[1] == ["retrieve", "update"]
    assert bench.carry(closed, Answer(200, {"status": "failed"})) == ([], ["retrieve"])


@pytest.mark.parametrize(
    ("reply", "kept"),
    [
        (OK, False),
        (Answer(400, why="no"), False),
        (Unsent("no way"), False),
        (Lost("reset"), True),
        (Lost("500", status=500, answered=True), True),
    ],
)
def test_what_must_not_be_done_twice_is_noted_before(reply: Any, kept: bool) -> None:
    """An intent is noted when a request leaves, and stays only when nobody knows what became of it."""
    bench, seen = Bench(), []
    real, bench.replies = bench.exchange, []

    def exchange(call: Call) -> Any:
        seen.append(dict(bench.state.intents))
        return real(call)

    bench.exchange = exchange  # type: ignore[method-assign]  # to look at the moment of sending
    bench.carry(item(LINKED), reply)
    assert seen[0] == {"link:agent": 1000.0}
    assert ("link:agent" in bench.state.intents) is kept


def test_an_event_is_noted_once_its_answer_is_lost() -> None:
    """Of an event, which has a key, nothing is noted before an answer is lost; then the first moment counts."""
    bench, event = Bench(), item(EVENT)
    bench.carry(event, Unsent("no way"))
    assert bench.state.intents == {}
    bench.carry(event, Lost("reset"))
    bench.now += 10
    bench.carry(event, Lost("reset"))
    assert bench.state.intents == {"event:0": 1000.0}


# ---- waiting for an effect ----


@pytest.mark.parametrize(("answered", "waits"), [(False, SETTLE), (True, None)])
def test_a_lost_creation_is_looked_for_when_its_effect_must_show(answered: bool, waits: float | None) -> None:
    """After a lost answer nothing is asked until the effect must show; after a failure of the server, at once."""
    bench, linked = Bench(), item(LINKED)
    bench.carry(linked, Lost("x", status=500 if answered else 0, answered=answered))
    if waits is not None:
        outcome, sent = bench.carry(linked)
        assert isinstance(outcome, Pause)
        assert (outcome.delay, outcome.quiet, sent) == (waits, True, [])
        bench.now += waits
    there = Answer(200, [{"telnyx_agent_id": "agent"}])
    assert bench.carry(linked, there) == ([], ["telnyx_agents.list"])
    assert bench.state.intents == {}


@pytest.mark.parametrize("dead", [False, True])
def test_an_event_whose_first_request_may_be_under_way_is_no_conflict(dead: bool) -> None:
    """A conflict with an event's first request, of this sender or of one that died, is awaited before it counts."""
    conflict, nothing = Answer(409, why="it is under way"), Answer(200, [])
    for last, refused in ((OK, 0), (conflict, 1)):
        bench, event = Bench(), item(EVENT)
        if dead:
            event.sent_at = bench.now - TIMEOUT
        else:
            bench.carry(event, Lost("reset"))
        outcome, sent = bench.carry(event, conflict, nothing)
        assert isinstance(outcome, Pause)
        assert (outcome.delay, outcome.quiet, sent) == (SETTLE, True, ["events.log", "events.list"])
        bench.now += SETTLE
        outcome, _ = bench.carry(event, last, nothing)
        assert isinstance(outcome, list)
        assert len(outcome) == refused


@pytest.mark.parametrize(("age", "waits"), [(0.0, SETTLE), (TIMEOUT + 3, 2.0), (TIMEOUT + SETTLE, None)])
def test_what_another_process_began_is_awaited_by_its_age(age: float, waits: float | None) -> None:
    """An intent of an earlier process is awaited as long as its request may be under way and its effect hidden."""
    bench, linked = Bench(), item(LINKED)
    bench.log.note(records.Intended("link:agent", bench.now - age))
    outcome, sent = bench.carry(linked)
    if waits is None:
        assert (outcome, sent) == ([], ["telnyx_agents.list", "telnyx_agents.link"])
    else:
        assert isinstance(outcome, Pause)
        assert (outcome.delay, sent) == (waits, [])


def test_a_lost_change_is_awaited_before_the_end() -> None:
    """A change whose answer was lost may come late, so the run's end waits for it; a failure of the server does not."""
    for reply, shaky in ((Lost("reset"), True), (Lost("500", status=500, answered=True), False)):
        bench, entered = Bench(), item(ENTERED)
        bench.carry(entered, OK, reply)
        assert bench.state.shaky is shaky
        assert bench.courier.is_clear() is not shaky
        bench.carry(entered)
        outcome, sent = bench.carry(item(CLOSED))
        assert isinstance(outcome, Pause) is shaky
        assert bool(sent) is not shaky
        bench.now += SETTLE
        assert bench.courier.is_clear() is not shaky  # whoever ends the run must know of it
        assert bench.carry(item(CLOSED))[0] == []


def test_a_lost_end_is_simply_sent_again() -> None:
    """The last change of all may come as late as it likes."""
    bench, closed = Bench(), item(CLOSED)
    bench.carry(closed, Lost("reset"))
    assert not bench.state.shaky
    assert bench.carry(closed) == ([], ["update"])


def test_what_a_dead_sender_asked_for_is_awaited(tmp_path: Path) -> None:
    """After a sender that died the end of the run waits as if a change of it were under way."""
    first = DeliveryLog(tmp_path / "log")
    assert first.try_open()
    Bench(log=first)
    first.close()
    log = DeliveryLog(tmp_path / "log")
    assert log.try_open()
    assert log.predecessor_at is not None
    log.predecessor_at = 1000.0
    bench = Bench(bound=False, log=log)
    assert bench.state.shaky
    assert isinstance(bench.carry(item(CLOSED))[0], Pause)
    bench.now += SETTLE
    assert bench.carry(item(CLOSED))[0] == []
    log.close()


def test_of_a_finished_run_nothing_is_awaited(tmp_path: Path) -> None:
    """After a run was finished nothing of it is under way, though its owner wrote into its log since."""
    first = DeliveryLog(tmp_path / "log")
    assert first.try_open()
    first.note(records.Finished())
    first.close()
    with (tmp_path / "log").open("ab") as owner:
        owner.write(records.encode(records.Retried(0)) + b"\n")
    log = DeliveryLog(tmp_path / "log")
    assert log.try_open()
    assert log.predecessor_at is None
    assert log.seems_at_rest
    bench = Bench(log=log)
    assert not bench.state.shaky
    assert bench.courier.is_clear()
    log.close()


def test_what_is_asked_for_after_a_run_was_finished_is_awaited(tmp_path: Path) -> None:
    """A run that was finished, brought back and left by a sender that died may have something under way."""
    first = DeliveryLog(tmp_path / "log")
    assert first.try_open()
    first.note(records.Finished())
    first.note(records.Taken())
    first.close()
    log = DeliveryLog(tmp_path / "log")
    assert log.try_open()
    assert log.predecessor_at is not None
    assert Bench(log=log).state.shaky
    log.close()


# ---- whose fault it is ----


@pytest.mark.parametrize(
    ("reply", "everywhere", "failures"),
    [
        (Unsent("no way", after=7.0), True, 0),
        (Unsent("not this one", after=7.0, here=True), False, 1),
        (Lost("reset", after=7.0), True, 0),
        (Lost("503", after=7.0, status=503), True, 0),
        (Lost("500", after=7.0, status=500, answered=True), False, 1),
        (Lost("408", after=7.0, status=408), False, 1),
    ],
)
def test_a_fault_is_the_facts_or_the_servers(reply: Any, everywhere: bool, failures: int) -> None:
    """What hinders everyone is not held against the fact, what the server says of it is; its wish is passed on."""
    bench, event = Bench(), item(EVENT)
    outcome, _ = bench.carry(event, reply)
    assert isinstance(outcome, Pause)
    assert (outcome.why, outcome.everywhere, outcome.asked) == (reply.why, everywhere, 7.0)
    assert event.failures == failures


@pytest.mark.parametrize(("fact", "blamed"), [(LINKED, 1), (ENTERED, 1), (EVENT, 0), (CLOSED, 0)])
def test_a_failing_creation_is_blamed(fact: Any, blamed: int) -> None:
    """Failures of the server on a creation are counted apart; those on an event or a change are not."""
    carried = item(fact)
    Bench().carry(carried, Lost("500", status=500, answered=True))
    assert (carried.failures, carried.blamed) == (1, blamed)


@pytest.mark.parametrize("data", [None, {}, {"mission_id": "m"}, 7, []])
def test_an_answer_without_its_form_is_asked_for_again(data: Any) -> None:
    """A success that lacks what was promised is a fault that may pass, and never an error of ours."""
    bench, opened = Bench(bound=False), item(OPENED)
    listed, created = Answer(200, []), Answer(200, {"mission_id": "m"})
    outcome, sent = bench.carry(opened, listed, created, listed, Answer(200, data))
    assert isinstance(outcome, Pause)
    assert "could not be understood" in outcome.why
    assert sent[-1] == "create"
    assert opened.failures == 1
    outcome, sent = bench.carry(opened)
    assert isinstance(outcome, Pause)
    assert (outcome.delay, sent) == (SETTLE, [])
    bench.now += SETTLE
    assert bench.carry(opened, Answer(200, [])) == ([], ["list", "create", "update"])


def test_a_run_that_is_gone_is_parked() -> None:
    """When the server says several times that it does not know the run, that is noted; until then the fact waits."""
    bench, event = Bench(), item(EVENT)
    for failures in range(STUBBORN + 1):
        assert (event.failures, bench.state.parked) == (failures, None)
        outcome, _ = bench.carry(event, then=Answer(404, why="gone"))
        assert isinstance(outcome, Pause)
    assert bench.state.parked == "the server does not know the run r: gone"


def test_a_poisoned_fact_is_given_up_when_the_server_takes_a_note() -> None:
    """A fact on which the server failed again and again is given up if it takes a note of that, and only then."""
    fails = Lost("500", status=500, answered=True)
    for note, refused in ((OK, True), (fails, False), (Answer(404), False)):
        bench, event = Bench(), item(EVENT)
        event.failures = POISONED
        run, whole, smaller = OK, fails, fails
        outcome, sent = bench.carry(event, run, whole, smaller, note, then=Answer(404))
        assert sent[:4] == ["retrieve", "events.log", "events.log", "events.log"]
        assert isinstance(outcome, list) is refused
        assert bench.state.parked is None


def test_a_fact_is_not_blamed_for_a_look_at_its_run() -> None:
    """While the server cannot be asked for the run, nothing is held against a fact, and none is given up."""
    for look in (Lost("500", status=500, answered=True), Lost("408", status=408), Unsent("not you", here=True)):
        bench, event = Bench(), item(EVENT)
        event.failures = POISONED
        outcome, sent = bench.carry(event, look)
        assert isinstance(outcome, Pause)
        assert (sent, event.failures) == (["retrieve"], POISONED)


def test_a_run_that_is_not_there_yet_is_not_given_up() -> None:
    """However often the server fails on a run's first fact, no note can be taken in its place: it is tried again."""
    bench, opened = Bench(bound=False), item(OPENED)
    opened.failures = POISONED
    outcome, sent = bench.carry(opened, then=Lost("500", status=500, answered=True))
    assert isinstance(outcome, Pause)
    assert sent == ["list"]


# ---- how quick the server is ----


def test_latency_is_that_of_events() -> None:
    """How long one more event takes is known from events alone, the last ones counting most."""
    bench = Bench()
    bench.took = 9.0
    bench.carry(item(LINKED))
    assert bench.courier.latency == 0
    bench.took = 1.0
    bench.carry(item(EVENT))
    assert bench.courier.latency == 1.0
    bench.took = 2.0
    bench.carry(item(EVENT))
    assert bench.courier.latency == pytest.approx(1.2)


# ---- the names of missions ----


def interrupted(bench: Bench, opened: Item, between: Callable[[], None]) -> None:
    """Do something while a mission's list is under way."""
    bench.replies, bench.always, bench.sent = [], None, []

    def exchange(call: Call) -> Any:
        if not bench.sent:
            between()
        return bench.exchange(call)

    assert bench.courier.carry(opened, OPENED, exchange, list) == []


def test_one_run_at_a_time_looks_a_mission_up(directory: Directory) -> None:
    """While one run looks a mission up others wait; then they know its id, and ask nobody."""
    one, other, found = Bench(bound=False, directory=directory), Bench(bound=False, directory=directory), []
    interrupted(one, item(OPENED), lambda: found.append(other.carry(item(OPENED))))
    [(outcome, sent)] = found
    assert isinstance(outcome, Pause)
    assert (outcome.quiet, sent) == (True, [])
    assert other.carry(item(OPENED)) == ([], ["create", "update"])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_while_a_mission_is_looked_up_holds_nobody_up(directory: Directory) -> None:
    """A child that was forked while a mission is looked up keeps no other run from looking when that is over."""
    one, other, opened = Bench(bound=False, directory=directory), Bench(bound=False, directory=directory), item(OPENED)
    with ExitStack() as children:

        def reset(_call: Call) -> Lost:
            children.enter_context(forked_child())
            return Lost("reset")

        assert isinstance(one.courier.carry(opened, OPENED, reset, list), Pause)
        outcome, sent = other.carry(item(OPENED))
        assert outcome == []
        assert "create" in sent


class Overtaken(Directory):
    """Another run of this host creates a mission right before its lock is taken."""

    def mission_lock(self, base_url: str, name: str) -> LockFile:
        self.remember(base_url, name, "theirs")
        return super().mission_lock(base_url, name)


def test_a_mission_is_looked_for_once_more_under_its_lock(directory: Directory) -> None:
    """What another run created between the first look and the lock is known, and not created a second time."""
    bench = Bench(bound=False, directory=Overtaken(directory.root))
    assert bench.carry(item(OPENED)) == ([], ["create", "update"])
    assert bench.state.mission_id == "theirs"


def test_a_mission_that_is_gone_is_forgotten(directory: Directory) -> None:
    """A remembered mission that the server does not know is looked up again."""
    directory.remember("http://here", "m", "old")
    bench = Bench(bound=False, directory=directory)
    outcome, sent = bench.carry(item(OPENED), Answer(404, why="no such mission"))
    assert outcome == []
    assert sent == ["create", "list", "create", "list", "create", "update"]
    known = directory.recall("http://here", "m")
    assert known is not None
    assert known.mission_id == "m"


def test_a_mission_that_may_be_another_accounts_is_looked_up_once_more(directory: Directory) -> None:
    """A remembered mission that the key is refused for is looked up again; if that changes nothing it is the key."""
    refused, listed = Unsent("not you", locked_out=True, here=True), Answer(200, [])
    for second, delivered in ((Answer(201, {"run_id": "r"}), True), (refused, False)):
        directory.remember("http://here", "m", "old")
        bench = Bench(bound=False, directory=directory)
        outcome, sent = bench.carry(item(OPENED), refused, listed, Answer(201, {"mission_id": "m"}), listed, second)
        assert sent[:5] == ["create", "list", "create", "list", "create"]
        assert (outcome == []) is delivered
        assert delivered or (isinstance(outcome, Pause) and outcome.locked_out)


def test_a_mission_that_is_gone_at_once_is_created_anew() -> None:
    """A mission that was created a moment ago and is gone is created once more, whatever was said of the first one."""
    bench, none, made = Bench(bound=False), Answer(200, []), Answer(201, {"mission_id": "first"})
    outcome, sent = bench.carry(item(OPENED), none, made, none, Answer(404, why="no such mission"))
    assert outcome == []
    assert sent == [*["list", "create"] * 4, "update"]
    assert bench.state.mission_id == "m"


@pytest.mark.parametrize("age", [0.0, TIMEOUT + SETTLE])
def test_a_creation_that_another_process_did_not_finish_is_awaited(age: float, directory: Directory) -> None:
    """A mission that another process of this host tried to create is looked for when it must show."""
    directory.remember("http://here", "m", None, tried_at=1000.0 - age)
    bench, opened = Bench(bound=False, directory=directory), item(OPENED)
    if not age:
        outcome, sent = bench.carry(opened)
        assert isinstance(outcome, Pause)
        assert (outcome.delay, sent) == (SETTLE, [])
        bench.now += SETTLE
    assert bench.carry(opened)[1][0] == "list"


def test_a_creation_that_had_no_effect_is_not_awaited(directory: Directory) -> None:
    """A mission's creation that never left is tried again at once, by anyone."""
    one, other = Bench(bound=False, directory=directory), Bench(bound=False, directory=directory)
    assert one.carry(item(OPENED), Answer(200, []), Unsent("no way"))[1] == ["list", "create"]
    assert other.carry(item(OPENED))[0] == []
