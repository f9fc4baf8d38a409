"""Every answer a server can give to every request of ours: what has to arrive arrives, once, and what not is said."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

import mission_tracer as mt
from mission_tracer import recorder
from mission_tracer._disk.books import count_files
from mission_tracer._disk.directory import Directory
from mission_tracer._planning.actions import POISONED
from mission_tracer.client import MissionsClient
from mission_tracer.dead import listing, retry
from mission_tracer.recorder import Recorder
from mission_tracer.settings import Settings
from tests.faults import FaultyProxy, faulty
from tests.processes import served
from tests.whole import KEY, OPERATIONS, WHOLE, ordered, read_back, record, wait_for

pytest.importorskip("starlette")


PASSING = (
    "drop_before",
    "drop_after",
    "reset_after",
    "500_before",
    "500_after",
    "501",
    "503",
    "504",
    "408",
    "429",
    "hang_before",
    "hang_after",
    "truncate",
    "half",
    "html_404",
    "html_502",
    "html_200",
    "json_200",
    "redirect",
    "dribble",
    "slow",
    "delay",
    "401",
    "402",
    "403",
    "423",
)
"""What passes: nothing of it may be lost or seen twice, whichever request meets it."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with served("--behaviour", "status_event=write") as base_url:
        yield base_url


@pytest.fixture
def proxy(server: str) -> Iterator[FaultyProxy]:
    with faulty(server) as made:
        made.change(seconds={"hang": 0.8, "dribble": 0.001, "delay": 0.1, "slow": 0.05})
        mt.configure(
            api_key=KEY,
            base_url=made.base_url,
            settle=0.4,
            request_timeout=0.5,
            max_backoff=0.1,
            log_level="off",
            strict=True,
        )
        yield made
        recorder.discard()  # while its server is there


def test_without_faults_all_kinds_of_requests_are_made(server: str, proxy: FaultyProxy) -> None:
    """The program of these tests causes each kind of request, and arrives whole."""
    name = f"peace {uuid.uuid4()}"
    record(name)
    assert mt.flush(30)
    assert read_back(server, name) == WHOLE
    for what, pattern in OPERATIONS.items():
        assert proxy.seen(pattern), what


@pytest.mark.parametrize("kind", PASSING)
def test_what_passes_leaves_no_trace(kind: str, server: str, proxy: FaultyProxy) -> None:
    """Each kind of request meets the fault once: everything arrives, in order, and nothing is there twice."""
    name = f"{kind} {uuid.uuid4()}"
    proxy.change(script=[{"kind": kind, "match": pattern} for pattern in ordered()])
    record(name)
    deliver_whole()
    assert read_back(server, name) == WHOLE
    met = [request for request, fault in proxy.seen() if fault == kind]
    assert len(met) == len(OPERATIONS)


@pytest.mark.parametrize("what", ["create the mission", "create the run"])
def test_a_creation_that_was_not_told_of_is_made(what: str, server: str, proxy: FaultyProxy) -> None:
    """A creation whose answer has the form of one and says nothing is looked for, and made if it is not there."""
    name = f"hollow {what} {uuid.uuid4()}"
    proxy.change(script=[{"kind": "hollow", "match": OPERATIONS[what]}])
    record(name)
    deliver_whole()
    assert read_back(server, name) == WHOLE


def test_a_conflict_with_a_request_under_way_passes(server: str, proxy: FaultyProxy) -> None:
    """An event whose first answer was lost arrives once, also if it is called a conflict with that first request."""
    name = f"conflict {uuid.uuid4()}"
    pattern = OPERATIONS["log an event"]
    proxy.change(script=[{"kind": "delay", "match": pattern, "seconds": 0.3}, {"kind": "409", "match": pattern}])
    with mt.mission_run(name):
        mt.log_event("slow")
    deliver_whole()
    assert [event[2] for event in read_back(server, name)["events"]] == ["slow"]
    assert len(proxy.plan.script) == 0


def test_a_run_that_seems_to_be_gone_goes_on(server: str, proxy: FaultyProxy) -> None:
    """A run that the server does not know for a moment is not parked: it arrives whole."""
    name = f"gone {uuid.uuid4()}"
    proxy.change(
        script=[{"kind": "404", "match": OPERATIONS["log an event"]}, {"kind": "404", "match": r"GET .*/runs/[^/]+$"}]
    )
    record(name)
    deliver_whole()
    assert read_back(server, name) == WHOLE
    assert len(proxy.plan.script) == 0


def test_a_key_of_another_account_gets_a_mission_of_its_own(server: str, proxy: FaultyProxy) -> None:
    """A mission that this host remembers, and that the key may neither see nor use, is replaced by one that it may."""
    name = f"account {uuid.uuid4()}"
    with mt.mission_run(name):
        mt.log_event("theirs")
    deliver_whole()
    with MissionsClient(api_key=KEY, base_url=server) as client:
        [theirs] = [mission for mission in client.missions.list() if mission.name == name]
        client.missions.update(theirs.mission_id, name=f"hidden {name}")
    proxy.change(rules=[{"kind": "403", "match": theirs.mission_id}])
    with mt.mission_run(name):
        mt.log_event("ours")
    deliver_whole()
    assert [event[2] for event in read_back(server, name)["events"]] == ["ours"]


REFUSED = ("400", "404", "409", "413", "422")
"""What the server may refuse a request with that could be right another time, or smaller."""


@pytest.mark.parametrize("kind", REFUSED)
def test_a_single_refusal_costs_at_most_that_fact(kind: str, server: str, proxy: FaultyProxy) -> None:
    """Each kind of request is refused once: the run ends as it should, and what did not arrive is counted and said."""
    name = f"{kind} {uuid.uuid4()}"
    proxy.change(script=[{"kind": kind, "match": pattern} for pattern in ordered()])
    record(name)
    assert mt.flush(60)
    stats = mt.stats()
    assert stats.recorded == stats.delivered + stats.rejected
    assert stats.pending == 0
    found, words = read_back(server, name), [item.reason for item in listing(mt.recorder.default().directory)]
    assert len(words) == stats.rejected
    assert all("made by the proxy" in reason or "without its input" in reason for reason in words)
    assert found["run"][0] == "succeeded"
    assert [step[:2] for step in found["steps"]] == [step[:2] for step in WHOLE["steps"]]
    assert [event[2] for event in found["events"]] == [event[2] for event in WHOLE["events"]]
    assert len(proxy.plan.script) == 0


def test_what_waits_for_a_person_is_said_to(
    server: str, proxy: FaultyProxy, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that nobody tries to deliver any more is not said to be tried again."""
    mt.configure(api_key=KEY, base_url=proxy.base_url, settle=0.4, max_backoff=0.1)
    proxy.change(rules=[{"kind": "422", "match": OPERATIONS["create the run"]}])
    with mt.mission_run(f"parked {uuid.uuid4()}") as run:
        pass
    assert not mt.flush(30)
    said = capsys.readouterr().err
    assert (
        f"a run cannot be delivered; it is kept until `mission-tracer sync` tries it again run='{run.key}' why=" in said
    )
    assert "tried again" not in said


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("what", list(OPERATIONS))
def test_a_refusal_for_good_stops_nothing_else(what: str, kind: str, server: str, proxy: FaultyProxy) -> None:
    """One kind of request is refused for ever: the books balance, and once it is taken again nothing is missing."""
    name = f"{what} {kind} {uuid.uuid4()}"
    proxy.change(rules=[{"kind": kind, "match": OPERATIONS[what]}])
    record(name)
    parks = what in {"create the mission", "list the missions", "create the run"}
    assert mt.flush(60) is not parks
    stats = mt.stats()
    assert stats.recorded == stats.delivered + stats.rejected + stats.pending
    assert (stats.pending > 0) == parks
    assert parks or stats.rejected > 0
    proxy.change(rules=[])
    mend(proxy)
    stats = mt.stats()
    found = read_back(server, name)
    assert found["run"] == WHOLE["run"]
    assert sorted(map(str, found["events"])) == sorted(map(str, WHOLE["events"]))
    assert sorted(step[:2] for step in found["steps"]) == sorted(step[:2] for step in WHOLE["steps"])
    assert found["agents"] == WHOLE["agents"]


@pytest.mark.parametrize("kind", ["500_before", "423"])
def test_a_passing_failure_leaves_the_order(kind: str, server: str, proxy: FaultyProxy) -> None:
    """Events arrive in the order in which they were recorded, also when the server fails on one of them."""
    name = f"order {kind} {uuid.uuid4()}"
    proxy.change(script=[{"kind": kind, "match": OPERATIONS["log an event"], "body": "event 3."}] * 2)
    with mt.mission_run(name):
        for number in range(30):
            mt.log_event(f"event {number}.")
    deliver_whole()
    assert [event[2] for event in read_back(server, name)["events"]] == [f"event {number}." for number in range(30)]


@pytest.mark.parametrize("where", ["payload", "summary"])
def test_a_poisoned_event_is_isolated(where: str, server: str, proxy: FaultyProxy) -> None:
    """An event on which the server fails for ever holds up no other: it arrives smaller, or is given up and said."""
    name = f"poison {uuid.uuid4()}"
    proxy.change(rules=[{"kind": "500_before", "match": OPERATIONS["log an event"], "body": "arsenic"}])
    with mt.mission_run(name):
        for number in range(5):
            bad = number == 2
            mt.log_event(
                "arsenic" if bad and where == "summary" else f"event {number}",
                payload={"food": "arsenic" if bad and where == "payload" else "apple"},
            )
    assert mt.flush(60)
    found = read_back(server, name)
    assert found["run"][0] == "succeeded"
    if where == "payload":
        assert {event[2]: "truncated" in event[3] for event in found["events"]} == {
            f"event {number}": number == 2 for number in range(5)
        }
        assert mt.stats().rejected == 0
    else:
        [note] = [event[2] for event in found["events"] if event[0] == "error"]
        assert "could not deliver a fact (event)" in note
        assert [e[2] for e in found["events"] if e[0] == "custom"] == [f"event {n}" for n in (0, 1, 3, 4)]
        assert mt.stats().rejected == 1


def test_an_outage_gives_nothing_up(server: str, proxy: FaultyProxy) -> None:
    """While a server fails on everything, nothing is given up or cut, however long it takes."""
    name = f"outage {uuid.uuid4()}"
    proxy.change(rules=[{"kind": "500_before"}])
    record(name, at_once=True)
    wait_for(lambda: len(proxy.seen()) > 40)
    proxy.change(rules=[])
    deliver_whole()
    assert read_back(server, name) == WHOLE


def test_nothing_is_given_up_for_a_look_that_fails(server: str, proxy: FaultyProxy) -> None:
    """An event that cannot be tried any more, because the server cannot be asked for its run, waits, and arrives."""
    name = f"look {uuid.uuid4()}"
    look = r"GET .*/runs/[^/]+$"
    broken = [
        {"kind": "500_before", "match": OPERATIONS["log an event"], "body": "victim"},
        {"kind": "500_before", "match": look},
    ]
    proxy.change(rules=broken)
    with mt.mission_run(name):
        mt.log_event("victim")
    wait_for(lambda: len(proxy.seen(look)) > POISONED)
    proxy.change(rules=[])
    deliver_whole()
    assert [event[2] for event in read_back(server, name)["events"]] == ["victim"]


def test_an_overload_is_given_the_time_it_asks_for(server: str, proxy: FaultyProxy) -> None:
    """After a 429 nothing is sent sooner than `Retry-After` says."""
    name = f"overload {uuid.uuid4()}"
    fault = {"kind": "429", "match": OPERATIONS["create the run"], "headers": {"retry_after": "1.2"}}
    proxy.change(script=[fault])
    record(name, at_once=True)
    wait_for(lambda: bool(proxy.seen(OPERATIONS["create the run"])))
    refused_at = time.monotonic()
    wait_for(lambda: len(proxy.seen(OPERATIONS["create the run"])) > 1)
    assert time.monotonic() - refused_at > 1.0
    deliver_whole()


@pytest.mark.parametrize(
    ("kind", "words"), [("401", "TELNYX_API_KEY"), ("403", "TELNYX_API_KEY"), ("redirect", "base_url")]
)
def test_what_a_person_must_mend_is_said_once(
    kind: str, words: str, proxy: FaultyProxy, capsys: pytest.CaptureFixture[str]
) -> None:
    """A refused key and a redirect are said in one line that names what to mend; nothing is lost."""
    mt.configure(api_key=KEY, base_url=proxy.base_url, max_backoff=0.02)
    proxy.change(rules=[{"kind": kind}])
    record("mend me", at_once=True)
    wait_for(lambda: len(proxy.seen()) > 5)
    lines = [line for line in capsys.readouterr().err.splitlines() if "mission_tracer:" in line]
    assert len(lines) == 1
    assert words in lines[0]
    stats = mt.stats()
    assert stats.pending == stats.recorded > 0


def mend(proxy: FaultyProxy) -> None:
    """Do what a user does: `dead retry` and `sync`."""
    directory = mt.recorder.default().directory
    assert directory is not None
    mt.shutdown(10)
    retry(directory)
    settings = Settings.load(
        {"settle": 0.1, "log_level": "off", "api_key": KEY, "base_url": proxy.base_url}, environ=os.environ
    )
    syncing = Recorder(settings, anywhere=True)
    try:
        syncing.start()
        wait_for(lambda: pending(directory) == 0)
    finally:
        syncing.forget()


def pending(directory: Directory) -> int | None:
    """Count what is to be delivered; `None`: a run was put away while we looked."""
    try:
        return sum(count_files(*place).pending for place in places(directory))
    except FileNotFoundError:
        return None


def places(directory: Directory) -> list[tuple[Path, Path]]:
    """List the files of every run, wherever they are at the moment."""
    found = [directory.find(key) for key in [*directory.keys(), *directory.delivered_keys()]]
    return [place for place in found if place is not None]


def deliver_whole() -> None:
    """Wait until all is delivered."""
    wait_for(lambda: mt.flush(30))
    stats = mt.stats()
    assert stats.recorded == stats.delivered > 0
    assert stats.pending == stats.rejected == 0
