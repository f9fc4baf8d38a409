"""Which step an entry is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_tracer._handles.step_table import Repeat, StepTable


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


@pytest.mark.parametrize("opened", ["planned", "in progress"])
def test_only_what_ended_is_reopened(opened: str) -> None:
    """With `repeat="reopen"` a step that waits is begun, and one that is open gets a successor: no further attempt."""
    table = StepTable()
    if opened == "planned":
        table.plan("a")
    else:
        table.enter("a")
    assert table.enter("a", "reopen") == ("a" if opened == "planned" else "a-2", 1)


class Looked(dict[str, str]):
    """Count how often a status is looked up."""

    looks = 0

    def get(self, key: str, default: Any = None) -> Any:
        self.looks += 1
        return super().get(key, default)


def test_the_successor_of_many_is_found_at_once() -> None:
    """However often a name was entered, here or elsewhere, its next step is not looked for from the first one on."""
    status = Looked()
    table = StepTable(status=status)
    for _ in range(100):
        table.enter("a")
    table.entered("a-101", "a", 1)
    assert table.enter("a") == ("a-102", 1)
    assert status.looks < 250


MOVES = st.tuples(
    st.integers(0, 1),
    st.sampled_from("ab"),
    st.sampled_from([None, None, "reopen", "new"]),
    st.sampled_from(["completed", "failed", "skipped", "open"]),
)


@given(st.lists(MOVES))
def test_no_two_open_entries_share_an_id(moves: list[tuple[int, str, Repeat | None, str]]) -> None:
    """Whoever of two processes enters and leaves what, open entries never share an id, and no attempt is repeated."""
    tables = StepTable(), StepTable()
    open_ids: set[str] = set()
    seen: set[tuple[str, int]] = set()
    for who, name, repeat, end in moves:
        entry = tables[who].enter(name, repeat)
        tables[1 - who].entered(entry[0], name, entry[1])
        assert entry[0] not in open_ids
        assert entry not in seen
        seen.add(entry)
        if end == "open":
            open_ids.add(entry[0])
        else:
            for table in tables:
                table.left(entry[0], end)
