"""`dead`: what the server refused is listed, retried and dropped."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

import mission_tracer as mt
from mission_tracer.client import MissionsClient
from tests import processes

from .conftest import Call


@pytest.fixture
def base_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve an API that refuses events of runs that have ended."""
    options = ("--behaviour", "event_after_finish=conflict", "--behaviour", "run_transitions=accept")
    with processes.served("--admin", *options) as url:
        monkeypatch.setenv("TELNYX_API_KEY", "x")
        monkeypatch.setenv("TELNYX_BASE_URL", url)
        yield url


@pytest.fixture
def refused(base_url: str) -> str:
    """Have one event of a run refused, since somebody else has ended the run; give the run's key."""
    mt.configure(log_level="off")
    with mt.mission_run("Wash windows") as run, MissionsClient("x", base_url) as client:
        mt.log_event("water")
        assert run.flush(20)
        assert run.mission_id is not None
        assert run.run_id is not None
        client.missions.runs.update(run.run_id, mission_id=run.mission_id, status="succeeded")
        mt.log_event("soap")
    assert mt.shutdown(20)
    return run.key


def summaries(base_url: str) -> list[str]:
    with MissionsClient("x", base_url) as client:
        [run] = client.missions.runs.list_runs()
        return sorted(
            event.summary for event in client.missions.runs.events.list(run.run_id, mission_id=run.mission_id)
        )


def test_what_was_refused_is_listed(refused: str, call: Call, base_url: str) -> None:
    """The refused fact is listed with its run and the server's words; the rest of the run was delivered."""
    [item] = call("dead", "list", "--json").json
    assert (item["key"], item["status"]) == (refused, 409)
    assert call("dead", "list", refused[:12]).out.count("\n") == 2
    assert "mission-tracer dead list" in call("status").out
    assert summaries(base_url) == ["water"]


def test_it_is_sent_again_once_the_cause_is_mended(refused: str, call: Call, base_url: str) -> None:
    """After `retry` the next `sync` sends it; then nothing is refused any more."""
    httpx.put(f"{base_url}/_local/behaviour", json={"event_after_finish": "accept"}).raise_for_status()
    assert call("dead", "retry", refused).out.startswith("1 fact will be sent again")
    assert call("sync").status == 0
    assert summaries(base_url) == ["soap", "water"]
    assert call("dead", "list").out == "nothing was refused\n"
    assert call("dead", "retry", "--all").out == "nothing was refused\n"


def test_what_is_refused_again_makes_sync_say_so(refused: str, call: Call) -> None:
    """A retried fact that is refused again is status 1 of `sync`, which names the way on."""
    call("dead", "retry", "--all")
    said = call("sync")
    assert said.status == 1
    assert "1 fact refused by the server: mission-tracer dead list" in said.err
    again = call("sync")
    assert (again.status, again.out) == (1, "0 facts delivered\n"), "what is refused for good does not wait, and stands"
    assert again.err == "1 fact refused by the server: mission-tracer dead list\n"
    assert (call("sync", "--json").json["rejected"], call("forward").status) == (1, 1)


def test_it_can_be_given_up(refused: str, call: Call) -> None:
    """After `drop` it counts as dropped, and the books balance."""
    [item] = call("dead", "list", "--json").json
    assert call("dead", "drop", refused, "--fact", item["fact"]).out == "1 fact dropped\n"
    total = call("status", "--json").json["total"]
    assert (total["rejected"], total["dropped"], total["pending"]) == (0, 1, 0)
    assert call("dead", "list").out == "nothing was refused\n"


@pytest.mark.parametrize("verb", ["retry", "drop"])
def test_a_fact_that_was_not_refused_is_a_failure(verb: str, refused: str, call: Call) -> None:
    """A fact that is none of the refused ones is an error that lists those, and nothing is done."""
    [item] = call("dead", "list", "--json").json
    for words in ([refused], ["--all"]):
        said = call("dead", verb, *words, "--fact", "nosuch")
        assert (said.status, said.out) == (2, "")
        assert said.err == f"error: no refused fact 'nosuch': there are {item['fact']}\n"
    assert call("dead", "list", "--json").json == [item]
    assert "not both" in call("dead", verb, refused, "--all").err


@pytest.mark.parametrize("words", [["retry"], ["drop"], ["retry", "x", "--all"], ["retry", "nowhere"], []])
def test_wrong_words_are_a_failure(words: list[str], call: Call) -> None:
    """Which facts are meant must be said: a run that exists, or all."""
    said = call("dead", *words)
    assert (said.status, said.out, said.err.count("\n")) == (2, "", 1)
