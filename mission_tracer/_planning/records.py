"""Name what a delivery log's lines say: what was about to be sent, what the server acknowledged, what it refused."""

from __future__ import annotations

from typing import TypeAlias

import msgspec
from msgspec import Struct


class _Record(Struct, frozen=True, omit_defaults=True, tag_field="did"):
    pass


class Intended(_Record, frozen=True, tag="intend"):
    """A request that must not take effect twice is about to be sent; `at` in seconds since the epoch."""

    intent: str
    at: float


class Unsent(_Record, frozen=True, tag="unsent"):
    """An intended request had no effect: it never left, or the server refused it."""

    intent: str


class MissionFound(_Record, frozen=True, tag="mission"):
    """The run's mission is known."""

    mission_id: str


class MissionLost(_Record, frozen=True, tag="mission_lost"):
    """The server does not know that mission any more."""


class RunBound(_Record, frozen=True, tag="run"):
    """The run exists on the server."""

    run_id: str


class StepsDeclared(_Record, frozen=True, tag="steps"):
    """Steps are in the server's plan: step id -> sequence."""

    steps: dict[str, int]


class StepRefused(_Record, frozen=True, tag="step_refused"):
    """The server takes no step of this id."""

    step_id: str


class StepRenamed(_Record, frozen=True, tag="step_renamed"):
    """The server does not let a step begin again: its new attempt has a step of its own."""

    step_id: str
    sent_as: str


class Acknowledged(_Record, frozen=True, tag="ack"):
    """The fact between two positions of the journal is delivered."""

    position: int
    end: int


class Rejected(_Record, frozen=True, tag="rejected"):
    """The server refused a part of a fact for good, or the fact's line is damaged; the lane went on."""

    position: int
    end: int
    fact: str
    reason: str
    operation: str = ""
    status: int = 0


class Retried(_Record, frozen=True, tag="retried"):
    """A rejected fact is to be sent again."""

    position: int


class Dropped(_Record, frozen=True, tag="dropped"):
    """A rejected fact was given up by its owner."""

    position: int


class Parked(_Record, frozen=True, tag="parked"):
    """The run cannot be delivered as things are."""

    reason: str


class Unparked(_Record, frozen=True, tag="unparked"):
    """The run is tried again."""


class Taken(_Record, frozen=True, tag="taken"):
    """A sender is at it again: something that it asks for may be under way from here on."""


class Released(_Record, frozen=True, tag="released"):
    """The sender left, and nothing it had asked for was under way."""


class Finished(_Record, frozen=True, tag="finished"):
    """Everything is delivered and nobody writes any more."""


Record: TypeAlias = (
    Intended
    | Unsent
    | MissionFound
    | MissionLost
    | RunBound
    | StepsDeclared
    | StepRefused
    | StepRenamed
    | Acknowledged
    | Rejected
    | Retried
    | Dropped
    | Parked
    | Unparked
    | Taken
    | Released
    | Finished
)

encode = msgspec.json.Encoder().encode
"""Turn a record into the bytes of its line."""

decode = msgspec.json.Decoder(Record).decode
"""Turn a line into its record.

Raises:
    msgspec.DecodeError: The line is damaged, or of a kind this version does not know.
"""
