"""Name what a delivery flow may ask for, and what it may know. Pure.

A flow is a generator that delivers one fact. It yields
    `Call`    one request; sent back: its `Answer`, a success or a refusal for good,
    a record  to be written down and folded into the state,
    `Settle`  wait until what an earlier, unanswered request did can be seen,
    `Recall`  sent back: the mission id this host knows for a name, under the host's lock on that name,
    `Remember`, `Forget`  tell the host what a name stands for,
    `Refusal` the server refused a part of the fact for good; the flow goes on,
and raises `Park` when the run cannot go on at all, `Again` when the server may take it another time, `NotYet` when
another machine must act first.

A flow can be started again at any point: what must not happen twice is noted as a record before and after, and read
back from the server when its answer was lost; what may happen twice (PATCHes, events with their key) is simply asked
again.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeAlias

from mission_tracer import facts
from mission_tracer._planning.lane_state import LaneState
from mission_tracer._planning.records import Record

STUBBORN = 6
"""After so many failures of the server on one fact each attempt also tries it without what may be to blame."""

POISONED = 12
"""After so many failures of the server on one fact it is given up if, right after one more, the server takes a note."""

MALFORMED = frozenset({400, 413, 422})
"""The refusals that a smaller body may mend."""

PAGE = 200
"""How many items are asked for at once."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request: an operation of the API, its path and query values and its body.

    `intent` names what must not take effect twice; with `keyed` the server itself sees to that. With `tolerant` a
    failure of the server (500) comes back as an answer, so that the flow can try something smaller. With `doubtful` the
    mission may be another account's: a key that is not let in there (403) comes back as an answer too.
    """

    operation: str
    path: dict[str, str] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    body: Any = None
    intent: str | None = None
    keyed: bool = False
    tolerant: bool = False
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said for good: `data` of a success, or the reason of a refusal."""

    status: int
    data: Any = None
    pages: int = 1
    why: str = ""

    @property
    def ok(self) -> bool:
        """Say whether it is a success."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Unsent:
    """The request had no effect.

    Args:
        why: What hindered it.
        after: How long the server asks to wait, in seconds; `None`: it does not.
        locked_out: True: the key is at fault.
        here: True: other runs may fare better.
    """

    why: str
    after: float | None = None
    locked_out: bool = False
    here: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """The request may have had its effect; `answered` says whether the server is done with it."""

    why: str
    after: float | None = None
    status: int = 0
    answered: bool = False


@dataclass(frozen=True, slots=True)
class Settle:
    """Wait until what the named intent did can be seen; `CHANGES`: what any change of a status did."""

    intent: str


CHANGES = "changes"
"""The intent of every change of a status whose answer was lost."""


@dataclass(frozen=True, slots=True)
class Recall:
    """Ask which mission a name stands for."""

    name: str


@dataclass(frozen=True, slots=True)
class Remember:
    """Note which mission a name stands for."""

    name: str
    mission_id: str


@dataclass(frozen=True, slots=True)
class Forget:
    """Drop what a name stands for."""

    name: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """The server refused a part of the fact for good."""

    operation: str
    status: int
    reason: str


class Park(Exception):  # noqa: N818 - it says what to do, as StopIteration does
    """The run cannot be delivered as things are; the message says why."""


class Again(Exception):  # noqa: N818 - it says what to do, as StopIteration does
    """The server refused what it should take; the message says why."""


class NotYet(Exception):  # noqa: N818 - it says what to do, as StopIteration does
    """Another machine has not created the run yet."""


Action: TypeAlias = Call | Settle | Recall | Remember | Forget | Refusal | Record
Flow: TypeAlias = Generator[Action, Any, None]


@dataclass(frozen=True, slots=True)
class Situation:
    """What a flow may know besides the fact.

    Args:
        state: The lane's state.
        upcoming: Gives the facts that follow, as far as they are known.
        now: Seconds since the epoch.
        position: Where the fact stands.
        failures: How often the server failed on this very fact.
        blamed: How often it failed on the very request that creates what the fact begins.
        sent_at: When it may have been sent first, in seconds since the epoch; `None`: it was not.
        late: True: facts after this one were delivered before it.
    """

    state: LaneState
    upcoming: Callable[[], Iterable[facts.Fact]] = tuple
    now: float = 0.0
    position: int = 0
    failures: int = 0
    blamed: int = 0
    sent_at: float | None = None
    late: bool = False

    @property
    def stubborn(self) -> bool:
        """Say whether this attempt also goes without what may be to blame."""
        return self.failures >= STUBBORN

    @property
    def poisoned(self) -> bool:
        """Say whether this attempt gives the fact up if it fails again and the server takes anything else."""
        return self.failures >= POISONED and self.state.run_id is not None

    def path(self, **more: str) -> dict[str, str]:
        """Return the path values of the run."""
        return {"mission_id": self.state.mission_id or "", "run_id": self.state.run_id or "", **more}


def give_up(at: Situation, answer: Answer, what: str) -> NoReturn:
    """Park the run, or try again when it is not the request that is at fault: a gateway, or another creation under way.

    Raises:
        Park: The server refuses the request itself, or refused it often enough.
        Again: It may take it later.
    """
    why = f"the server {what}: {answer.why}"
    raise Park(why) if answer.status in MALFORMED or at.failures >= STUBBORN else Again(why)


def park_if_gone(answer: Answer, at: Situation) -> Flow:
    """Give the lane up when a 404 means that the run itself is not there, unless that passes.

    Raises:
        Park: The run is gone.
        Again: It seems to be.
    """
    if answer.status == 404:
        run = yield Call("missions.runs.retrieve", at.path())
        if run.status == 404:
            give_up(at, run, f"does not know the run {at.state.run_id}")


def select(
    operation: str,
    at_path: dict[str, str],
    query: dict[str, Any],
    wanted: Callable[[dict[str, Any]], bool],
    *,
    first: bool = False,
) -> Generator[Action, Any, tuple[Answer, list[dict[str, Any]]]]:
    """Read every page of a list; return the last answer (a refusal, perhaps) and the items that are wanted.

    A server that gives the same page again and again has no other.

    Args:
        operation: The operation that lists.
        at_path: Its path values.
        query: What the list is filtered by.
        wanted: Chooses items.
        first: True: one is enough.
    """
    items: list[dict[str, Any]] = []
    sized: dict[str, Any] = {"page[size]": PAGE}
    page, before = 1, None
    while True:
        answer: Answer = yield Call(operation, at_path, {**query, "page[number]": page, **sized})
        if page == 1 and sized and answer.status in MALFORMED:
            sized = {}  # nobody says how many may be asked for at once
            continue
        if not answer.ok or not answer.data or answer.data == before:
            return answer, items
        items.extend(item for item in answer.data if wanted(item))
        if page >= answer.pages or (first and items):
            return answer, items
        page, before = page + 1, answer.data
