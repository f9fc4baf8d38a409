"""Read runs from the journals of this machine: offline, and while other processes write and deliver them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from mission_tracer import facts
from mission_tracer._disk.books import Count, count
from mission_tracer._disk.delivery_log import read_log
from mission_tracer._disk.directory import Directory, is_free
from mission_tracer._disk.journal import iterate_lines
from mission_tracer._planning.lane_state import LaneState
from mission_tracer.cli._reading.picture import EventPicture, RunPicture, StepPicture

T = TypeVar("T")


class Books(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What became of one run's facts; with `unreadable` nothing is known but why its journal cannot be read."""

    key: str
    mission: str = ""
    status: str
    unreadable: str | None = None
    opened_at: dt.datetime | None = None
    base_url: str | None = None
    mission_id: str | None = None
    run_id: str | None = None
    parked: str | None = None
    put_away: bool = False
    recorded: int = 0
    delivered: int = 0
    pending: int = 0
    rejected: int = 0
    dropped: int = 0


class Story:
    """Fold a journal's facts into what a person is shown."""

    def __init__(self, key: str) -> None:
        """Begin with a run of which nothing is known."""
        self.picture = RunPicture(key=key, mission="?", status="running", source="journal")
        self.base_url: str | None = None
        self.is_shared = False
        self._steps: dict[str, StepPicture] = {}

    def take(self, fact: facts.Fact) -> None:
        """Take in the next fact."""
        take = _TAKE.get(type(fact))
        if take is not None:
            take(self, fact)

    def step(self, step_id: str, description: str | None = None) -> StepPicture:
        """Return a step; a new one for an id not heard of."""
        found = self._steps.get(step_id)
        if found is None:
            found = StepPicture(step_id=step_id, description=description or step_id, status="pending")
            self._steps[step_id] = found
            self.picture.steps.append(found)
        return found


def _opened(story: Story, fact: facts.RunOpened) -> None:
    story.picture.mission, story.picture.started_at, story.picture.input = fact.mission.name, fact.at, fact.input
    story.base_url = fact.base_url


def _joined(story: Story, fact: facts.RunJoined) -> None:
    story.picture.mission, story.picture.started_at = fact.mission.name, story.picture.started_at or fact.at
    story.picture.mission_id, story.picture.run_id = fact.mission.id, fact.run_id
    story.base_url = fact.base_url
    story.is_shared = True  # it goes on without a process of ours


def _planned(story: Story, fact: facts.PlanDeclared) -> None:
    for step in fact.steps:
        story.step(step.step_id, step.description).parent_step_id = step.parent_step_id


def _entered(story: Story, fact: facts.StepEntered) -> None:
    step = story.step(fact.step_id, fact.description)
    step.status, step.attempt, step.completed_at, step.duration_ms = "in_progress", fact.attempt, None, None
    step.started_at = step.started_at or fact.at
    step.parent_step_id = fact.parent_step_id or step.parent_step_id


def _left(story: Story, fact: facts.StepLeft) -> None:
    step = story.step(fact.step_id)
    step.status, step.completed_at, step.duration_ms, step.reason = fact.status, fact.at, fact.duration_ms, fact.reason


def _event(story: Story, fact: facts.Event) -> None:
    body = msgspec.json.decode(fact.body, type=facts.EventBody)
    story.picture.events.append(
        EventPicture(
            at=fact.at,
            type=body.type,
            summary=body.summary,
            step_id=_given(body.step_id),
            agent_id=_given(body.agent_id),
            payload=_given(body.payload),
        )
    )


def _given(value: Any) -> Any:
    return None if value is msgspec.UNSET else value


def _paused(story: Story, _fact: facts.RunPaused) -> None:
    story.picture.status = "paused"


def _resumed(story: Story, _fact: facts.RunResumed) -> None:
    story.picture.status = "running"


def _closed(story: Story, fact: facts.RunClosed) -> None:
    picture = story.picture
    picture.status, picture.finished_at = fact.status, fact.at
    picture.summary, picture.payload, picture.error = fact.summary, fact.payload, fact.error
    for step in picture.steps:
        if step.status == "in_progress":
            step.status, step.completed_at = "failed", fact.at
        elif step.status == "pending":
            step.status = "skipped"


_TAKE: dict[type, Any] = {
    facts.RunOpened: _opened,
    facts.RunJoined: _joined,
    facts.PlanDeclared: _planned,
    facts.StepEntered: _entered,
    facts.StepLeft: _left,
    facts.Event: _event,
    facts.RunPaused: _paused,
    facts.RunResumed: _resumed,
    facts.RunClosed: _closed,
}


def picture(directory: Directory, key: str) -> RunPicture | None:
    """Return a run with its plan and its events; `None` when there is no such run here.

    Raises:
        OSError: Its journal cannot be read.
    """

    def read(journal: Path, state: LaneState) -> RunPicture:
        story = tell(key, journal)
        seen = story.picture
        seen.run_id, seen.mission_id = state.run_id or seen.run_id, state.mission_id or seen.mission_id
        sums = count(iterate_lines(journal), state)
        seen.waiting = _waiting(sums, state)
        if seen.status == "running" and not story.is_shared and not is_written(journal):
            seen.status = "interrupted"
        return seen

    return _steadily(directory, key, read)


def books(directory: Directory, key: str) -> Books | None:
    """Count a run's facts; `None` when there is no such run here.

    Raises:
        OSError: Its journal cannot be read.
    """

    def read(journal: Path, state: LaneState) -> Books:
        sums = count(iterate_lines(journal), state)
        story = tell(key, journal, events=False)
        status = story.picture.status
        put_away = journal.parent == directory.delivered
        if status == "running" and not story.is_shared and not put_away and not is_written(journal):
            status = "interrupted"
        return Books(
            key=key,
            mission=story.picture.mission,
            status=status,
            opened_at=story.picture.started_at,
            base_url=story.base_url,
            mission_id=state.mission_id,
            run_id=state.run_id,
            parked=state.parked,
            put_away=put_away,
            recorded=sums.recorded,
            delivered=sums.delivered,
            pending=sums.pending,
            rejected=sums.rejected,
            dropped=sums.dropped,
        )

    return _steadily(directory, key, read)


def all_books(directory: Directory) -> Iterator[Books]:
    """Count the facts of every run, the oldest first; one that cannot be read hides no other."""
    for key in sorted({*directory.keys(), *directory.delivered_keys()}):
        try:
            found = books(directory, key)
        except OSError as error:  # another user's, perhaps
            found = Books(key=key, status="unreadable", unreadable=f"its journal cannot be read: {error.strerror}")
        if found is not None:
            yield found


def tell(key: str, journal: Path, *, events: bool = True) -> Story:
    """Fold a journal; a damaged line is left out.

    Raises:
        OSError: It cannot be read.
    """
    story = Story(key)
    for line in iterate_lines(journal):
        fact = facts.read(line.content) if events or not facts.is_event(line.content) else None
        if fact is not None:
            story.take(fact)
    return story


def is_written(journal: Path) -> bool:
    """Say whether a living process takes part in a run; True when nobody can tell."""
    try:
        return not is_free(journal)
    except OSError:
        return True


def find_key(directory: Directory, word: str) -> str | None:
    """Return the key of the run that a word means: a key, the start or the end of one, or an id of Telnyx; else `None`.

    Raises:
        LookupError: It is empty, or means more than one.
    """
    if not word.strip():
        raise LookupError("RUN is empty: is the variable set?")
    keys = sorted({*directory.keys(), *directory.delivered_keys()})
    if word in keys:
        return word
    found = [key for key in keys if key.startswith(word) or (len(word) >= 4 and key.endswith(word))]
    if not found and len(word) >= 8:
        found = [key for key in keys if (run_id := run_id_of(directory, key)) and run_id.startswith(word)]
    if len(found) > 1:
        raise LookupError(
            f"{word!r} means {len(found)} runs: {', '.join(found[:4])}{', ...' if len(found) > 4 else ''}"
        )
    return found[0] if found else None


def run_id_of(directory: Directory, key: str) -> str | None:
    """Return Telnyx's id of a run; `None` while it is not known here."""
    try:
        return _steadily(directory, key, lambda _journal, state: state.run_id)
    except OSError:
        return None


def _waiting(sums: Count, state: LaneState) -> str | None:
    if state.parked:
        return f"cannot be delivered: {state.parked}"
    return f"{sums.pending} of {sums.recorded} facts are not delivered yet" if sums.pending else None


def _steadily(directory: Directory, key: str, read: Callable[[Path, LaneState], T]) -> T | None:
    """Read a run that another process may put away or bring back in the same moment."""
    for last in (False, False, True):
        place = directory.find(key)
        if place is None:
            return None
        journal, log = place
        state = LaneState()
        try:
            if log.exists():
                read_log(log, state)
            elif journal.parent == directory.delivered and not last:
                continue  # half way: the journal moves first
            return read(journal, state)
        except FileNotFoundError:
            if last:
                raise
    return None
