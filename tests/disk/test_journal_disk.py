"""Whether the disk takes facts at the moment."""

from __future__ import annotations

import pytest

from mission_tracer._disk.journal_disk import Disk


def test_pauses_grow_while_the_disk_stays_bad() -> None:
    """After each trouble in a row the disk is left alone for twice as long, a minute at most; then all begins anew."""
    now = 0.0
    disk = Disk(monotonic=lambda: now)
    pauses = []
    for _ in range(9):
        disk.fails(OSError())
        began = now
        while not disk.tries_again():
            now += 0.25
        pauses.append(now - began)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    now += 1000
    disk.fails(OSError())
    now += 1.0
    assert disk.tries_again()


def test_nowhere_is_never_good() -> None:
    """Facts that are to stay in memory stay there, however often and long that is tried."""
    disk = Disk.nowhere()
    disk.fails(OSError())
    assert not disk.good
    assert not disk.tries_again()


@pytest.mark.parametrize(("between", "good"), [(9.0, False), (10.0, True)])
def test_a_disk_that_is_slow_twice_soon_is_left_alone(between: float, good: bool) -> None:
    """One slow line may be a busy machine's doing; a second one within ten seconds is the disk's, and is said."""
    now, told = 0.0, []
    disk = Disk(told.append, monotonic=lambda: now)
    disk.took(0.5)  # not slow yet
    disk.took(0.6)
    assert disk.good
    now += between
    disk.took(0.7)
    assert disk.good is good
    assert [type(error) for error in told] == ([] if good else [TimeoutError])
