"""Name what can happen: one struct per kind of fact, one fact per line of a journal.

A fact says that something happened and when; it never says how it is sent. Every fact has an `id`, `<writer>.<number>`:
the writer is one process's share in one run, the number counts its facts. Events are written already in the form of the
request that will carry them, so that delivery copies bytes instead of decoding and encoding them again.
"""

from __future__ import annotations

import datetime as dt
import functools
import os
import time
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

MEMORY = 1 << 60
"""A fact's position is a byte offset in the journal; of one that is held in memory it is `MEMORY` or more."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_key(*, clock: int | None = None, entropy: bytes | None = None) -> str:
    """Make a run key: 26 characters that sort by time.

    As a ULID, but with nanoseconds: runs of one program that begin within a millisecond sort in their order too.

    Args:
        clock: Nanoseconds since the epoch; `None`: now.
        entropy: Eight random bytes; `None`: drawn from the system.
    """
    moment = time.time_ns() if clock is None else clock
    number = (moment << 66) | int.from_bytes(os.urandom(8) if entropy is None else entropy, "big")
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -5, -5))


def new_writer() -> str:
    """Make the name of one process's share in a run: 8 random characters."""
    number = int.from_bytes(os.urandom(5), "big")
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(35, -5, -5))


class MissionSpec(Struct, frozen=True, omit_defaults=True):
    """The mission a run belongs to: found by its name, or created as said here."""

    name: str
    id: str | None = None
    description: str | None = None
    instructions: str | None = None
    model: str | None = None
    execution_mode: str | None = None
    metadata: dict[str, Any] | None = None


class PlannedStep(Struct, frozen=True, omit_defaults=True):
    """One step of a plan."""

    step_id: str
    description: str
    parent_step_id: str | None = None
    metadata: dict[str, Any] | None = None


class Mark(Struct, frozen=True, gc=False):
    """What every event's payload carries under `mission_tracer`.

    The server stamps an event when it arrives; `at` says when it happened, and `seq` orders one writer's events.
    """

    id: str
    seq: int
    at: dt.datetime


# What is written often is no business of the garbage collector: captured data holds no circle.
class EventBody(Struct, frozen=True, omit_defaults=True, gc=False):
    """The body of the request that logs an event; its fields are the API's."""

    type: str
    summary: str
    step_id: str | UnsetType = UNSET
    agent_id: str | UnsetType = UNSET
    payload: dict[str, Any] | UnsetType = UNSET
    idempotency_key: str | UnsetType = UNSET


class _Fact(Struct, frozen=True, omit_defaults=True, kw_only=True, tag_field="fact"):
    id: str
    at: dt.datetime


class RunOpened(_Fact, frozen=True, tag="run_opened"):
    """A run began here; the first line of its journal. `sends` says that its process delivers it too."""

    key: str
    mission: MissionSpec
    base_url: str | None = None
    sends: bool = False
    input: dict[str, Any] | None = None
    metadata: dict[str, Any] = {}


class RunJoined(_Fact, frozen=True, tag="run_joined"):
    """This journal takes part in a run that another machine opened; the first line of such a journal."""

    key: str
    mission: MissionSpec
    base_url: str | None = None
    sends: bool = False
    run_id: str | None = None


class PlanDeclared(_Fact, frozen=True, tag="plan_declared"):
    """Steps were declared before they were entered."""

    steps: list[PlannedStep]


class StepEntered(_Fact, frozen=True, tag="step_entered", gc=False):
    """A step began, or began again (`attempt` over 1)."""

    step_id: str
    description: str
    parent_step_id: str | None = None
    attempt: int = 1
    name: str | None = None  # what it was entered under, when that is not its id
    agent_id: str | None = None


class StepLeft(_Fact, frozen=True, tag="step_left", gc=False):
    """A step ended."""

    step_id: str
    status: str
    duration_ms: float | None = None
    reason: str | None = None
    error: dict[str, Any] | None = None
    metadata: dict[str, Any] = {}
    agent_id: str | None = None


class EventWritten(_Fact, frozen=True, tag="event", gc=False):
    """An event as it is written: the body is encoded together with the fact."""

    body: EventBody


class Event(_Fact, frozen=True, tag="event"):
    """An event as it is read: the body stays the bytes that were written."""

    body: Raw


class AgentLinked(_Fact, frozen=True, tag="agent_linked"):
    """A Telnyx agent takes part in the run."""

    telnyx_agent_id: str


class AgentUnlinked(_Fact, frozen=True, tag="agent_unlinked"):
    """A Telnyx agent no longer takes part in the run."""

    telnyx_agent_id: str


class RunPaused(_Fact, frozen=True, tag="run_paused"):
    """The run waits."""


class RunResumed(_Fact, frozen=True, tag="run_resumed"):
    """The run goes on."""


class RunClosed(_Fact, frozen=True, tag="run_closed"):
    """The run ended; `recovered` when not by its own process."""

    status: str
    summary: str | None = None
    payload: dict[str, Any] | None = None
    error: str | None = None
    metadata: dict[str, Any] = {}
    recovered: bool = False


Fact: TypeAlias = (
    RunOpened
    | RunJoined
    | PlanDeclared
    | StepEntered
    | StepLeft
    | Event
    | AgentLinked
    | AgentUnlinked
    | RunPaused
    | RunResumed
    | RunClosed
)
"""Whatever a journal's line can say."""

WrittenFact: TypeAlias = Fact | EventWritten

encode = msgspec.json.Encoder().encode
"""Turn a fact into the bytes of its line, without the line's end."""


@functools.cache
def _decoder() -> msgspec.json.Decoder[Fact]:
    # Made when it is needed: a program that only records reads nothing, and it takes as long as all structs here.
    return msgspec.json.Decoder(Fact)


def decode(line: bytes) -> Fact:
    """Turn a line into its fact.

    Raises:
        msgspec.DecodeError: The line is damaged, or of a kind this version does not know.
    """
    return _decoder().decode(line)


_BEGIN = b'{"fact":"'
_EVENT = b'{"fact":"event"'
_T = TypeVar("_T")


def read(line: bytes) -> Fact | None:
    """Turn a line into its fact; `None` when there is none in it.

    A writer that died in the middle of a line leaves it without an end, and the next writer's line comes to stand on
    the same row: that one is read from where it begins.
    """
    return _first(line, decode)


def _first(line: bytes, turn: Callable[[bytes], _T]) -> _T | None:
    """Read the first whole object of a line: nearly always the line itself."""
    start = 0
    while start >= 0:
        try:
            return turn(line[start:] if start else line)
        except (msgspec.MsgspecError, RecursionError):
            start = line.find(_BEGIN, start + 1)
    return None


def is_event(line: bytes) -> bool:
    """Say, without reading it, whether a line is an event; False also for one behind which another fact may stand."""
    return line.startswith(_EVENT) and line.rfind(_BEGIN) == 0


class _Name(Struct):
    id: str


_decode_name: Callable[[bytes], _Name] = msgspec.json.Decoder(_Name).decode


def writer_of(line: bytes) -> str:
    """Say which writer wrote a line; empty for a damaged one."""
    name = _first(line, _decode_name)
    return name.id.rpartition(".")[0] if name is not None else ""


def mark(fact_id: str, at: dt.datetime) -> Mark:
    """Build the mark of a fact's event."""
    return Mark(fact_id, int(fact_id.rpartition(".")[2]), at)
