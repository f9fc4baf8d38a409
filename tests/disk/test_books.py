"""The books of a run: each fact is delivered, rejected, given up or pending, and nothing else counts."""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mission_tracer import facts
from mission_tracer._disk.books import Count, Stats, count_files
from mission_tracer._disk.journal import AppendFile, iterate_lines
from mission_tracer._planning import records

AT = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
FATES = st.lists(
    st.tuples(
        st.sampled_from(["pending", "delivered", "rejected", "given up", "retried", "delivered after all"]),
        st.sampled_from(["mine0000", "other000"]),
    ),
    max_size=12,
)


def write_journal(path: Path, writers: list[str], *, torn: bytes = b"") -> list[tuple[int, int]]:
    """Write one fact for each writer; return where each begins and ends."""
    file = AppendFile(path, create=True)
    for number, writer in enumerate(writers):
        file.append(facts.encode(facts.RunPaused(id=f"{writer}.{number}", at=AT)))
        file.append(b"")  # an empty line is nothing
    file.close()
    if torn:
        with path.open("ab") as end:
            end.write(torn)
    return [(line.position, line.end) for line in iterate_lines(path) if line.content]


def note(log: AppendFile, fate: str, at: int, end: int) -> None:
    """Write down what became of a fact."""
    rejected = records.Rejected(at, end, "id", "no")
    said: dict[str, list[records.Record]] = {
        "pending": [],
        "delivered": [records.Acknowledged(at, end)],
        "rejected": [rejected],
        "given up": [rejected, records.Dropped(at)],
        "retried": [rejected, records.Retried(at)],
        "delivered after all": [rejected, records.Retried(at), records.Acknowledged(at, end)],
    }
    for record in said[fate]:
        log.append(records.encode(record))


@settings(max_examples=100, deadline=None)
@given(fates=FATES, torn=st.binary(max_size=20).map(lambda some: some.replace(b"\n", b"")))
def test_every_fact_counts_once(fates: list[tuple[str, str]], torn: bytes) -> None:
    """Whatever became of each fact, the sums are right, together and for each writer; a torn end counts nothing."""
    with tempfile.TemporaryDirectory() as scratch:
        journal, log = Path(scratch) / "j", Path(scratch) / "l"
        places = write_journal(journal, [writer for _, writer in fates], torn=torn)
        file = AppendFile(log, create=True)
        for (fate, _), (at, end) in zip(fates, places, strict=True):
            note(file, fate, at, end)
        file.close()
        for whose in (None, ["mine0000"], ["other000"], ["other000", "mine0000"], []):
            chosen = [fate for fate, writer in fates if whose is None or writer in whose]
            assert count_files(journal, log, writers=whose) == Count(
                delivered=chosen.count("delivered") + chosen.count("delivered after all"),
                rejected=chosen.count("rejected"),
                dropped=chosen.count("given up"),
                pending=chosen.count("pending") + chosen.count("retried"),
            )
            assert count_files(journal, log, writers=whose).recorded == len(chosen)


def test_without_a_log_everything_is_pending(tmp_path: Path) -> None:
    """A run of which nobody has delivered anything has no log: all its facts are pending."""
    write_journal(tmp_path / "j", ["a", "b"])
    assert count_files(tmp_path / "j", tmp_path / "absent") == Count(pending=2)


def test_without_a_journal_nothing_can_be_counted(tmp_path: Path) -> None:
    """A run whose journal is not there is an error, not an empty run."""
    with pytest.raises(FileNotFoundError):
        count_files(tmp_path / "absent", tmp_path / "absent too")


def test_books_add_up() -> None:
    """The sum of two books has the sum of each column, and of each reason for a loss."""
    one, other = Stats(5, 1, 2, 1, {"b": 1}), Stats(3, 0, 0, 0, {"a": 2, "b": 1})
    total = one.plus(other)
    assert total == Stats(8, 1, 2, 1, {"a": 2, "b": 2})
    assert list(total.dropped) == ["a", "b"]
    assert total.recorded == total.delivered + total.pending + total.rejected + sum(total.dropped.values())
