"""How long to wait before the next attempt: longer each time, never all at once, never sooner than was asked."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mission_tracer._base.backoff import delay

ATTEMPTS = st.integers(1, 10_000)
DRAWS = st.floats(0, 1)


@given(attempt=ATTEMPTS, drawn=DRAWS, first=st.floats(0.001, 10), most=st.floats(0.001, 1000))
def test_a_wait_is_bounded(attempt: int, drawn: float, first: float, most: float) -> None:
    """However often it failed a wait is never longer than the bound, and never nothing."""
    wait = delay(attempt, random=lambda: drawn, first=first, most=most)
    assert 0.1 * min(first, most) <= wait * 1.000001
    assert wait <= most * 1.000001


@given(drawn=DRAWS)
def test_waits_double(drawn: float) -> None:
    """With the same draw each wait is twice the one before, until the bound."""
    waits = [delay(attempt, random=lambda: drawn, first=1.0, most=8.0) for attempt in range(1, 7)]
    assert [wait / waits[0] for wait in waits] == [1, 2, 4, 8, 8, 8]


@given(attempt=ATTEMPTS, drawn=DRAWS, asked=st.floats(0, 10_000))
def test_what_the_server_asks_for_is_kept(attempt: int, drawn: float, asked: float) -> None:
    """A wait is never shorter than the server asked for, be it longer than our own bound."""
    wait = delay(attempt, random=lambda: drawn, asked=asked)
    assert wait == max(asked, delay(attempt, random=lambda: drawn))


def test_clients_spread() -> None:
    """Clients that failed at the same moment come back spread over nine tenths of the bound."""
    assert delay(3, random=lambda: 0.0, first=1.0) == 0.4
    assert delay(3, random=lambda: 1.0, first=1.0) == 4.0
