"""The way to a server that is out of reach: when it is tried again."""

from __future__ import annotations

from mission_tracer._sending.lane_courier import Pause
from mission_tracer._sending.sender_gate import Gate

DOWN = Pause("no connection", everywhere=True)


def gate(*, most: float = 60.0) -> Gate:
    return Gate(most=most, draw=lambda: 1.0)


def test_each_failure_doubles_the_pause_up_to_the_longest() -> None:
    """The pause grows with every failure that follows another one, and not over the limit."""
    way, now = gate(most=1.0), 100.0
    pauses = []
    for _ in range(5):
        way.close(DOWN, now=now, started=now)
        pauses.append(round(way.opens_at - now, 6))
        now = way.opens_at
    assert pauses == [0.2, 0.4, 0.8, 1.0, 1.0]
    assert way.is_doubted


def test_requests_that_failed_together_count_once() -> None:
    """Requests that were under way when the server was found out of reach do not lengthen the pause."""
    way = gate()
    for _ in range(8):
        way.close(DOWN, now=100.0, started=99.0)
    assert round(way.opens_at - 100.0, 6) == 0.2


def test_an_answer_opens_the_way() -> None:
    """After an answer nothing is left of the failures before it."""
    way = gate()
    for moment in (100.0, 101.0, 102.0):
        way.close(DOWN, now=moment, started=moment)
    way.open()
    assert (way.is_doubted, way.opens_at) == (False, 0.0)
    way.close(DOWN, now=200.0, started=200.0)
    assert round(way.opens_at - 200.0, 6) == 0.2


def test_hurry_cuts_our_own_pause_and_not_the_servers() -> None:
    """Who waits may cut a pause short that we chose; what the server asked for stands."""
    way = gate()
    way.close(DOWN, now=100.0, started=100.0)
    way.hurry()
    assert way.opens_at <= 100.0
    way.close(Pause("later", asked=7.0, everywhere=True), now=100.0, started=100.0)
    way.hurry()
    assert way.opens_at == 107.0


def test_a_pause_of_a_known_length_has_that_length() -> None:
    """A pause whose length is known does not grow with failures, and may be longer than the longest of our own."""
    assert [gate(most=1.0).length(Pause("awaited", delay=5.0, asked=7.0), failures) for failures in (0, 9)] == [
        5.0,
        5.0,
    ]
    assert gate(most=1.0).length(Pause("failed"), 9) == 1.0
