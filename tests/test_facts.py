"""Facts are the lines of a journal."""

from __future__ import annotations

import datetime as dt

import msgspec
import pytest

from mission_tracer import facts

AT = dt.datetime(2026, 11, 23, 12, tzinfo=dt.timezone.utc)


def test_keys_sort_by_time() -> None:
    """A later key sorts after an earlier one, down to a nanosecond."""
    keys = [facts.new_key(clock=n, entropy=b"\xff" * 8) for n in (1, 2, 10**9, 1_900_000_000 * 10**9)]
    assert keys == sorted(keys)
    assert {len(key) for key in keys} == {26}


def test_keys_and_writers_are_unlike() -> None:
    """Keys and writers drawn from the system do not repeat."""
    assert len({facts.new_key() for _ in range(1000)}) == 1000
    assert len({facts.new_writer() for _ in range(1000)}) == 1000


def test_an_event_keeps_its_bytes() -> None:
    """An event's body is read back as the very bytes that were written."""
    body = facts.EventBody("custom", "hello", payload={"a": [1, None]})
    line = facts.encode(facts.EventWritten(id="w.1", at=AT, body=body))
    fact = facts.decode(line)
    assert isinstance(fact, facts.Event)
    assert bytes(fact.body) == b'{"type":"custom","summary":"hello","payload":{"a":[1,null]}}'


def test_every_fact_comes_back() -> None:
    """Every kind of fact is read back as it was written."""
    mission = facts.MissionSpec("m", description="d")
    written = [
        facts.RunOpened(id="w.1", at=AT, key="k", mission=mission, input={"a": 1}, metadata={"b": 2}),
        facts.RunJoined(id="w.2", at=AT, key="k", mission=mission, run_id="r"),
        facts.PlanDeclared(id="w.3", at=AT, steps=[facts.PlannedStep("s", "S", "p", {"x": 1})]),
        facts.StepEntered(id="w.4", at=AT, step_id="s", description="S", attempt=2, name="t"),
        facts.StepLeft(id="w.5", at=AT, step_id="s", status="failed", reason="r", error={"type": "E"}),
        facts.AgentLinked(id="w.6", at=AT, telnyx_agent_id="a"),
        facts.AgentUnlinked(id="w.7", at=AT, telnyx_agent_id="a"),
        facts.RunPaused(id="w.8", at=AT),
        facts.RunResumed(id="w.9", at=AT),
        facts.RunClosed(id="w.10", at=AT, status="succeeded", payload={"q": 1}),
    ]
    assert [facts.decode(facts.encode(fact)) for fact in written] == written


@pytest.mark.parametrize("line", [b"", b"{", b"\x00\x00", b'{"fact":"unheard_of"}', b"[1]"])
def test_a_damaged_line_is_an_error(line: bytes) -> None:
    """A damaged line, or one of an unknown kind, is a decoding error and has no writer."""
    with pytest.raises(msgspec.MsgspecError):
        facts.decode(line)
    assert facts.writer_of(line) == ""


def test_a_line_tells_its_writer() -> None:
    """The writer of a line is read without decoding it whole."""
    assert facts.writer_of(facts.encode(facts.RunPaused(id="abc.12", at=AT))) == "abc"
