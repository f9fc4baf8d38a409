"""Count a run's facts by what became of them, from its files alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mission_tracer import facts
from mission_tracer._disk.delivery_log import read_log
from mission_tracer._disk.journal import Line, iterate_lines
from mission_tracer._planning.lane_state import LaneState


@dataclass(frozen=True, slots=True)
class Stats:
    """What became of the facts this process recorded: recorded = delivered + pending + rejected + dropped.

    Args:
        recorded: How many were recorded.
        delivered: How many the server acknowledged.
        pending: How many are kept and not delivered yet.
        rejected: How many the server refused for good; `mission-tracer dead list` shows them.
        dropped: How many were lost, by reason; always empty while the disk takes what is recorded.
    """

    recorded: int = 0
    delivered: int = 0
    pending: int = 0
    rejected: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    def plus(self, other: Stats) -> Stats:
        """Add two books."""
        reasons = {*self.dropped, *other.dropped}
        return Stats(
            self.recorded + other.recorded,
            self.delivered + other.delivered,
            self.pending + other.pending,
            self.rejected + other.rejected,
            {reason: self.dropped.get(reason, 0) + other.dropped.get(reason, 0) for reason in sorted(reasons)},
        )


@dataclass(slots=True)
class Count:
    """How many of a run's facts are delivered, rejected, given up by their owner, and pending."""

    delivered: int = 0
    rejected: int = 0
    dropped: int = 0
    pending: int = 0

    @property
    def recorded(self) -> int:
        """How many there are."""
        return self.delivered + self.rejected + self.dropped + self.pending


def count(lines: Iterable[Line], state: LaneState, *, writers: Collection[str] | None = None) -> Count:
    """Sort facts by what a delivery state says of them.

    Args:
        lines: The journal.
        state: The delivery log, folded.
        writers: Count only the facts of these writers; `None`: all.
    """
    sums = Count()
    for line in lines:
        if not line.content or (writers is not None and facts.writer_of(line.content) not in writers):
            continue
        if line.position in state.rejected:
            sums.rejected += 1
        elif line.position in state.given_up:
            sums.dropped += 1
        elif state.is_done(line.position) and line.position not in state.retries:
            sums.delivered += 1
        else:
            sums.pending += 1
    return sums


def count_files(journal: Path, log: Path, *, writers: Collection[str] | None = None) -> Count:
    """Count a run's facts from its two files; a log that does not exist yet is empty.

    Raises:
        OSError: The journal cannot be read.
    """
    state = LaneState()
    with suppress(FileNotFoundError):
        read_log(log, state)
    return count(iterate_lines(journal), state, writers=writers)
