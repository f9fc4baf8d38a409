"""Which step an entry is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mission_tracer._handles.step_table import StepTable


def test_a_planned_step_is_entered_under_its_own_id() -> None:
    """Entering a planned step begins that step; planning it again changes nothing."""
    table = StepTable()
    assert table.plan("a")
    assert not table.plan("a")
    assert table.enter("a") == ("a", 1)


def test_an_open_step_gets_a_successor() -> None:
    """Entering a step that is open is a further step."""
    table = StepTable()
    assert [table.enter("a")[0] for _ in range(3)] == ["a", "a-2", "a-3"]


def test_only_the_newest_of_a_name_is_retried() -> None:
    """A failed step is retried until it has a successor."""
    table = StepTable()
    table.left(table.enter("a")[0], "failed")
    assert table.enter("a") == ("a", 2)
    table.left("a", "completed")
    assert table.enter("a") == ("a-2", 1)
    table.left("a-2", "failed")
    assert table.enter("a") == ("a-2", 2)


def test_a_successor_never_takes_an_id_that_is_used() -> None:
    """A step that happens to be called as a successor would be is passed over, unless it is planned and waits."""
    table = StepTable()
    table.left(table.enter("a-2")[0], "completed")
    table.left(table.enter("a")[0], "completed")
    assert table.enter("a") == ("a-3", 1)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["completed", "failed", "skipped", "open"]))))
def test_no_two_open_entries_share_an_id(moves: list[tuple[str, str]]) -> None:
    """Whatever is entered and left, two open entries never have one id, and an attempt is never repeated."""
    table = StepTable()
    open_ids: set[str] = set()
    seen: set[tuple[str, int]] = set()
    for name, end in moves:
        entry = table.enter(name)
        assert entry[0] not in open_ids
        assert entry not in seen
        seen.add(entry)
        if end == "open":
            open_ids.add(entry[0])
        else:
            table.left(entry[0], end)
