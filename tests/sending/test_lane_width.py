"""How many events of a run go at once: one, but for a backlog that is waited for."""

from __future__ import annotations

import pytest

from mission_tracer._sending.lane_width import MOST, Width


@pytest.mark.parametrize(
    ("latency", "waiting", "width"),
    [
        (0.0, 1_000_000, 1),  # nothing was sent yet
        (0.1, 50, 1),
        (0.1, 51, MOST),
        (10.0, 1, MOST),
        (0.003, 1_000_000, 1),  # mostly our own work, be it ever so much
        (0.004, 1_300, MOST),
    ],
)
def test_only_a_backlog_that_is_waited_for_goes_side_by_side(latency: float, waiting: int, width: int) -> None:
    """More than five seconds of waiting go side by side; what is our own work never does."""
    assert Width().choose(latency, waiting) == width


def test_it_stays_so_until_little_is_left() -> None:
    """Half a second of waiting ends it, not less than five; then it takes five again."""
    width = Width()
    assert [width.choose(0.1, left) for left in (51, 50, 6, 5, 6, 50, 51)] == [MOST, MOST, MOST, 1, 1, 1, MOST]


def test_what_they_take_side_by_side_says_nothing() -> None:
    """Events that go side by side wait for each other: only one that went alone says how slow the server is."""
    width = Width()
    assert width.choose(0.01, 501) == MOST
    assert width.choose(10.0, 50) == 1
    assert width.choose(0.002, 50) == 1
